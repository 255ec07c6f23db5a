import { missing } from './coverage.ts';
import { clip, type Interval, type IntervalSet, subtract } from './interval.ts';
import { reach, settledUntil, type WindowSettings } from './window.ts';

/** An open wish for an interval, with what has been done for it. */
export interface OpenRequest {
  readonly id: number;
  readonly kind: 'resync' | 'deep';
  readonly during: Interval;
  /** Whether older content may overwrite newer. */
  readonly force: boolean;
  /** Percent of lines that may be refused; null: the default. */
  readonly maxRejects: number | null;
  /** Windows that committed runs have loaded for it. */
  readonly done: IntervalSet;
  /** Runs that failed for it since the last good one. */
  readonly failures: number;
}

/** What the next window is chosen from. */
export interface WorkState {
  readonly since: number | null;
  readonly coverage: IntervalSet;
  readonly requests: readonly OpenRequest[];
  /** How long the next window may be, in milliseconds (`windowLimit`). */
  readonly longest: number;
}

/** The next window to load and the request it serves, if any. */
export interface Work {
  readonly window: Interval;
  readonly request: OpenRequest | null;
}

/** What of a request is still to be loaded; its part beyond reach can not be had any more. */
export function remaining(request: OpenRequest, now: number): IntervalSet {
  return clip(subtract([request.during], request.done), { from: reach(now), to: Infinity });
}

/** The requests of which nothing remains: they are finished. */
export function finishedRequests(requests: readonly OpenRequest[], now: number): OpenRequest[] {
  return requests.filter((request) => remaining(request, now).length === 0);
}

/**
 * Chooses the next window of a feed, or null if it is caught up (design invariant 2).
 *
 * Open requests come first, then what is missing, the oldest first since it expires first. A request
 * whose last run failed steps back behind the missing windows, so that it can not starve them.
 *
 * @param now the platform's time, in milliseconds
 */
export function nextWork(state: WorkState, settings: WindowSettings, now: number): Work | null {
  const until = settledUntil(now, settings.settle);
  const cut = ({ from, to }: Interval): Interval => ({
    from,
    to: Math.min(to, from + state.longest),
  });

  const fromRequests = (failing: boolean): Work | null => {
    for (const request of state.requests.filter((one) => one.failures > 0 === failing)) {
      const [first] = clip(remaining(request, now), { from: -Infinity, to: until });
      if (first) return { window: cut(first), request };
    }
    return null;
  };
  const fresh = fromRequests(false);
  if (fresh) return fresh;
  const [oldest] = missing(state, until, now);
  return oldest ? { window: cut(oldest), request: null } : fromRequests(true);
}
