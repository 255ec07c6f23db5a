import { formatChinaIso } from './china-time.ts';
import { FatalError } from './errors.ts';

/**
 * A half-open stretch of time `[from, to)` in milliseconds since the epoch.
 *
 * `-Infinity` stands for "since ever" and only occurs in coverage (a full extract covers all before it).
 */
export interface Interval {
  readonly from: number;
  readonly to: number;
}

/** A set of instants: sorted, disjoint, non-touching intervals, none of them empty. */
export type IntervalSet = readonly Interval[];

/** Brings any intervals into the form of an `IntervalSet`: empty ones go, touching ones join. */
export function normalise(intervals: readonly Interval[]): IntervalSet {
  const sorted = intervals.filter(({ from, to }) => from < to).sort((a, b) => a.from - b.from);
  const result: Interval[] = [];
  for (const interval of sorted) {
    const last = result.at(-1);
    if (last && interval.from <= last.to) {
      result[result.length - 1] = { from: last.from, to: Math.max(last.to, interval.to) };
    } else {
      result.push(interval);
    }
  }
  return result;
}

/** All instants that lie in one set or the other. */
export function union(a: IntervalSet, b: IntervalSet): IntervalSet {
  return normalise([...a, ...b]);
}

/** The instants of `a` that do not lie in `b`. */
export function subtract(a: IntervalSet, b: IntervalSet): IntervalSet {
  const result: Interval[] = [];
  for (const whole of a) {
    let from = whole.from;
    for (const hole of b) {
      if (hole.to <= from) continue;
      if (hole.from >= whole.to) break;
      if (hole.from > from) result.push({ from, to: hole.from });
      from = Math.max(from, hole.to);
    }
    if (from < whole.to) result.push({ from, to: whole.to });
  }
  return result;
}

/** The instants of a set that lie in `[from, to)`; nothing if that interval is empty. */
export function clip(set: IntervalSet, { from, to }: Interval): IntervalSet {
  return normalise(
    set.map((interval) => ({
      from: Math.max(interval.from, from),
      to: Math.min(interval.to, to),
    })),
  );
}

/** The length of a set, in milliseconds. */
export function span(set: IntervalSet): number {
  return set.reduce((sum, { from, to }) => sum + (to - from), 0);
}

/**
 * Checks that a time is a whole second, the platform's precision.
 *
 * @throws FatalError CONFIG
 */
export function checkWholeSecond(at: number): void {
  if (Number.isInteger(at) && at % 1000 === 0) return;
  throw new FatalError('CONFIG', 'times must be whole seconds');
}

/**
 * Checks that an interval given by a person has a start, an end after it, and whole seconds.
 *
 * @throws FatalError CONFIG that shows the interval
 */
export function checkIntervalForm({ from, to }: Interval): void {
  if (![from, to].every((at) => Number.isInteger(at) && at % 1000 === 0)) {
    throw new FatalError('CONFIG', 'the interval must begin and end at a whole second');
  }
  if (from < to) return;
  const what = from === to ? 'is empty' : 'ends before it begins';
  throw new FatalError(
    'CONFIG',
    `the interval from ${formatChinaIso(from)} to ${formatChinaIso(to)} ${what}`,
  );
}
