import type { QueueBackend } from '../../src/queue/backend.ts';
import { type PlannerOptions, startPlanner } from '../../src/queue/planner.ts';
import { startWorker } from '../../src/queue/worker.ts';
import type { Store } from '../../src/store/store.ts';
import { catchUp } from '../../src/sync/catch-up.ts';
import { planTick } from '../../src/sync/plan.ts';
import type { SyncWorld } from '../../src/sync/sync-window.ts';

/** Milliseconds between ticks: tests need not wait for ten seconds. */
export const TICK = 250;

/** What such a process stands on; a harness will do. */
export interface QueueProcessWorld {
  readonly sync: SyncWorld;
  readonly store: Pick<Store, 'exclusively'>;
}

/** A planner and workers as a process has them; answers how to stop them. */
export async function startQueueProcess(
  { sync, store }: QueueProcessWorld,
  backend: QueueBackend,
  options: Partial<Pick<PlannerOptions, 'plan' | 'keep' | 'limit'>> & {
    readonly concurrency?: number;
  } = {},
): Promise<() => Promise<void>> {
  const { concurrency = 4, ...planning } = options;
  const planner = await startPlanner({
    backend,
    tick: TICK,
    plan: () => planTick(sync),
    keep: async () => {},
    exclusively: (work) => store.exclusively(work),
    log: sync.log,
    ...planning,
  });
  const worker = await startWorker({
    backend,
    concurrency,
    run: (feed, regardless, signal) =>
      catchUp(sync, feed, { trigger: 'schedule', regardless }, signal),
    isShut: () => sync.databaseGate.trouble() !== null,
    rest: 4 * TICK,
  });
  return async () => {
    await planner.close();
    await worker.close(10_000);
  };
}
