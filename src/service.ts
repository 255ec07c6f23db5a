import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Settings } from './config.ts';
import type { Clock } from './core/clock.ts';
import { InterruptedError } from './core/errors.ts';
import type { Logger } from './logger.ts';
import { openBackend, type QueueBackend } from './queue/backend.ts';
import { startPlanner } from './queue/planner.ts';
import { startWorker } from './queue/worker.ts';
import { databaseError } from './store/database-error.ts';
import { assertSchema } from './store/migrate.ts';
import { addMissingOrgs } from './store/orgs.ts';
import type { Database } from './store/pool.ts';
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

/** Milliseconds between log lines about one and the same trouble. */
const REPEAT_EVERY = 60_000;

/** A process of the service. */
export interface ServiceOptions {
  readonly settings: Settings;
  readonly roles: ReadonlySet<Role>;
  readonly log: Logger;
  readonly clock?: Clock;
  /** Ends the start while it waits for a database or queue that is away. */
  readonly signal?: AbortSignal;
}

/** A process of the service that runs. */
export interface Service {
  /** Address of the web role, or null without it. */
  readonly url: string | null;
  /** Stops taking work, lets runs in hand finish or gives them back, and closes all connections. */
  close(): Promise<void>;
}

/** What has been started, in stages: a stage is stopped at once, the last one first. */
type Stages = (() => Promise<unknown>)[][];

/**
 * Starts the roles of one process and wires them: web, database, queue, worker, planner.
 *
 * The web role is first, so that health and readiness can be asked while the rest is waited for.
 *
 * @throws FatalError `SCHEMA_MISSING`, `CONFIG`; InterruptedError when the signal aborts; what was
 *   started by then is closed again
 */
export async function startService(options: ServiceOptions): Promise<Service> {
  const { settings, roles, log, signal = new AbortController().signal } = options;
  const world = openWorld(options);
  const stages: Stages = [[() => world.close()]];
  const close = async () => {
    for (let stage = stages.pop(); stage; stage = stages.pop()) {
      await Promise.all(stage.map((stop) => stop()));
    }
  };
  try {
    let backend: QueueBackend | null = null;
    const web = roles.has('web') ? await openWeb(world, settings, () => backend) : null;
    if (web) stages.push([() => web.close()]);
    await waitForDatabase(world.store.db, log, signal);
    await assertSchema(world.store.db);
    await addMissingOrgs(world.store.db, settings.VCC_ORG_CODES);
    const queue = await openQueue(world, settings, log);
    stages.push([() => queue.close()]);
    await unlessAborted(waitForQueue(queue, log), signal);
    backend = queue;
    const working: Stages[number] = [];
    stages.push(working);
    if (roles.has('worker')) working.push(await startWorkerRole(world, queue, settings));
    if (roles.has('planner')) working.push(await startPlannerRole(world, queue, settings));
    log.info({ roles: [...roles], queue: queue.kind, url: web?.url }, 'service started');
    return { url: web?.url ?? null, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function openWeb(world: World, settings: Settings, backend: () => QueueBackend | null) {
  const { sync, store } = world;
  return startWeb({ world: sync, db: store.db, backend, settings });
}

async function openQueue({ store }: World, settings: Settings, log: Logger): Promise<QueueBackend> {
  const said = new Map<string, number>();
  return openBackend({
    redisUrl: settings.REDIS_URL,
    databaseUrl: settings.DATABASE_URL,
    namespace: await store.databaseName(),
    onError: (facts) => {
      // A queue that is away fails many times a second: once a minute says it all.
      const key = `${facts.queue} ${facts.code}`;
      if (Date.now() - (said.get(key) ?? 0) < REPEAT_EVERY) return;
      said.set(key, Date.now());
      log.warn(facts, 'queue connection trouble');
    },
  });
}

async function startWorkerRole(
  { sync }: World,
  backend: QueueBackend,
  { SYNC_CONCURRENCY: concurrency }: Settings,
): Promise<() => Promise<void>> {
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
): Promise<() => Promise<void>> {
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
async function waitForDatabase(db: Database, log: Logger, signal: AbortSignal): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      await sql`select`.execute(db);
      return;
    } catch (error) {
      if (tries % 15 === 0)
        log.warn({ error: databaseError(error).message }, 'waiting for the database');
      await unlessAborted(sleep(DATABASE_RETRY), signal);
    }
  }
}

async function waitForQueue(queue: QueueBackend, log: Logger): Promise<void> {
  const late = setTimeout(() => log.warn({ queue: queue.kind }, 'waiting for the queue'), 5_000);
  try {
    await queue.ping();
  } finally {
    clearTimeout(late);
  }
}

/** Waits for something, but no longer than until the signal aborts. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) throw new InterruptedError('asked to stop while starting');
  let interrupt = () => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    interrupt = () => reject(new InterruptedError('asked to stop while starting'));
    signal.addEventListener('abort', interrupt, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', interrupt);
  }
}
