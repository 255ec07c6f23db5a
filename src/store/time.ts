import type { Interval, IntervalSet } from '../core/interval.ts';

/** A time as a query parameter: epoch milliseconds to ISO 8601, infinities to Postgres's own words. */
export function toTimestamp(at: number): string {
  if (at === -Infinity) return '-infinity';
  if (at === Infinity) return 'infinity';
  return new Date(at).toISOString();
}

/** An interval as the text of a `tstzrange`; an endless side is left open. */
export function toRange({ from, to }: Interval): string {
  return `[${from === -Infinity ? '' : toTimestamp(from)},${toTimestamp(to)})`;
}

/**
 * SQL that turns a multirange into JSON `[[from, to], …]` in epoch milliseconds, null for an endless side.
 *
 * @param expression SQL of type `tstzmultirange`; never from outside
 */
export function rangesAsJson(expression: string): string {
  return `(select coalesce(json_agg(json_build_array(
      extract(epoch from lower(one)) * 1000, extract(epoch from upper(one)) * 1000) order by one), '[]')
    from unnest(${expression}) as one)`;
}

/** Reads what `rangesAsJson` gives. */
export function readRanges(ranges: readonly (readonly [number | null, number])[]): IntervalSet {
  return ranges.map(([from, to]) => ({ from: from ?? -Infinity, to }));
}
