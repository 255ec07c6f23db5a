import type { Interval, IntervalSet } from '../core/interval.ts';
import { type IntervalParts, partInterval, planWindows } from '../core/resync-plan.ts';
import { type ChosenFeed, type FeedChoice, feedsChosen, type RequestStore } from './resync.ts';
import type { SyncWorld } from './sync-window.ts';

/** A feed and the windows in which it is loaded again, oldest first. */
export interface PlannedFeed extends ChosenFeed {
  readonly windows: IntervalSet;
}

/** What a re-sync will do, and which part of it can not be had. */
export interface ResyncPlan extends IntervalParts {
  readonly feeds: readonly PlannedFeed[];
}

/** What a plan needs of the world. */
export interface PlanWorld {
  readonly sync: Pick<SyncWorld, 'clock' | 'feeds' | 'platformState' | 'settings'>;
  readonly requests: Pick<RequestStore, 'feedsOf'>;
}

/**
 * Lays out the windows of a re-sync without asking the platform for anything.
 *
 * @param choice an interval in whole seconds, and for which feeds
 * @throws FatalError CONFIG that names the organisation or the dataset that is not there
 */
export async function planResync(
  { sync, requests }: PlanWorld,
  choice: FeedChoice & { readonly during: Interval },
): Promise<ResyncPlan> {
  const feeds = await feedsChosen(requests, choice);
  const lastRuns = await sync.feeds.lastRuns(feeds.map(({ id }) => id));
  const now = sync.clock();
  const parts = partInterval(choice.during, now);
  const platformNow = now + (await sync.platformState.clockSkew());
  return {
    ...parts,
    feeds: feeds.map((feed) => ({
      ...feed,
      windows: planWindows(
        parts.obtainable,
        lastRuns.get(feed.id) ?? [],
        sync.settings,
        platformNow,
      ),
    })),
  };
}
