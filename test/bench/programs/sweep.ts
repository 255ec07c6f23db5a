import { readSettings, SERVICE_SETTINGS } from '../../../src/config.ts';
import type { FeedName } from '../../../src/core/dataset.ts';
import { openLogger } from '../../../src/logger.ts';
import { openBackend } from '../../../src/queue/backend.ts';
import { SYNC_JOB, SYNC_QUEUE, type SyncJob, syncJobOptions } from '../../../src/queue/sync-job.ts';
import { startWorker } from '../../../src/queue/worker.ts';
import { catchUp } from '../../../src/sync/catch-up.ts';
import { planTick } from '../../../src/sync/plan.ts';
import { openWorld, type World } from '../../../src/world.ts';
import { platformSettings } from '../platform-settings.ts';
import { serveTasks } from '../program.ts';

/** A sweep over all feeds that are due. */
export interface SweepTask {
  readonly databaseUrl: string;
  readonly baseUrl: string;
  /** `none`: a bare loop over the same feeds, without a queue. */
  readonly queue: 'redis' | 'postgres' | 'none';
  readonly redisUrl: string | null;
  /** Keeps the queue of this sweep apart. */
  readonly namespace: string;
  readonly concurrency: number;
}

/** What a sweep took. */
export interface SweepResult {
  readonly feeds: number;
  /** From a full queue until the last feed was done. */
  readonly seconds: number;
}

serveTasks(async (task: SweepTask): Promise<SweepResult> => {
  const settings = readSettings(
    {
      ...platformSettings(task.baseUrl),
      DATABASE_URL: task.databaseUrl,
      SYNC_CONCURRENCY: String(task.concurrency),
    },
    SERVICE_SETTINGS,
  );
  const world = openWorld({ settings, log: openLogger(settings.LOG_LEVEL) });
  try {
    const feeds = await planTick(world.sync);
    const sweep = task.queue === 'none' ? sweepBare : sweepQueued;
    return { feeds: feeds.length, seconds: await sweep(world, task, feeds) };
  } finally {
    await world.close();
  }
});

/** As the service's worker does it. */
async function serveFeed(world: World, feed: FeedName, signal: AbortSignal): Promise<void> {
  const outcome = await catchUp(world.sync, feed, { trigger: 'schedule' }, signal);
  if (outcome !== 'caught-up') throw new Error(`a feed was ${outcome}`);
}

async function sweepBare(
  world: World,
  { concurrency }: SweepTask,
  feeds: readonly FeedName[],
): Promise<number> {
  const { signal } = new AbortController();
  const queue = feeds.values();
  const runner = async () => {
    for (const feed of queue) await serveFeed(world, feed, signal);
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: concurrency }, runner));
  return (performance.now() - started) / 1000;
}

async function sweepQueued(
  world: World,
  { queue, redisUrl, databaseUrl, namespace, concurrency }: SweepTask,
  feeds: readonly FeedName[],
): Promise<number> {
  const backend = openBackend({
    redisUrl: queue === 'redis' ? redisUrl : null,
    databaseUrl,
    namespace,
    onError: () => {},
  });
  const jobs = backend.queue<SyncJob>(SYNC_QUEUE);
  try {
    // As the planner's tick does it.
    await jobs.addBulk(
      feeds.map((feed) => ({ name: SYNC_JOB, data: { ...feed }, opts: syncJobOptions(feed) })),
    );
    let left = feeds.length;
    let end: (failure?: unknown) => void = () => {};
    const done = new Promise<void>((resolve, reject) => {
      end = (failure) => (failure === undefined ? resolve() : reject(failure));
    });
    const started = performance.now();
    const worker = await startWorker({
      backend,
      concurrency,
      async run(feed, _regardless, signal) {
        await serveFeed(world, feed, signal).catch(end);
        left -= 1;
        if (left === 0) end();
        return 'caught-up';
      },
    });
    await done;
    const seconds = (performance.now() - started) / 1000;
    await worker.close(1_000);
    return seconds;
  } finally {
    await jobs.close();
    await backend.close();
  }
}
