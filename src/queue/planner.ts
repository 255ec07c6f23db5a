import type { FeedName } from '../core/dataset.ts';
import { describeError, toSyncError } from '../core/errors.ts';
import { limitRepeats, REPEAT_EVERY } from '../core/repeats.ts';
import type { SyncLog } from '../sync/ports.ts';
import { type QueueBackend, storeTrouble } from './backend.ts';
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
  /**
   * Keeps house once those feeds are queued; the next tick does not wait for it, nor does it begin twice.
   * The signal aborts when the planner closes, which waits for its end as long as for the queue's.
   */
  readonly keep: (signal: AbortSignal) => Promise<unknown>;
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
  const { backend, tick, plan, keep, log } = options;
  const planQueue = backend.queue<object>(PLAN_QUEUE);
  const syncQueue = backend.queue<SyncJob>(SYNC_QUEUE);
  const maySay = limitRepeats(REPEAT_EVERY);
  const warn = (error: unknown, message: string) => {
    const failure = toSyncError(error);
    const code = storeTrouble(error);
    if (!maySay(`${message} ${code ?? failure.code}`, Date.now())) return;
    // Of the queue's own store only the code: it is told with its connections, and mended by itself.
    log.warn(code ? { code } : { code: failure.code, error: describeError(failure) }, message);
  };
  // A store that can not be written to now is no reason to end: the watch below tries again.
  const ensure = () =>
    ensureScheduler(planQueue, options).catch((error) => warn(error, 'scheduler not ensured'));
  await Promise.all([planQueue.waitUntilReady(), syncQueue.waitUntilReady()]);
  await ensure();

  const closing = new AbortController();
  let keeping: Promise<unknown> | null = null;
  const keepHouse = () => {
    keeping ??= keep(closing.signal)
      .catch((error) => warn(error, 'housekeeping failed'))
      .finally(() => {
        keeping = null;
      });
  };

  const worker = backend.worker<object, number>(
    PLAN_QUEUE,
    async () => {
      try {
        const feeds = await plan();
        await syncQueue.addBulk(
          feeds.map((feed) => ({ name: SYNC_JOB, data: { ...feed }, opts: syncJobOptions(feed) })),
        );
        keepHouse();
        return feeds.length;
      } catch (error) {
        warn(error, 'planner tick failed');
        return 0;
      }
    },
    { concurrency: 1 },
  );
  let ensuring = false;
  const watch = setInterval(async () => {
    if (ensuring) return;
    ensuring = true;
    await ensure();
    ensuring = false;
  }, tick);
  return {
    async close() {
      clearInterval(watch);
      closing.abort();
      const house = { close: async () => void (await keeping), disconnect: async () => {} };
      await Promise.all([worker, planQueue, syncQueue, house].map((part) => closeWithin(part)));
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
