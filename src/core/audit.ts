import { chinaDate, chinaMidnight, floorSecond } from './china-time.ts';
import type { ErrorCode } from './errors.ts';
import { clip, type Interval, type IntervalSet, normalise, subtract } from './interval.ts';

/**
 * The windows that an audit may read again, oldest first: the days of China, cut to what is covered.
 *
 * @param within from reach to where no run reaches back any more, in milliseconds
 */
export function closedWindows(coverage: IntervalSet, within: Interval): IntervalSet {
  const windows: Interval[] = [];
  for (let from = within.from; from < within.to; ) {
    const { year, month, day } = chinaDate(from);
    const to = chinaMidnight(year, month, day + 1);
    windows.push(...clip(coverage, { from, to: Math.min(to, within.to) }));
    from = to;
  }
  return windows;
}

/**
 * Picks so many of a list, spread evenly from its first to its last; one alone is the last.
 *
 * @example spreadEvenly([1, 2, 3, 4, 5], 3) // 1, 3, 5
 */
export function spreadEvenly<T>(list: readonly T[], count: number): readonly T[] {
  if (count >= list.length) return list;
  if (count === 1) return list.slice(-1);
  const step = (list.length - 1) / (count - 1);
  return Array.from({ length: count }, (_, index) => list[Math.round(index * step)]!);
}

/**
 * The stretches of `[from, to)` for which the next runs will ask: what is not covered, and the overlap
 * by which they reach back.
 *
 * @param overlap in milliseconds
 */
export function stillAskedFor(
  coverage: IntervalSet,
  { from, to }: Interval,
  overlap: number,
): IntervalSet {
  const holes = subtract([{ from, to }], coverage);
  return normalise(holes.map((hole) => ({ ...hole, from: Math.max(hole.from - overlap, from) })));
}

/** Faults of an answer itself: asked for again, it will hardly be another. */
const UNREADABLE: ReadonlySet<ErrorCode> = new Set([
  'TOO_MANY_REJECTS',
  'HEADER_MISMATCH',
  'MALFORMED_TABLE',
  'TOO_LARGE',
]);

/** Whether the platform has answered, but with what can not be read. */
export function isUnreadable(code: ErrorCode): boolean {
  return UNREADABLE.has(code);
}

/** The halves of an interval, the earlier one first; null if it can not be told apart any more. */
export function halve(
  { from, to }: Interval,
  precision: number,
): readonly [Interval, Interval] | null {
  if (to - from <= precision) return null;
  const middle = floorSecond((from + to) / 2);
  return [
    { from, to: middle },
    { from: middle, to },
  ];
}

/**
 * How late a change came at least, in milliseconds: when it was last asked for, it was not there yet.
 *
 * What is covered was asked for once it had settled, at the earliest.
 *
 * @param during source time in which it changed
 * @param lastAsked when a run last asked for all of that, by the platform's clock; null if unknown
 * @param settle how far behind now a window ends, in milliseconds
 */
export function latenessOf(during: Interval, lastAsked: number | null, settle: number): number {
  return Math.max(settle, (lastAsked ?? -Infinity) - during.to);
}

/** An overlap that was lacking, in milliseconds. */
export interface OverlapNeeded {
  /** What was missed could only have been caught by more than this. */
  readonly least: number;
  /** By how much more, at most, that bound would be if it were known to the second when it changed. */
  readonly closeness: number;
}

/**
 * The overlap without which what came so late is missed: the run after the one that missed it begins where
 * that one ended, the settle time before it asked. Null where no run on record asked for it late enough to tell.
 */
export function overlapNeeded(
  missed: readonly { readonly during: Interval | null; readonly late: number | null }[],
  settle: number,
): OverlapNeeded | null {
  const lates = missed.flatMap(({ during, late }) =>
    during && late !== null && late > settle ? [{ late, span: during.to - during.from }] : [],
  );
  if (lates.length === 0) return null;
  const most = (of: readonly number[]) => of.reduce((one, other) => Math.max(one, other));
  const worst = most(lates.map(({ late }) => late));
  return {
    least: worst - settle,
    closeness: most(lates.map(({ late, span }) => late + span)) - worst,
  };
}
