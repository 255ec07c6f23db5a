import { setMaxListeners } from 'node:events';
import type { Command } from 'commander';
import { readSettings, SERVICE_SETTINGS, type Settings } from '../config.ts';
import { missing } from '../core/coverage.ts';
import type { DatasetName } from '../core/dataset.ts';
import { FatalError, InterruptedError, toSyncError } from '../core/errors.ts';
import { clip, union } from '../core/interval.ts';
import { settledUntil } from '../core/window.ts';
import { openLogger } from '../logger.ts';
import { listFeeds } from '../store/feeds.ts';
import { openRequestStore } from '../store/requests.ts';
import { type CatchUpOptions, catchUp } from '../sync/catch-up.ts';
import { unknownOrg } from '../sync/feed-choice.ts';
import type { Feed } from '../sync/ports.ts';
import { requestResync } from '../sync/resync.ts';
import { subjectOf } from '../sync/sync-window.ts';
import { openWorld, type World } from '../world.ts';
import { checkDatabase } from './action.ts';
import { readDataset, readOrgCode, readTime, requestedBy, TIME_HELP } from './arguments.ts';
import { processOutput } from './output.ts';
import { type FeedEnd, type FeedWork, ProgressLine } from './progress.ts';
import {
  type FeedResult,
  findOpenWishes,
  type Loaded,
  reportSync,
  type Wish,
} from './sync-report.ts';

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

async function sync(settings: Settings, options: SyncOptions): Promise<void> {
  // Failures are printed at the end; the log would tear the progress line.
  const log = openLogger(process.stderr.isTTY ? 'silent' : settings.LOG_LEVEL);
  let line = new ProgressLine(process.stderr, []);
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
    const wishes = await recordWishes(world, feeds, options);
    line = new ProgressLine(process.stderr, await measure(world, feeds, options));
    const loaded: Loaded[] = [];
    const results = await eachFeed(feeds, settings.SYNC_CONCURRENCY, async (feed) => {
      const result = await syncFeed(
        world,
        feed,
        {
          trigger: 'cli',
          regardless: true,
          wait: options.wait,
          onBusy: () => line.note(`${subjectOf(feed)}: another process is loading it; waiting`),
          onWindow(outcome) {
            loaded.push({ ...outcome, feed });
            line.window(feed.id, outcome);
          },
        },
        stopping.signal,
      );
      line.feed(feed.id, endOf(result));
      return result;
    });
    line.clear();
    // A database that is gone by now has failed feeds, which says enough; the receipts come first.
    const openWishes = await findOpenWishes(world.store.db, wishes).catch(() => []);
    const isDone = reportSync(
      { loaded, results, openWishes },
      { json: options.json, out: processOutput },
    );
    if (!isDone) process.exitCode = 1;
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
): Promise<Wish[]> {
  if (from === undefined || to === undefined) return [];
  const wishes: Wish[] = [];
  const requests = openRequestStore(world.store.db);
  for (const orgCode of new Set(feeds.map((feed) => feed.orgCode))) {
    const recorded = await requestResync(
      { requests, clock: world.sync.clock },
      {
        orgCodes: [orgCode],
        datasets: feeds.filter((feed) => feed.orgCode === orgCode).map((feed) => feed.dataset),
        during: { from, to },
        force: false,
        maxRejects: null,
        reason: 'vcc-sync sync --from --to',
        requestedBy: requestedBy(),
      },
    );
    wishes.push(...recorded);
  }
  return wishes;
}

/** What each feed lacks, or is to load again: that is known before anything is asked for. */
async function measure(
  { sync: { clock, platformState, settings } }: World,
  feeds: readonly Feed[],
  { from, to }: SyncOptions,
): Promise<FeedWork[]> {
  const now = clock() + (await platformState.clockSkew());
  const until = settledUntil(now, settings.settle);
  const wished =
    from === undefined || to === undefined
      ? []
      : clip([{ from, to }], { from: -Infinity, to: until });
  return feeds.map((feed) => ({
    id: feed.id,
    missing: union(missing(feed, until, now), wished),
  }));
}

async function syncFeed(
  { sync: world }: World,
  feed: Feed,
  options: CatchUpOptions,
  signal: AbortSignal,
): Promise<FeedResult> {
  if (signal.aborted) return { feed, outcome: null, error: new InterruptedError() };
  try {
    return { feed, outcome: await catchUp(world, feed, options, signal), error: null };
  } catch (error) {
    return { feed, outcome: null, error: toSyncError(error) };
  }
}

function endOf({ outcome, error }: FeedResult): FeedEnd {
  if (error) return error.code === 'INTERRUPTED' ? 'left' : 'failed';
  return outcome === 'busy' ? 'left' : 'done';
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
