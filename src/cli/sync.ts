import { setMaxListeners } from 'node:events';
import type { Command } from 'commander';
import { readSettings, SERVICE_SETTINGS, type Settings } from '../config.ts';
import type { DatasetName } from '../core/dataset.ts';
import {
  describeError,
  FatalError,
  InterruptedError,
  type SyncError,
  toSyncError,
} from '../core/errors.ts';
import { openLogger } from '../logger.ts';
import { listFeeds } from '../store/feeds.ts';
import { openRequestStore } from '../store/requests.ts';
import { type CatchUpOutcome, catchUp } from '../sync/catch-up.ts';
import { unknownOrg } from '../sync/feed-choice.ts';
import type { Feed } from '../sync/ports.ts';
import { requestResync } from '../sync/resync.ts';
import { subjectOf, type WindowOutcome } from '../sync/sync-window.ts';
import { openWorld, type World } from '../world.ts';
import { checkDatabase } from './action.ts';
import { readDataset, readOrgCode, readTime, requestedBy, TIME_HELP } from './arguments.ts';
import { chinaTime, count, isoTime, type Listing, printRows, processOutput } from './output.ts';
import { ProgressLine } from './progress.ts';

interface SyncOptions {
  readonly org?: string;
  readonly dataset?: DatasetName;
  readonly from?: number;
  readonly to?: number;
  readonly wait: boolean;
  readonly json?: boolean;
}

/** Adds `sync`: loads feeds now, in the foreground. */
export function registerSync(program: Command): void {
  program
    .command('sync')
    .description('load what is missing now, in the foreground, and print the receipts')
    .option('--org <code>', 'one organisation; all by default', readOrgCode)
    .option('--dataset <name>', 'one dataset; all by default', readDataset)
    .option('--from <time>', `load this interval again: ${TIME_HELP}`, readTime)
    .option('--to <time>', 'end of that interval', readTime)
    .option('--no-wait', 'pass over a feed that another process is loading')
    .option('--json', 'print the receipts as JSON')
    .action(async (options: SyncOptions) => {
      if ((options.from === undefined) !== (options.to === undefined)) {
        throw new FatalError('CONFIG', '--from and --to belong together');
      }
      await sync(readSettings(process.env, SERVICE_SETTINGS), options);
    });
}

/** How one feed ended. */
interface FeedResult {
  readonly feed: Feed;
  readonly outcome: CatchUpOutcome | null;
  readonly error: SyncError | null;
}

/** A committed window of a feed. */
interface Loaded extends WindowOutcome {
  readonly feed: Feed;
}

async function sync(settings: Settings, options: SyncOptions): Promise<void> {
  // Failures are printed at the end; the log would tear the progress line.
  const log = openLogger(process.stderr.isTTY ? 'silent' : settings.LOG_LEVEL);
  let line = new ProgressLine(process.stderr, 0);
  const world = openWorld({ settings, log, onProgress: (progress) => line.progress(progress) });
  const stopping = new AbortController();
  // Every run in hand listens, however many there are.
  setMaxListeners(0, stopping.signal);
  const stop = () => stopping.abort();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  try {
    await checkDatabase(world.store.db, settings.DATABASE_URL);
    const feeds = await chooseActiveFeeds(world, options);
    if (options.from !== undefined) await recordWishes(world, feeds, options);
    line = new ProgressLine(process.stderr, feeds.length);
    const loaded: Loaded[] = [];
    const results = await eachFeed(feeds, settings.SYNC_CONCURRENCY, async (feed) => {
      const result = await syncFeed(world, feed, options, stopping.signal, (outcome) => {
        loaded.push({ ...outcome, feed });
        line.window(outcome);
      });
      line.feed();
      return result;
    });
    line.clear();
    printRows(loaded, RECEIPTS, { json: options.json });
    report(results);
  } finally {
    line.clear();
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
    await world.close();
  }
}

async function chooseActiveFeeds(world: World, { org, dataset }: SyncOptions): Promise<Feed[]> {
  const feeds = await listFeeds(world.store.db, { orgCode: org, dataset });
  if (feeds.length === 0 && org !== undefined) throw unknownOrg(org);
  if (feeds.length === 0) {
    throw new FatalError('CONFIG', 'there are no organisations yet; vcc-sync org add adds one');
  }
  const active = feeds.filter((feed) => feed.active);
  if (active.length === 0) {
    throw new FatalError('CONFIG', 'every feed asked for is disabled or paused');
  }
  return active;
}

/** Writes the interval down as requests of this command; the sync that follows carries them out. */
async function recordWishes(
  world: World,
  feeds: readonly Feed[],
  { from, to }: SyncOptions,
): Promise<void> {
  const requests = openRequestStore(world.store.db);
  for (const orgCode of new Set(feeds.map((feed) => feed.orgCode))) {
    await requestResync(
      { requests, clock: world.sync.clock },
      {
        orgCode,
        datasets: feeds.filter((feed) => feed.orgCode === orgCode).map((feed) => feed.dataset),
        during: { from: from!, to: to! },
        force: false,
        maxRejects: null,
        reason: 'vcc-sync sync --from --to',
        requestedBy: requestedBy(),
      },
    );
  }
}

async function syncFeed(
  { sync: world }: World,
  feed: Feed,
  { wait }: SyncOptions,
  signal: AbortSignal,
  onWindow: (outcome: WindowOutcome) => void,
): Promise<FeedResult> {
  if (signal.aborted) return { feed, outcome: null, error: new InterruptedError() };
  try {
    const options = { trigger: 'cli', regardless: true, wait, onWindow } as const;
    return { feed, outcome: await catchUp(world, feed, options, signal), error: null };
  } catch (error) {
    return { feed, outcome: null, error: toSyncError(error) };
  }
}

/** Works through a list, a few at a time, and answers in its order. */
async function eachFeed<R>(
  feeds: readonly Feed[],
  atOnce: number,
  work: (feed: Feed) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const queue = feeds.entries();
  const runner = async () => {
    for (const [index, feed] of queue) results[index] = await work(feed);
  };
  await Promise.all(Array.from({ length: atOnce }, runner));
  return results;
}

/** Tells what did not go through; a failed feed makes the command fail. */
function report(results: readonly FeedResult[]): void {
  for (const { feed, outcome } of results) {
    if (outcome === 'busy') {
      processOutput.note(`${subjectOf(feed)}: another process is loading it; passed over`);
    }
  }
  const failed = results.filter(({ error }) => error !== null);
  for (const { feed, error } of failed) processOutput.note(describeError(error!, subjectOf(feed)));
  if (failed.length > 0) {
    processOutput.note(`${failed.length} of ${results.length} feeds failed`);
    process.exitCode = 1;
  }
}

const RECEIPTS: Listing<Loaded> = {
  columns: [
    { title: 'run', text: ({ runId }) => String(runId), right: true },
    { title: 'org', text: ({ feed }) => feed.orgCode },
    { title: 'dataset', text: ({ feed }) => feed.dataset },
    { title: 'from', text: ({ window }) => chinaTime(window.from) },
    { title: 'to', text: ({ window }) => chinaTime(window.to) },
    ...(
      [
        'lines',
        'inserted',
        'updated',
        'unchanged',
        'stale',
        'duplicate',
        'rejected',
        'flagged',
      ] as const
    ).map((title) => ({
      title,
      text: ({ receipt }: Loaded) => count(receipt[title]),
      right: true,
    })),
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
