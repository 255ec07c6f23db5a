import type { FeedName } from '../core/dataset.ts';
import { describeError, RetryableError, toSyncError } from '../core/errors.ts';
import { limitRepeats, REPEAT_EVERY } from '../core/repeats.ts';
import type { SyncLog } from '../sync/ports.ts';
import { type QueueBackend, storeTrouble } from './backend.ts';
import { closeWithin } from './closing.ts';
import { openStepBack } from './step-back.ts';
import { PLAN_QUEUE, SYNC_JOB, SYNC_QUEUE, type SyncJob, syncJobOptions } from './sync-job.ts';

const SCHEDULER = 'tick';

/**
 * How long finding the feeds may take, in milliseconds. No other process ticks meanwhile, so one that
 * waits in vain for its database must let the others plan.
 */
const PLAN_LIMIT = 30_000;

/** What the planner needs of the world. */
export interface PlannerOptions {
  readonly backend: QueueBackend;
  /** Milliseconds between ticks. */
  readonly tick: number;
  /** Finds the feeds to wake. */
  readonly plan: () => Promise<readonly FeedName[]>;
  /** Milliseconds that this may take before the tick fails and the next goes on. */
  readonly limit?: number;
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
  const { backend, tick, plan, keep, log, limit = PLAN_LIMIT } = options;
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
    // A tick that was under way when the planner closed begins nothing more.
    if (closing.signal.aborted) return;
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
        const feeds = await within(limit, plan()).catch((error) => {
          stepBack.begin();
          throw error;
        });
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
  // Whoever can not plan lets others try, and comes back when they had their turn.
  const stepBack = openStepBack(worker, 2 * tick);
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
      stepBack.close();
      closing.abort();
      const house = { close: async () => void (await keeping), disconnect: async () => {} };
      await Promise.all([worker, planQueue, syncQueue, house].map((part) => closeWithin(part)));
    },
  };
}

/** Waits for the feeds to wake, but no longer than a limit in milliseconds. */
async function within<T>(limit: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const expire = () =>
      reject(new RetryableError('DATABASE_BUSY', `planning took longer than ${limit} ms`));
    timer = setTimeout(expire, limit);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
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
