import type { QueueBackend } from './backend.ts';
import { closeWithin } from './closing.ts';
import { PLAN_QUEUE, SYNC_QUEUE } from './sync-job.ts';

const QUEUES = [SYNC_QUEUE, PLAN_QUEUE] as const;

const STATES = ['waiting', 'active', 'delayed', 'completed', 'failed'] as const;

/** How many jobs of a queue are in a state. */
export interface QueueDepth {
  readonly queue: (typeof QUEUES)[number];
  readonly state: (typeof STATES)[number];
  readonly jobs: number;
}

/** Counts the jobs of our queues, the same way on both stores. */
export interface QueueDepths {
  /** All queues and states; while the store is away, it waits. */
  read(): Promise<readonly QueueDepth[]>;
  /** To be called before the backend is closed. */
  close(): Promise<void>;
}

/** Opens our queues to count their jobs. */
export function openDepths(backend: QueueBackend): QueueDepths {
  const queues = QUEUES.map((name) => ({ name, queue: backend.queue(name) }));
  return {
    async read() {
      const depths = queues.map(async ({ name, queue }) => {
        const counts = await queue.getJobCounts(...STATES);
        return STATES.map((state) => ({ queue: name, state, jobs: counts[state] ?? 0 }));
      });
      return (await Promise.all(depths)).flat();
    },
    async close() {
      await Promise.all(queues.map(({ queue }) => closeWithin(queue)));
    },
  };
}
