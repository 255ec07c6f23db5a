import { DAY } from './china-time.ts';
import { type ErrorCode, MEANINGS } from './errors.ts';

/** A finished run, as far as it tells of the platform. */
export interface FinishedRun {
  readonly feedId: number;
  /** Null for a run that went well. */
  readonly errorCode: ErrorCode | null;
  /** Length of its window, in milliseconds. */
  readonly length: number;
}

/** From so many feeds that fail in a row on, the platform as a whole is away. */
export const OUTAGE_FEEDS = 5;

/**
 * The longest window whose timeout or cut tells of the platform, in milliseconds. Longer ones are halved
 * first (P5): a platform that needs too long for them is not away.
 */
const SHORT_WINDOW = DAY;

/**
 * Whether the newest runs show that the platform as a whole is away: several feeds, or all there are,
 * failed one after another in a way that is not theirs, and none went well since.
 *
 * @param newestFirst finished runs of all feeds; interrupted ones tell nothing and are left out
 * @param activeFeeds how many feeds there are; more than `OUTAGE_FEEDS` need not be counted
 */
export function isOutage(newestFirst: readonly FinishedRun[], activeFeeds: number): boolean {
  const failing = new Set<number>();
  for (const { feedId, errorCode, length } of newestFirst) {
    if (errorCode === null) break;
    const { wide } = MEANINGS[errorCode];
    if (wide === true || (wide === 'short' && length <= SHORT_WINDOW)) failing.add(feedId);
  }
  return failing.size > 0 && failing.size >= Math.min(OUTAGE_FEEDS, activeFeeds);
}
