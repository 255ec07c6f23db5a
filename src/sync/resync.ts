import { formatChinaIso } from '../core/china-time.ts';
import type { Clock } from '../core/clock.ts';
import type { DatasetName } from '../core/dataset.ts';
import { FatalError } from '../core/errors.ts';
import { checkIntervalForm, type Interval } from '../core/interval.ts';
import type { KnownFeed, NewRequests, RecordedRequest } from '../core/request.ts';
import { reach } from '../core/window.ts';
import { chooseFeeds } from './feed-choice.ts';

/** Which feeds somebody means: each dataset of each organisation. */
export interface FeedChoice {
  readonly orgCodes: readonly string[];
  readonly datasets: readonly DatasetName[] | 'all';
}

/** An interval that somebody wants loaded again, and for which feeds. */
export interface ResyncWish extends FeedChoice, Omit<NewRequests, 'feedIds'> {}

/** A feed that was chosen. */
export interface ChosenFeed extends KnownFeed {
  readonly orgCode: string;
}

/** Where requests are written down. */
export interface RequestStore {
  /** The feeds of an organisation in the document's order; null if it is not known. */
  feedsOf(orgCode: string): Promise<readonly KnownFeed[] | null>;
  /** Records one request a feed and makes those feeds due now, all together. */
  record(requests: NewRequests): Promise<readonly RecordedRequest[]>;
}

/** What recording a wish needs of the world. */
export interface ResyncWorld {
  readonly requests: RequestStore;
  readonly clock: Clock;
}

/** A recorded request with the feed that it is for. */
export interface RequestedFeed extends RecordedRequest {
  readonly feed: ChosenFeed;
}

/**
 * Records requests to load an interval again, one a feed, all together; nothing is recorded if any of
 * it is wrong.
 *
 * @throws FatalError CONFIG if the interval is empty, in the future or (partly) out of reach, if a
 *   limit for rejects comes without a reason, or if an organisation or a dataset is not there
 */
export async function requestResync(
  { requests, clock }: ResyncWorld,
  { orgCodes, datasets, ...wish }: ResyncWish,
): Promise<readonly RequestedFeed[]> {
  checkInterval(wish.during, clock());
  checkLimit(wish);
  const feeds = await feedsChosen(requests, { orgCodes, datasets });
  const recorded = await requests.record({ ...wish, feedIds: feeds.map(({ id }) => id) });
  return recorded.map((one) => ({ ...one, feed: feeds.find(({ id }) => id === one.feedId)! }));
}

/**
 * The feeds that somebody means, by organisation as they were named.
 *
 * @throws FatalError CONFIG that names the organisation or the dataset that is not there
 */
export async function feedsChosen(
  { feedsOf }: Pick<RequestStore, 'feedsOf'>,
  { orgCodes, datasets }: FeedChoice,
): Promise<readonly ChosenFeed[]> {
  const named = [...new Set(orgCodes)];
  const known = await Promise.all(named.map((orgCode) => feedsOf(orgCode)));
  return named.flatMap((orgCode, index) =>
    chooseFeeds(known[index]!, orgCode, datasets).map((feed) => ({ ...feed, orgCode })),
  );
}

/**
 * Checks that the platform can still serve an interval, the whole of it (P7).
 *
 * @throws FatalError CONFIG that says from when to when it can
 */
export function checkInterval({ from, to }: Interval, now: number): void {
  checkIntervalForm({ from, to });
  const shown = `from ${formatChinaIso(from)} to ${formatChinaIso(to)}`;
  if (to > now) {
    const inFuture = from > now ? 'lies' : 'ends';
    throw new FatalError(
      'CONFIG',
      `the interval ${shown} ${inFuture} in the future: it is now ${formatChinaIso(now)}`,
    );
  }
  const earliest = reach(now);
  if (from >= earliest) return;
  const part = to <= earliest ? 'out of reach' : 'partly out of reach';
  throw new FatalError(
    'CONFIG',
    `the interval ${shown} is ${part}: the platform serves nothing from before ${formatChinaIso(earliest)}; ` +
      'older data needs vcc-sync import',
  );
}

/**
 * Checks a limit for rejects of a request's own.
 *
 * @throws FatalError CONFIG if it is no percentage or has no reason
 */
export function checkLimit({
  maxRejects,
  reason,
}: Pick<ResyncWish, 'maxRejects' | 'reason'>): void {
  if (maxRejects === null) return;
  if (!(maxRejects >= 0 && maxRejects <= 100)) {
    throw new FatalError('CONFIG', 'the limit for rejects is a percentage, from 0 to 100');
  }
  if (reason === null || reason.trim() === '') {
    throw new FatalError('CONFIG', 'a limit for rejects of its own needs a reason');
  }
}
