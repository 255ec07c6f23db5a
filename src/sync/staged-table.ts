import { floorSecond } from '../core/china-time.ts';
import { RetryableError } from '../core/errors.ts';
import type { Interval } from '../core/interval.ts';
import { keptHeader } from '../core/table/header.ts';
import { readTable, type Table, type TableOptions } from '../core/table/table-reader.ts';
import { settledUntil } from '../core/window.ts';
import { CATALOGUE } from '../datasets/catalogue.ts';
import type { LoadWorld } from './load.ts';
import type { Download, FeedStaging, FeedStore, MergeOptions, TableBytes } from './ports.ts';
import type { SyncWorld } from './sync-window.ts';
import type { Tally } from './tally.ts';

/**
 * Opens a feed to look at what is staged there, and gives it up again; runs go on beside it.
 *
 * @throws RetryableError `DATABASE_BUSY` while another looks at the same feed, or too many look at once
 */
export async function lookInto<T>(
  { feeds }: { readonly feeds: FeedStore },
  feedId: number,
  signal: AbortSignal,
  look: (staging: FeedStaging) => Promise<T>,
): Promise<T> {
  const staging = await feeds.preview(feedId, signal);
  if (staging === 'busy') {
    throw new RetryableError('DATABASE_BUSY', 'another preview or comparison looks at this feed');
  }
  if (staging === 'full') {
    throw new RetryableError('DATABASE_BUSY', 'too many previews and comparisons are under way');
  }
  try {
    return await look(staging);
  } finally {
    await staging.release();
  }
}

/** Asks the platform for what a feed's window needs; what is lost with the connection is not read on. */
export function openTable(
  { platform }: SyncWorld,
  { feed: { dataset, orgCode, areaCode }, signal }: FeedStaging,
  requested: Interval,
): Promise<Download> {
  return platform.download({ dataset: CATALOGUE[dataset], orgCode, areaCode, requested }, signal);
}

/** How a table is read and staged, where that is not as usual. */
export interface StageOptions {
  /** Reads the table; by default its bytes as one file. */
  readonly read?: (table: TableBytes, options: TableOptions) => Promise<Table>;
  /** Told that more lines were read. */
  readonly report?: () => void;
  /** How they will be merged, if nothing else is asked of the staged rows before. */
  readonly merging?: MergeOptions;
}

/** Reads a table and stages its rows; refused lines are counted and kept back. */
export async function stageTable(
  { feeds, settings }: Pick<LoadWorld, 'feeds' | 'settings'>,
  staging: FeedStaging,
  bytes: TableBytes,
  tally: Tally,
  {
    read = ({ body }, options) => readTable(body, options),
    report = () => {},
    merging,
  }: StageOptions = {},
): Promise<void> {
  const dataset = CATALOGUE[staging.feed.dataset];
  const ownOrgs = settings.otherOrgs === 'accept' ? await feeds.orgCodes() : null;
  const table = await read(bytes, {
    dataset,
    orgCode: staging.feed.orgCode,
    acceptOrg: (org) => ownOrgs !== null && !ownOrgs.has(org),
    declaredCharset: bytes.charset,
    forcedCharset: settings.charset,
    quotes: settings.quotes,
  });
  tally.header = keptHeader(table.header, dataset);
  await staging.stage(table.header, tally.counted(table.batches, report), merging);
}

/**
 * How far a window is covered by an answer, and how far its rows reach; both in milliseconds.
 *
 * @param answered the answer's `Date`, in milliseconds; null without one
 */
export function endsOf(
  { clock, settings: { settle } }: SyncWorld,
  { databaseNow }: FeedStaging,
  window: Interval,
  answered: number | null,
): { readonly covered: number; readonly syncedThrough: number } {
  // The platform's clock rules; without one, Postgres's (P7, design invariant 7). One that runs ahead
  // of ours may be set back: what it calls past by then is still to come.
  const own = clock();
  const date = answered ?? databaseNow;
  const covered = Math.min(window.to, settledUntil(Math.min(date, own), settle));
  // What is not covered yet may have come all the same, up to this moment. The row must say so, or it
  // could be set back by a window that ends before, once the clock is right again.
  const delivered = Math.min(settledUntil(date, settle), floorSecond(own));
  return { covered, syncedThrough: Math.min(window.to, delivered) };
}
