import type { Interval, IntervalSet } from './interval.ts';
import { nextSlot } from './schedule.ts';
import { reach } from './window.ts';

/** How the recent past is read again; all in milliseconds. */
export interface DeepSettings {
  readonly every: number;
  /** How much of it, back from the watermark; 0: never. */
  readonly span: number;
}

/** A feed whose windows have all been loaded. */
export interface DeepState {
  readonly id: number;
  readonly coverage: IntervalSet;
  /** When its recent past is read again (milliseconds); null before that is planned. */
  readonly nextDeepAt: number | null;
  /** Whether a deep re-read is still to be done. */
  readonly isOpen: boolean;
}

/** What of a feed is read again, and when next. */
export interface DeepPlan {
  /** Milliseconds since the epoch. */
  readonly nextDeepAt: number;
  /** What is to be read again now; null for nothing yet. */
  readonly during: Interval | null;
}

/**
 * Plans the deep re-read of a feed that is caught up: what it inserts or updates had been missed, by
 * a source that was late or an overlap too small.
 *
 * Only what has been covered without a hole is read again, the overlap included: whatever comes from
 * before had never been promised. The first one is planned, not made.
 *
 * @param overlap how far before its start a window reaches back, in milliseconds
 * @returns null if nothing changes
 */
export function planDeep(
  { id, coverage, nextDeepAt, isOpen }: DeepState,
  { every, span }: DeepSettings,
  overlap: number,
  now: number,
): DeepPlan | null {
  if (span === 0) return null;
  if (nextDeepAt !== null && nextDeepAt > now) return null;
  const next = nextSlot(id, every, now);
  const last = coverage.at(-1);
  if (nextDeepAt === null || isOpen || !last) return { nextDeepAt: next, during: null };
  const from = Math.max(last.to - span, last.from + overlap, reach(now));
  return { nextDeepAt: next, during: from < last.to ? { from, to: last.to } : null };
}
