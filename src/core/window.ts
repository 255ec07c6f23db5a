import { chinaDate, chinaMidnight, DAY, floorSecond, HOUR, SECOND } from './china-time.ts';
import type { Interval } from './interval.ts';

/** The longest interval that one request may ask for, in milliseconds, overlap included (P7). */
export const LONGEST_REQUEST = 28 * DAY;

/** The shortest window to which a failing one is halved, in milliseconds (P5). */
export const SHORTEST_WINDOW = HOUR;

/** How windows are laid out; all in milliseconds. */
export interface WindowSettings {
  /** How far before its window's start a request reaches back. */
  readonly overlap: number;
  /** How far behind now the newest window ends. */
  readonly settle: number;
  /** The longest window. */
  readonly maxWindow: number;
}

/**
 * The earliest time that the platform still serves: the first midnight in China after the same day
 * of last month, clamped to that month's length (P7). It never moves backwards.
 *
 * @example reach(31 March 10:00) // 1 March 00:00: the same day of last month is 28 February
 */
export function reach(now: number): number {
  const { year, month, day } = chinaDate(now);
  const daysOfLastMonth = new Date(Date.UTC(year, month, 0)).getUTCDate();
  return chinaMidnight(year, month - 1, Math.min(day, daysOfLastMonth) + 1);
}

/**
 * The inverse of `reach`: the first midnight in China at which `at` can no longer be had (P7).
 *
 * @example reach(recoverableUntil(at) - 1) <= at && reach(recoverableUntil(at)) > at
 */
export function recoverableUntil(at: number): number {
  const { year, month, day } = chinaDate(at);
  let ahead = 28;
  while (reach(chinaMidnight(year, month, day + ahead)) > at) ahead -= 1;
  while (reach(chinaMidnight(year, month, day + ahead)) <= at) ahead += 1;
  return chinaMidnight(year, month, day + ahead);
}

/** The end of what may be asked for now: `now` less the settle time, in whole seconds. */
export function settledUntil(now: number, settle: number): number {
  return floorSecond(now - settle);
}

/**
 * Splits `[from, to)` into windows no longer than `maxMs`, oldest first.
 *
 * Windows are half-open, so no instant lies in two of them.
 *
 * @throws RangeError if `to` is before `from` or `maxMs` is not positive
 * @example splitWindow({ from: at("00:00"), to: at("02:30") }, HOUR) // 00–01, 01–02, 02–02:30
 */
export function splitWindow({ from, to }: Interval, maxMs: number): Interval[] {
  if (to < from) throw new RangeError('the window ends before it begins');
  if (!(maxMs > 0)) throw new RangeError('a window must be longer than nothing');
  const windows: Interval[] = [];
  for (let start = from; start < to; start += maxMs) {
    windows.push({ from: start, to: Math.min(start + maxMs, to) });
  }
  return windows;
}

/** The longest window, in milliseconds: with the overlap it still fits into one request (P7). */
export function longestWindow({
  maxWindow,
  overlap,
}: Pick<WindowSettings, 'maxWindow' | 'overlap'>): number {
  return Math.max(floorSecond(Math.min(maxWindow, LONGEST_REQUEST - overlap)), SECOND);
}

/** What a request for a window asks for: it reaches back by the overlap, never beyond reach (P7). */
export function requestedInterval(window: Interval, overlap: number, now: number): Interval {
  return { from: Math.max(window.from - overlap, reach(now)), to: window.to };
}
