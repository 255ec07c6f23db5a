import { type Expression, type RawBuilder, sql } from 'kysely';
import type { Interval, IntervalSet } from '../core/interval.ts';

/** Postgres's clock: the start of the transaction. */
export const NOW: RawBuilder<Date> = sql<Date>`now()`;

/** Postgres's clock: this moment, also in the midst of a transaction. */
export const THIS_MOMENT: RawBuilder<Date> = sql<Date>`clock_timestamp()`;

/** A time as a query parameter: epoch milliseconds to ISO 8601, infinities to Postgres's own words. */
export function toTimestamp(at: number): string {
  if (at === -Infinity) return '-infinity';
  if (at === Infinity) return 'infinity';
  return new Date(at).toISOString();
}

/** A time as SQL, to compare or compute with: epoch milliseconds or an infinity. */
export function instant(at: number): RawBuilder<Date> {
  return sql<Date>`${toTimestamp(at)}::timestamptz`;
}

/** A time or an interval of time (of type `interval`) as SQL in milliseconds, fractions included. */
export function milliseconds<T>(value: Expression<T>): RawBuilder<number | Extract<T, null>> {
  return sql`(extract(epoch from ${value}) * 1000)::float8`;
}

/** An interval as the text of a `tstzrange`; an endless side is left open. */
export function toRange({ from, to }: Interval): string {
  return `[${from === -Infinity ? '' : toTimestamp(from)},${toTimestamp(to)})`;
}

/** A multirange as a query gives it: epoch milliseconds, null for an endless side. */
export type Ranges = readonly (readonly [number | null, number])[];

/** A `tstzmultirange` as SQL of JSON `[[from, to], …]`; null becomes empty. */
export function rangesAsJson(ranges: Expression<string | null>): RawBuilder<Ranges> {
  return sql`(select coalesce(json_agg(json_build_array(
      extract(epoch from lower(one)) * 1000, extract(epoch from upper(one)) * 1000) order by one), '[]')
    from unnest(${ranges}) as one)`;
}

/** Reads what `rangesAsJson` gives. */
export function readRanges(ranges: Ranges): IntervalSet {
  return ranges.map(([from, to]) => ({ from: from ?? -Infinity, to }));
}
