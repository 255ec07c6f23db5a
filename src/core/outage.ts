import { type ErrorCode, MEANINGS } from './errors.ts';

/** A finished run, as far as it tells of the platform. */
export interface FinishedRun {
  readonly feedId: number;
  /** Null for a run that went well. */
  readonly errorCode: ErrorCode | null;
}

/** From so many feeds that fail in a row on, the platform as a whole is away. */
export const OUTAGE_FEEDS = 5;

/**
 * Whether the newest runs show that the platform as a whole is away: several feeds, or all there are,
 * failed one after another in a way that is not theirs, and none went well since.
 *
 * @param newestFirst finished runs of all feeds; interrupted ones tell nothing and are left out
 * @param activeFeeds how many feeds there are; more than `OUTAGE_FEEDS` need not be counted
 */
export function isOutage(newestFirst: readonly FinishedRun[], activeFeeds: number): boolean {
  const failing = new Set<number>();
  for (const { feedId, errorCode } of newestFirst) {
    if (errorCode === null) break;
    if (MEANINGS[errorCode].wide) failing.add(feedId);
  }
  return failing.size > 0 && failing.size >= Math.min(OUTAGE_FEEDS, activeFeeds);
}
