import { floorSecond } from './china-time.ts';
import { clip, type Interval, type IntervalSet } from './interval.ts';
import { longestWindow, reach, settledUntil, splitWindow, type WindowSettings } from './window.ts';
import { type WindowRun, windowLimit } from './window-limit.ts';

/** An interval by what can be had of it; each part is null where there is nothing of it. */
export interface IntervalParts {
  /** From before the platform's reach: it serves that no more (P7). */
  readonly gone: Interval | null;
  /** What can be asked for. */
  readonly obtainable: Interval | null;
  /** Later than now. */
  readonly future: Interval | null;
}

/**
 * Parts an interval by what the platform serves at a moment.
 *
 * @param now our time, in milliseconds
 * @example partInterval({ from: reach(now) - DAY, to: now }, now).gone // the day before the reach
 */
export function partInterval(during: Interval, now: number): IntervalParts {
  const earliest = reach(now);
  const latest = floorSecond(now);
  const part = (from: number, to: number): Interval | null =>
    clip([during], { from, to })[0] ?? null;
  return {
    gone: part(-Infinity, earliest),
    obtainable: part(earliest, latest),
    future: part(Math.max(earliest, latest), Infinity),
  };
}

/**
 * The windows in which an interval is loaded again as things stand, oldest first; they end where the
 * source has settled, the rest comes later.
 *
 * @param lastRuns the feed's last runs, newest first: windows that were too long are made shorter (P5)
 * @param now the platform's time, in milliseconds
 */
export function planWindows(
  obtainable: Interval | null,
  lastRuns: readonly WindowRun[],
  settings: WindowSettings,
  now: number,
): IntervalSet {
  if (obtainable === null) return [];
  const until = settledUntil(now, settings.settle);
  const longest = windowLimit(lastRuns, longestWindow(settings));
  return clip([obtainable], { from: -Infinity, to: until }).flatMap((settled) =>
    splitWindow(settled, longest),
  );
}
