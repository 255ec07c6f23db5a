import { floorSecond } from './china-time.ts';
import { type ErrorCode, MEANINGS } from './errors.ts';
import { SHORTEST_WINDOW } from './window.ts';

/** A run of a feed, as far as it tells how long its windows may be. */
export interface WindowRun {
  /** Length of its window, in milliseconds. */
  readonly length: number;
  /** Null for a run that went well. */
  readonly errorCode: ErrorCode | null;
}

/** How many runs back a window that was too long is remembered. */
export const LIMIT_RUNS = 20;

/**
 * How long the next window of a feed may be, in milliseconds, by how its last runs ended (P5).
 *
 * A window that was too large is halved at once, one that timed out or was cut when that happens
 * again; never below an hour. Further windows keep to the half until the failure lies `LIMIT_RUNS`
 * runs back, so that a long backlog does not fail at every other step.
 *
 * @param newestFirst the feed's last runs; interrupted ones tell nothing and are left out
 * @param longest the longest window, in milliseconds
 */
export function windowLimit(newestFirst: readonly WindowRun[], longest: number): number {
  let limit = longest;
  newestFirst.slice(0, LIMIT_RUNS).forEach((run, index) => {
    if (!shrinks(run)) return;
    const before = newestFirst[index + 1];
    if (run.errorCode === 'TOO_LARGE' || (before && shrinks(before))) {
      limit = Math.min(limit, run.length / 2);
    }
  });
  const shortest = Math.min(SHORTEST_WINDOW, longest);
  return Math.max(floorSecond(limit), shortest);
}

function shrinks({ errorCode }: WindowRun): boolean {
  return errorCode !== null && MEANINGS[errorCode].shrinks === true;
}
