import { setTimeout as sleep } from 'node:timers/promises';
import type { Settings } from './config.ts';
import type { Clock } from './core/clock.ts';
import { SyncError } from './core/errors.ts';
import type { Logger } from './logger.ts';
import { openBackend, type QueueBackend } from './queue/backend.ts';
import { startPlanner } from './queue/planner.ts';
import { startWorker } from './queue/worker.ts';
import { databaseError } from './store/database-error.ts';
import { assertSchema } from './store/migrate.ts';
import { addMissingOrgs } from './store/orgs.ts';
import type { Store } from './store/store.ts';
import { catchUp } from './sync/catch-up.ts';
import { planTick } from './sync/plan.ts';
import { startWeb } from './web/server.ts';
import { openWorld, type World } from './world.ts';

/** The parts that a process may play. */
export const ROLES = ['planner', 'worker', 'web'] as const;

/** One part that a process may play. */
export type Role = (typeof ROLES)[number];

/** How long runs in hand may take to finish after SIGTERM, in milliseconds; then they are given back. */
const GRACE = 15_000;

/** Milliseconds between tries while Postgres is away at start. */
const DATABASE_RETRY = 2_000;

/** A process of the service. */
export interface ServiceOptions {
  readonly settings: Settings;
  readonly roles: ReadonlySet<Role>;
  readonly log: Logger;
  readonly clock?: Clock;
  /** Ends the wait for a database that is away. */
  readonly signal?: AbortSignal;
}

/** A process of the service that runs. */
export interface Service {
  /** Address of the web role, or null without it. */
  readonly url: string | null;
  /** Stops taking work, lets runs in hand finish or gives them back, and closes all connections. */
  close(): Promise<void>;
}

/** Something that was started and must be stopped; the last started is stopped first. */
type Stop = () => Promise<void>;

/**
 * Starts the roles of one process and wires them: database, queue, planner, worker, web.
 *
 * @throws FatalError `SCHEMA_MISSING`, `CONFIG`; what was started by then is closed again
 */
export async function startService(options: ServiceOptions): Promise<Service> {
  const { settings, roles, log } = options;
  const world = openWorld(options);
  const stops: Stop[] = [() => world.close()];
  const close = async () => {
    for (let stop = stops.pop(); stop; stop = stops.pop()) await stop();
  };
  try {
    await waitForDatabase(world.store, log, options.signal);
    await assertSchema(world.store.db);
    await addMissingOrgs(world.store.db, settings.VCC_ORG_CODES);
    const backend = openBackend({
      redisUrl: settings.REDIS_URL,
      databaseUrl: settings.DATABASE_URL,
      namespace: await world.store.databaseName(),
      onError: (facts) => log.warn(facts, 'queue connection trouble'),
    });
    stops.push(() => backend.close());
    if (roles.has('worker')) stops.push(await startWorkerRole(world, backend, settings));
    if (roles.has('planner')) stops.push(await startPlannerRole(world, backend, settings));
    const web = roles.has('web')
      ? await startWeb({ world: world.sync, db: world.store.db, backend, settings, log })
      : null;
    if (web) stops.push(() => web.close());
    log.info({ roles: [...roles], queue: backend.kind, url: web?.url }, 'service started');
    return { url: web?.url ?? null, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function startWorkerRole(
  { sync }: World,
  backend: QueueBackend,
  { SYNC_CONCURRENCY: concurrency }: Settings,
): Promise<Stop> {
  const worker = await startWorker({
    backend,
    concurrency,
    run: (feed, regardless, signal) =>
      catchUp(sync, feed, { trigger: 'schedule', regardless }, signal),
  });
  return () => worker.close(GRACE);
}

async function startPlannerRole(
  { sync, store }: World,
  backend: QueueBackend,
  { SYNC_TICK: tick }: Settings,
): Promise<Stop> {
  const planner = await startPlanner({
    backend,
    tick,
    plan: () => planTick(sync),
    exclusively: (work) => store.exclusively(work),
    log: sync.log,
  });
  return () => planner.close();
}

/** BullMQ's objects never recover from a database that was away when they were built: wait first. */
async function waitForDatabase(store: Store, log: Logger, signal?: AbortSignal): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      await store.pool.query('select');
      return;
    } catch (error) {
      const failure = error instanceof SyncError ? error : databaseError(error);
      if (tries % 15 === 0) log.warn({ error: failure.message }, 'waiting for the database');
      await sleep(DATABASE_RETRY, undefined, signal ? { signal } : {});
    }
  }
}
