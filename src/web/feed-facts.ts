import { DATASET_NAMES, ORG_CODE } from '../core/dataset.ts';
import type { IntervalSet } from '../core/interval.ts';
import { type Stretch, timeLine } from '../core/time-line.ts';
import { remaining } from '../core/work.ts';
import { type ComparisonRow, listComparisons } from '../store/comparison-ledger.ts';
import { type FeedRequest, listFeedRequests } from '../store/feed-requests.ts';
import { openRequests } from '../store/feeds.ts';
import { type AcceptanceRow, listAcceptances } from '../store/gap-acceptance.ts';
import {
  listRuns,
  type PlatformBlock,
  type RunRow,
  readStatus,
  type StatusRow,
} from '../store/ledgers.ts';
import { countUnresolvedRejects, type RejectCount } from '../store/reject-counts.ts';
import { listRejects, type RejectRow } from '../store/reject-ledger.ts';
import { PageError } from './page-error.ts';
import type { WebOptions } from './server.ts';

/** Rows that each of the ledgers shows of a feed. */
const SHOWN = { runs: 50, requests: 50, rejects: 20, comparisons: 40, findings: 20 } as const;

/** A feed as an address names it. */
export interface FeedAddress {
  readonly org: string;
  readonly dataset: string;
}

/** How a feed stands; times in milliseconds. */
export interface FeedStanding {
  readonly feed: StatusRow;
  readonly blocked: PlatformBlock | null;
  readonly line: readonly Stretch[];
  /** The platform's time. */
  readonly now: number;
}

/** What the ledgers tell of a feed. */
export interface FeedLedgers {
  readonly acceptances: readonly AcceptanceRow[];
  readonly runs: readonly RunRow[];
  readonly requests: readonly FeedRequest[];
  /** What open requests still have to load, by their id. */
  readonly remaining: ReadonlyMap<number, IntervalSet>;
  readonly rejectCounts: readonly RejectCount[];
  readonly rejects: readonly RejectRow[];
  /** The newest comparisons with the source, and what they have found. */
  readonly comparisons: readonly ComparisonRow[];
}

/**
 * Reads how a feed stands.
 *
 * @throws PageError 404 if there is no such feed
 */
export async function readStanding(
  { world, db, settings }: Pick<WebOptions, 'world' | 'db' | 'settings'>,
  { org, dataset: name }: FeedAddress,
): Promise<FeedStanding> {
  const dataset = DATASET_NAMES.find((one) => one === name);
  if (!dataset || !ORG_CODE.test(org)) throw new PageError(404, 'notFound');
  const { feeds, blocked, now } = await readStatus(db, world.settings, world.clock(), {
    orgCode: org,
    dataset,
    appId: settings.VCC_APP_ID,
  });
  const [feed] = feeds;
  if (!feed) throw new PageError(404, 'notFound');
  return { feed, blocked, now, line: timeLine(feed, feed.gaps, now) };
}

/** Reads the newest of what the ledgers tell of a feed. */
export async function readLedgers(
  db: WebOptions['db'],
  { feed: { feedId, orgCode, dataset }, now }: FeedStanding,
): Promise<FeedLedgers> {
  const filter = { orgCode, dataset };
  const [acceptances, runs, requests, open, rejectCounts, rejects, comparisons] = await Promise.all(
    [
      listAcceptances(db, feedId),
      listRuns(db, { ...filter, limit: SHOWN.runs }),
      listFeedRequests(db, feedId, SHOWN.requests),
      openRequests(db, feedId),
      countUnresolvedRejects(db, feedId),
      listRejects(db, { ...filter, state: 'open', limit: SHOWN.rejects }),
      listComparisons(db, { feedId, limit: SHOWN.comparisons, findings: SHOWN.findings }),
    ],
  );
  const left = new Map(open.map((request) => [request.id, remaining(request, now)]));
  return { acceptances, runs, requests, remaining: left, rejectCounts, rejects, comparisons };
}
