import type { FeedCoverage, Gap } from './coverage.ts';
import { clip, type Interval, subtract, union } from './interval.ts';
import { reach } from './window.ts';

/** What a stretch of source time is to a feed. */
export type StretchState =
  | 'covered'
  /** Lost, and a person put up with it. */
  | 'accepted'
  | 'open'
  | 'expired'
  /** Still to be loaded, and too young to be a gap. */
  | 'pending'
  /** Before the promise begins, or not promised yet. */
  | 'unpromised';

/** A stretch of source time of one state; times in milliseconds. */
export interface Stretch extends Interval {
  readonly state: StretchState;
  /** Of an open gap: when its first instant drops out of reach. */
  readonly recoverableUntil: number | null;
}

/**
 * Lays out the source time of a feed, oldest first and without a hole: from where its promise or the
 * platform's reach begins, whichever is earlier, up to now.
 *
 * @param holes the feed's gaps by now (`gapsOf`)
 * @param now the platform's time, in milliseconds
 */
export function timeLine(feed: FeedCoverage, holes: readonly Gap[], now: number): Stretch[] {
  const { since, coverage, accepted } = feed;
  const whole = { from: Math.min(since ?? now, reach(now)), to: now };
  const lost = subtract(accepted, coverage);
  const rest = subtract([whole], union(union(coverage, lost), holes));
  const begin = since ?? now;
  const as = (state: StretchState, parts: readonly Interval[]): Stretch[] =>
    clip(parts, whole).map((part) => ({ ...part, state, recoverableUntil: null }));
  return [
    ...as('covered', coverage),
    ...as('accepted', lost),
    ...as('pending', clip(rest, { from: begin, to: now })),
    ...as('unpromised', clip(rest, { from: -Infinity, to: begin })),
    ...holes,
  ].sort((a, b) => a.from - b.from);
}
