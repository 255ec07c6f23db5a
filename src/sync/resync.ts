import { formatChinaIso } from '../core/china-time.ts';
import type { Clock } from '../core/clock.ts';
import type { DatasetName } from '../core/dataset.ts';
import { FatalError } from '../core/errors.ts';
import type { Interval } from '../core/interval.ts';
import type { KnownFeed, NewRequests, RecordedRequest } from '../core/request.ts';
import { reach } from '../core/window.ts';
import { chooseFeeds } from './feed-choice.ts';

/** An interval that somebody wants loaded again, and for which feeds. */
export interface ResyncWish extends Omit<NewRequests, 'feedIds'> {
  readonly orgCode: string;
  readonly datasets: readonly DatasetName[] | 'all';
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
  readonly feed: KnownFeed;
}

/**
 * Records requests to load an interval again, one a feed; nothing is recorded if any of it is wrong.
 *
 * @throws FatalError CONFIG if the interval is empty, in the future or (partly) out of reach, if a
 *   limit for rejects comes without a reason, or if the organisation or a dataset is not there
 */
export async function requestResync(
  { requests, clock }: ResyncWorld,
  { orgCode, datasets, ...wish }: ResyncWish,
): Promise<readonly RequestedFeed[]> {
  checkInterval(wish.during, clock());
  checkLimit(wish);
  const feeds = chooseFeeds(await requests.feedsOf(orgCode), orgCode, datasets);
  const recorded = await requests.record({ ...wish, feedIds: feeds.map(({ id }) => id) });
  return recorded.map((one) => ({ ...one, feed: feeds.find(({ id }) => id === one.feedId)! }));
}

/**
 * Checks that the platform can still serve an interval, the whole of it (P7).
 *
 * @throws FatalError CONFIG that says from when to when it can
 */
export function checkInterval({ from, to }: Interval, now: number): void {
  if (![from, to].every((at) => Number.isInteger(at) && at % 1000 === 0)) {
    throw new FatalError('CONFIG', 'the interval must begin and end at a whole second');
  }
  const shown = `from ${formatChinaIso(from)} to ${formatChinaIso(to)}`;
  if (from === to) throw new FatalError('CONFIG', `the interval ${shown} is empty`);
  if (from > to) throw new FatalError('CONFIG', `the interval ${shown} ends before it begins`);
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

function checkLimit({ maxRejects, reason }: Pick<ResyncWish, 'maxRejects' | 'reason'>): void {
  if (maxRejects === null) return;
  if (!(maxRejects >= 0 && maxRejects <= 100)) {
    throw new FatalError('CONFIG', 'the limit for rejects is a percentage, from 0 to 100');
  }
  if (reason === null || reason.trim() === '') {
    throw new FatalError('CONFIG', 'a limit for rejects of its own needs a reason');
  }
}
