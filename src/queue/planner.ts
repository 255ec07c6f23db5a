import type { FeedName } from '../core/dataset.ts';
import { describeError, toSyncError } from '../core/errors.ts';
import type { SyncLog } from '../sync/ports.ts';
import type { QueueBackend } from './backend.ts';
import { closeWithin } from './closing.ts';
import { PLAN_QUEUE, SYNC_JOB, SYNC_QUEUE, type SyncJob, syncJobOptions } from './sync-job.ts';

const SCHEDULER = 'tick';

/** What the planner needs of the world. */
export interface PlannerOptions {
  readonly backend: QueueBackend;
  /** Milliseconds between ticks. */
  readonly tick: number;
  /** Finds the feeds to wake. */
  readonly plan: () => Promise<readonly FeedName[]>;
  /** Runs work of which only one may be under way in all processes. */
  readonly exclusively: <T>(work: () => Promise<T>) => Promise<T>;
  readonly log: SyncLog;
}

/** A planner that runs. */
export interface Planner {
  close(): Promise<void>;
}

/**
 * Starts the planner: a BullMQ job scheduler ticks once for all processes, and each tick adds a job
 * for every feed that is due (design section 3).
 *
 * The scheduler itself is watched and made anew, since whoever empties Redis takes it away too.
 */
export async function startPlanner(options: PlannerOptions): Promise<Planner> {
  const { backend, tick, plan, log } = options;
  const planQueue = backend.queue<object>(PLAN_QUEUE);
  const syncQueue = backend.queue<SyncJob>(SYNC_QUEUE);
  const ensure = () => ensureScheduler(planQueue, options);
  await Promise.all([planQueue.waitUntilReady(), syncQueue.waitUntilReady()]);
  await ensure();

  const worker = backend.worker<object, number>(
    PLAN_QUEUE,
    async () => {
      try {
        const feeds = await plan();
        await syncQueue.addBulk(
          feeds.map((feed) => ({ name: SYNC_JOB, data: { ...feed }, opts: syncJobOptions(feed) })),
        );
        return feeds.length;
      } catch (error) {
        const failure = toSyncError(error);
        log.warn({ code: failure.code, error: describeError(failure) }, 'planner tick failed');
        return 0;
      }
    },
    { concurrency: 1 },
  );
  let ensuring = false;
  const watch = setInterval(async () => {
    if (ensuring) return;
    ensuring = true;
    await ensure().catch((error) =>
      log.warn({ code: toSyncError(error).code }, 'scheduler not ensured'),
    );
    ensuring = false;
  }, tick);
  return {
    async close() {
      clearInterval(watch);
      await Promise.all([worker, planQueue, syncQueue].map((part) => closeWithin(part)));
    },
  };
}

type PlanQueue = ReturnType<QueueBackend['queue']>;

/** Makes the scheduler where it is missing, differs or has stopped; not otherwise, since that would delay it. */
async function ensureScheduler(
  queue: PlanQueue,
  { tick, exclusively }: PlannerOptions,
): Promise<void> {
  if (await isTicking(queue, tick)) return;
  await exclusively(async () => {
    if (await isTicking(queue, tick)) return;
    await queue.setGlobalConcurrency(1);
    await queue.upsertJobScheduler(
      SCHEDULER,
      { every: tick },
      { name: 'plan', data: {}, opts: { attempts: 1, removeOnComplete: true, removeOnFail: true } },
    );
  });
}

async function isTicking(queue: PlanQueue, tick: number): Promise<boolean> {
  const scheduler = await queue.getJobScheduler(SCHEDULER);
  if (!scheduler || scheduler.every !== tick) return false;
  // A tick that is long overdue will never come: its job was lost.
  return (scheduler.next ?? 0) > Date.now() - Math.max(3 * tick, 60_000);
}
