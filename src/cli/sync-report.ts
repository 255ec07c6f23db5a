import type { FeedName } from '../core/dataset.ts';
import { describeError, type SyncError } from '../core/errors.ts';
import { openRequests } from '../store/feeds.ts';
import type { Database } from '../store/pool.ts';
import type { CatchUpOutcome } from '../sync/catch-up.ts';
import type { Feed } from '../sync/ports.ts';
import { subjectOf, type WindowOutcome } from '../sync/sync-window.ts';
import {
  chinaTime,
  count,
  isoTime,
  type Listing,
  type Output,
  printRows,
  type TableColumn,
} from './output.ts';

/** How one feed ended: its error, or else the outcome. */
export interface FeedResult {
  readonly feed: Feed;
  readonly outcome: CatchUpOutcome | null;
  readonly error: SyncError | null;
}

/** A committed run of a feed. */
export interface Loaded extends Pick<WindowOutcome, 'runId' | 'window' | 'receipt'> {
  readonly feed: FeedName;
}

/** A request that the command has recorded. */
export interface Wish {
  readonly id: number;
  readonly feedId: number;
}

/** What has come of a sync. */
export interface SyncResults {
  readonly loaded: readonly Loaded[];
  readonly results: readonly FeedResult[];
  /** The recorded requests that are not finished. */
  readonly openWishes: readonly Wish[];
}

/** The requests among those recorded of which something is still to be loaded. */
export async function findOpenWishes(db: Database, wishes: readonly Wish[]): Promise<Wish[]> {
  const open: Wish[] = [];
  for (const wish of wishes) {
    const requests = await openRequests(db, wish.feedId);
    if (requests.some(({ id }) => id === wish.id)) open.push(wish);
  }
  return open;
}

/**
 * Prints the receipts and tells what did not go through.
 *
 * @returns whether the command has done all that it was asked to
 */
export function reportSync(
  { loaded, results, openWishes }: SyncResults,
  { json, out }: { readonly json?: boolean | undefined; readonly out: Output },
): boolean {
  const inStep = openWishes.length === 0 && results.every((one) => one.outcome === 'nothing-to-do');
  if (json || loaded.length > 0 || inStep) printRows(loaded, RECEIPTS, { json, out });
  for (const { feed, outcome } of results) {
    if (outcome === 'busy') {
      out.note(`${subjectOf(feed)}: another process is loading it; passed over`);
    }
  }
  for (const wish of openWishes) noteOpenWish(wish, results, out);
  return !noteFailures(results, out);
}

function noteOpenWish({ id, feedId }: Wish, results: readonly FeedResult[], out: Output): void {
  const result = results.find(({ feed }) => feed.id === feedId)!;
  const waits = result.outcome === 'caught-up' || result.outcome === 'nothing-to-do';
  out.note(
    waits
      ? `${subjectOf(result.feed)}: the rest of request ${id} will be loaded once it has settled, by the running service or the next sync`
      : `${subjectOf(result.feed)}: request ${id} stays open; the running service or the next sync carries it out`,
  );
}

/** One line a failed feed, and one for all that were interrupted. */
function noteFailures(results: readonly FeedResult[], out: Output): boolean {
  const unfinished = results.filter(({ error }) => error !== null);
  const failed = unfinished.filter(({ error }) => error!.code !== 'INTERRUPTED');
  const interrupted = unfinished.length - failed.length;
  for (const { feed, error } of failed) out.note(describeError(error!, subjectOf(feed)));
  if (failed.length > 0) out.note(`${failed.length} of ${results.length} feeds failed`);
  if (interrupted > 0) {
    out.note(
      `interrupted: ${interrupted} of ${results.length} feeds are not finished; what is committed stays, the rest is loaded next time`,
    );
  }
  return unfinished.length > 0;
}

const COUNTS = [
  'lines',
  'inserted',
  'updated',
  'unchanged',
  'stale',
  'duplicate',
  'rejected',
  'flagged',
] as const;

/** Receipts of committed runs. */
export const RECEIPTS: Listing<Loaded> = {
  columns: [
    { title: 'run', text: ({ runId }) => String(runId), right: true },
    { title: 'org', text: ({ feed }) => feed.orgCode },
    { title: 'dataset', text: ({ feed }) => feed.dataset },
    { title: 'from', text: ({ window }) => chinaTime(window.from) },
    { title: 'to', text: ({ window }) => chinaTime(window.to) },
    ...COUNTS.map(
      (title): TableColumn<Loaded> => ({
        title,
        text: ({ receipt }) => count(receipt[title]),
        right: true,
      }),
    ),
  ],
  record: ({ runId, feed, window, receipt }) => ({
    id: runId,
    org_code: feed.orgCode,
    dataset: feed.dataset,
    window_from: isoTime(window.from),
    window_to: isoTime(window.to),
    ...receipt,
  }),
  empty: 'nothing to load: every feed is in step',
};
