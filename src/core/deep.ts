import { watermark } from './coverage.ts';
import type { Interval, IntervalSet } from './interval.ts';
import { nextSlot } from './schedule.ts';
import { reach } from './window.ts';

/** How a feed's newest time is read again, to find what came too late; in milliseconds. */
export interface DeepSettings {
  /** Interval between deep re-reads; 0: none. */
  readonly every: number;
  /** How far before the watermark one begins. */
  readonly span: number;
}

/** What decides a deep re-read; times in milliseconds. */
export interface DeepState {
  readonly feedId: number;
  readonly coverage: IntervalSet;
  /** When the next one is due; null before the first was planned. */
  readonly nextDeepAt: number | null;
  /** Whether one is still open. */
  readonly open: boolean;
}

/** What follows: when the next deep re-read is due, and the interval to request now, if any. */
export interface DeepTurn {
  readonly nextDeepAt: number | null;
  readonly during: Interval | null;
}

/**
 * Plans deep re-reads of a feed that is caught up: at its own slot of each period, spread like its
 * other slots, `[watermark − span, watermark)` clipped to reach.
 *
 * The first is planned, not made: what was just loaded need not be read again at once.
 */
export function planDeep(
  { feedId, coverage, nextDeepAt, open }: DeepState,
  { every, span }: DeepSettings,
  now: number,
): DeepTurn {
  if (every === 0) return { nextDeepAt: null, during: null };
  if (nextDeepAt !== null && now < nextDeepAt) return { nextDeepAt, during: null };
  const later = nextSlot(feedId, every, now);
  const to = watermark(coverage);
  if (nextDeepAt === null || open || to === null) return { nextDeepAt: later, during: null };
  const from = Math.max(to - span, reach(now));
  return { nextDeepAt: later, during: from < to ? { from, to } : null };
}
