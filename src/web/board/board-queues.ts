import { setTimeout as sleep } from 'node:timers/promises';
import type { Queue } from 'bullmq';
import type { BackendKind, QueueBackend } from '../../queue/backend.ts';
import { closeWithin } from '../../queue/closing.ts';
import { PLAN_QUEUE, SYNC_QUEUE, type SyncJob } from '../../queue/sync-job.ts';

/** How long the queue may take to answer, in milliseconds. */
const ANSWER_LIMIT = 3_000;

/**
 * Answers null once the limit is over. It is waited for in two halves: a process that was itself held up
 * for long finds a timer due before it reads the answer that has come meanwhile, but not two in a row.
 */
async function afterLimit(signal: AbortSignal): Promise<null> {
  for (let half = 0; half < 2; half += 1) {
    await sleep(ANSWER_LIMIT / 2, null, { signal }).catch(() => null);
  }
  return null;
}

/** The queues that the dashboard shows, open. */
export interface OpenQueues {
  readonly kind: BackendKind;
  readonly sync: Queue<SyncJob>;
  readonly plan: Queue<object>;
}

/** The queues of one dashboard. */
export interface BoardQueues {
  /** The queues, opened on first use; null while the queue is waited for or does not answer. */
  open(): Promise<OpenQueues | null>;
  /** Closes what is open, for good. */
  close(): Promise<void>;
}

/** Opens the dashboard's queues when they are first asked for. */
export function openBoardQueues(backend: () => QueueBackend | null): BoardQueues {
  let current: OpenQueues | null = null;
  let isClosed = false;

  async function drop(queues: OpenQueues): Promise<void> {
    if (current === queues) current = null;
    await Promise.all([queues.sync, queues.plan].map((queue) => closeWithin(queue)));
  }

  async function reach(store: QueueBackend): Promise<OpenQueues | null> {
    await store.ping();
    if (isClosed) return null;
    current ??= {
      kind: store.kind,
      sync: store.queue<SyncJob>(SYNC_QUEUE),
      plan: store.queue<object>(PLAN_QUEUE),
    };
    const queues = current;
    try {
      await Promise.all([queues.sync.waitUntilReady(), queues.plan.waitUntilReady()]);
      return queues;
    } catch (error) {
      // On Postgres a queue that was built while the server was away never recovers.
      await drop(queues);
      throw error;
    }
  }

  return {
    async open() {
      const store = backend();
      if (store === null || isClosed) return null;
      const limit = new AbortController();
      try {
        return await Promise.race([reach(store).catch(() => null), afterLimit(limit.signal)]);
      } finally {
        limit.abort();
      }
    },
    async close() {
      isClosed = true;
      if (current) await drop(current);
    },
  };
}
