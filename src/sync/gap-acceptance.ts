import { formatChinaIso } from '../core/china-time.ts';
import type { Clock } from '../core/clock.ts';
import type { FeedCoverage } from '../core/coverage.ts';
import type { DatasetName } from '../core/dataset.ts';
import { FatalError } from '../core/errors.ts';
import { gapsOf, type HealthSettings } from '../core/health.ts';
import { checkIntervalForm, clip, type Interval, type IntervalSet } from '../core/interval.ts';
import type { KnownFeed } from '../core/request.ts';
import { chooseFeeds } from './feed-choice.ts';

/** Expired gaps that somebody puts up with, and why. */
export interface GapWish {
  readonly orgCode: string;
  readonly dataset: DatasetName;
  /** Where to look for them; milliseconds of whole seconds. */
  readonly during: Interval;
  readonly reason: string;
  /** Who accepts them, such as `cli:root` or `web:alice`. */
  readonly acceptedBy: string;
}

/** Where accepted gaps are written down. */
export interface GapStore {
  /** The feeds of an organisation in the document's order; null if it is not known. */
  feedsOf(orgCode: string): Promise<readonly KnownFeed[] | null>;
  /**
   * Records the gaps that `choose` picks by the feed's coverage, which stands still meanwhile.
   *
   * What `choose` throws comes through, with nothing recorded.
   */
  accept(
    feedId: number,
    by: Pick<GapWish, 'reason' | 'acceptedBy'>,
    choose: (feed: FeedCoverage & { readonly every: number | null }) => IntervalSet,
  ): Promise<IntervalSet>;
}

/** What accepting gaps needs of the world. */
export interface GapWorld {
  readonly gaps: GapStore;
  readonly clock: Clock;
  readonly settings: HealthSettings;
}

/** What was accepted. */
export interface AcceptedGaps {
  readonly feed: KnownFeed;
  /** The expired gaps within the interval, oldest first; at least one. */
  readonly accepted: IntervalSet;
}

/**
 * Accepts the expired gaps within an interval: exactly those parts of it that are not covered, not
 * accepted yet and out of the platform's reach for good. They count as complete from then on.
 *
 * @throws FatalError CONFIG, with nothing recorded, if there are none, the interval is malformed, the
 *   reason is empty, or the organisation or dataset is not there
 */
export async function acceptGaps(
  { gaps, clock, settings }: GapWorld,
  { orgCode, dataset, during, reason, acceptedBy }: GapWish,
): Promise<AcceptedGaps> {
  checkIntervalForm(during);
  if (reason.trim() === '') {
    throw new FatalError('CONFIG', 'an accepted gap needs a reason: rows may be missing for good');
  }
  const [feed] = chooseFeeds(await gaps.feedsOf(orgCode), orgCode, [dataset]);
  const by = { reason: reason.trim(), acceptedBy };
  const accepted = await gaps.accept(feed!.id, by, (known) => {
    const expired = gapsOf(known, clock(), settings).filter(({ state }) => state === 'expired');
    const chosen = clip(expired, during);
    if (chosen.length > 0) return chosen;
    throw new FatalError(
      'CONFIG',
      `${dataset} ${orgCode} has no expired gap from ${formatChinaIso(during.from)} to ${formatChinaIso(during.to)}; ` +
        'vcc-sync gaps lists those there are, and open ones fill by themselves',
    );
  });
  return { feed: feed!, accepted };
}
