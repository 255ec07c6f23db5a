import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Job } from 'bullmq';
import type { FeedName } from '../core/dataset.ts';
import { describeError, FatalError, InterruptedError, toSyncError } from '../core/errors.ts';
import type { QueueBackend } from './backend.ts';
import { closeWithin } from './closing.ts';
import { openStepBack } from './step-back.ts';
import { readSyncJob, SYNC_QUEUE, type SyncJob } from './sync-job.ts';

/** What the worker needs of the world. */
export interface SyncWorkerOptions {
  readonly backend: QueueBackend;
  readonly concurrency: number;
  /**
   * Catches a feed up and answers how that ended.
   *
   * @param regardless true for a job that a person added or retried: it runs though not due
   */
  readonly run: (feed: FeedName, regardless: boolean, signal: AbortSignal) => Promise<string>;
  /** Whether this process can take no work just now: it then leaves jobs to the others for a while. */
  readonly isShut?: () => boolean;
  /** For how long, in milliseconds. */
  readonly rest?: number;
}

/** How long a worker that is shut leaves jobs to others: a gate that is closed is tried as often. */
const REST = 10_000;

/** A worker that runs. */
export interface SyncWorker {
  /**
   * Takes no new job and waits for those in hand; after `grace` milliseconds they are interrupted and
   * given back.
   */
  close(grace: number): Promise<void>;
}

/** Starts taking jobs; each wakes one feed. */
export async function startWorker({
  backend,
  concurrency,
  run,
  isShut = () => false,
  rest = REST,
}: SyncWorkerOptions): Promise<SyncWorker> {
  const stopping = new AbortController();
  // Every run in hand listens, however many there are.
  setMaxListeners(0, stopping.signal);
  const inHand = new Set<Promise<string>>();
  const worker = backend.worker<SyncJob, string>(
    SYNC_QUEUE,
    async (job) => {
      const wanted = readSyncJob(job.data);
      if (!wanted) {
        throw legible(new FatalError('CONFIG', 'the job names no dataset and orgCode'));
      }
      const { regardless = isRetriedByHand(job), ...feed } = wanted;
      const turn = run(feed, regardless, stopping.signal);
      inHand.add(turn);
      try {
        return await turn;
      } catch (error) {
        // Given back: the feed is still due, so the planner wakes it again.
        if (error instanceof InterruptedError) return 'interrupted';
        throw legible(error);
      } finally {
        inHand.delete(turn);
        if (isShut()) stepBack.begin();
      }
    },
    { concurrency },
  );
  const stepBack = openStepBack(worker, rest);
  await worker.waitUntilReady();
  return {
    async close(grace) {
      stepBack.close();
      // Takes no new job from now on; it ends when those in hand have been reported to the queue.
      const closing = worker.close();
      const timer = new AbortController();
      const expired = sleep(grace, undefined, { signal: timer.signal }).catch(() => {});
      await Promise.race([Promise.allSettled(inHand), expired]);
      timer.abort();
      stopping.abort();
      await Promise.allSettled(inHand);
      await closeWithin(worker, closing);
    },
  };
}

/** Only a finished job has attempts behind it: stalled ones are not counted. */
function isRetriedByHand(job: Job): boolean {
  return job.attemptsMade > 0;
}

/** What the dashboard shows of a failure: our own words, no stack, no NUL (Postgres refuses it). */
function legible(error: unknown): Error {
  const failure = new Error(describeError(toSyncError(error)).replaceAll('\0', '').slice(0, 2000));
  failure.stack = failure.message;
  return failure;
}
