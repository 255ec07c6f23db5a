import { setTimeout as sleep } from 'node:timers/promises';
import type { Settings } from './config.ts';
import type { Clock } from './core/clock.ts';
import { describeError, InterruptedError, toSyncError } from './core/errors.ts';
import { limitRepeats, REPEAT_EVERY } from './core/repeats.ts';
import type { Logger } from './logger.ts';
import { openBackend, type QueueBackend } from './queue/backend.ts';
import { openDepths, type QueueDepths } from './queue/depths.ts';
import { startPlanner } from './queue/planner.ts';
import { startWorker } from './queue/worker.ts';
import { databaseError } from './store/database-error.ts';
import { assertSchema } from './store/migrate.ts';
import { addMissingOrgs } from './store/orgs.ts';
import { noteSettings } from './store/service-settings.ts';
import { assertWritable } from './store/writable.ts';
import { type CatchUpOutcome, catchUp } from './sync/catch-up.ts';
import { keepTick } from './sync/keep.ts';
import { planTick } from './sync/plan.ts';
import { type EventMetrics, openEventMetrics } from './web/event-metrics.ts';
import { type Listening, type ProbeOptions, startProbes } from './web/probes.ts';
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
  /** Ends the start while it waits for a database or queue that is away. */
  readonly signal?: AbortSignal;
}

/** A process of the service that runs. */
export interface Service {
  /** Address of the web role, or null without it. */
  readonly url: string | null;
  /** Address of the probes alone, or null without it. */
  readonly probes: string | null;
  /** Stops taking work, lets runs in hand finish or gives them back, and closes all connections. */
  close(): Promise<void>;
}

/** What has been started, in stages: a stage is stopped at once, the last one first. */
type Stages = (() => Promise<unknown>)[][];

/**
 * Starts the roles of one process and wires them: web, database, queue, worker, planner.
 *
 * What is asked from outside is first, so that health and readiness can be asked while the rest is
 * waited for.
 *
 * @throws FatalError `SCHEMA_MISSING`, `CONFIG`; InterruptedError when the signal aborts; what was
 *   started by then is closed again
 */
export async function startService(options: ServiceOptions): Promise<Service> {
  const { settings, roles, log, signal = new AbortController().signal } = options;
  const events = openEventMetrics();
  const world = openWorld({ ...options, observer: events });
  const stages: Stages = [[() => world.close()]];
  const close = async () => {
    for (let stage = stages.pop(); stage; stage = stages.pop()) {
      await Promise.all(stage.map((stop) => stop()));
    }
  };
  try {
    let queues: Queues | null = null;
    const asked: Stages[number] = [];
    stages.push(asked);
    const serving = servingOptions(world, settings, events, () => queues);
    const web = roles.has('web')
      ? await startWeb({
          ...serving,
          settings,
          noticeDb: world.store.notices,
          noticed: events.noticed,
        })
      : null;
    if (web) asked.push(() => web.close());
    const probes = await openProbes(serving, settings);
    if (probes) asked.push(() => probes.close());
    await untilDatabaseWorks(log, signal, async () => {
      await assertSchema(world.store.db);
      await assertWritable(world.store.db);
      await addMissingOrgs(world.store.db, settings.VCC_ORG_CODES);
      await noteSettings(world.store.db, {
        every: settings.SYNC_EVERY,
        settle: settings.SYNC_SETTLE,
      });
    });
    const queue = await openQueue(world, settings, log);
    stages.push([() => queue.close()]);
    await unlessAborted(waitForQueue(queue, log), signal);
    const depths = openDepths(queue);
    queues = { backend: queue, depths };
    const working: Stages[number] = [() => depths.close()];
    if (web) working.push(() => web.leaveQueue());
    stages.push(working);
    if (roles.has('worker')) working.push(await startWorkerRole(world, queue, settings, events));
    if (roles.has('planner')) working.push(await startPlannerRole(world, queue, settings, events));
    const urls = { url: web?.url, probes: probes?.url };
    log.info({ roles: [...roles], queue: queue.kind, ...urls }, 'service started');
    return { url: web?.url ?? null, probes: probes?.url ?? null, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The queue, and a second look at it for the metrics. */
interface Queues {
  readonly backend: QueueBackend;
  readonly depths: QueueDepths;
}

/** What is asked from outside, by people and by machines. */
function servingOptions(
  { sync, store, client }: World,
  settings: Settings,
  { registry }: EventMetrics,
  queues: () => Queues | null,
): ProbeOptions & { readonly sources: NonNullable<ProbeOptions['sources']> } {
  return {
    world: sync,
    db: store.looks,
    settings,
    backend: () => queues()?.backend ?? null,
    sources: {
      events: registry,
      platform: () => client.counters,
      pools: () => [...store.poolUse(), ...[queues()?.backend.poolUse() ?? []].flat()],
      depths: () => queues()?.depths.read() ?? null,
    },
  };
}

async function openProbes(
  options: ProbeOptions,
  { PROBES_LISTEN: address }: Settings,
): Promise<Listening | null> {
  return address === null ? null : await startProbes(options, address);
}

async function openQueue({ store }: World, settings: Settings, log: Logger): Promise<QueueBackend> {
  const maySay = limitRepeats(REPEAT_EVERY);
  return openBackend({
    redisUrl: settings.REDIS_URL,
    databaseUrl: settings.DATABASE_URL,
    namespace: await store.databaseName(),
    onError: (facts) => {
      // A queue that is away fails many times a second: once a minute says it all.
      if (!maySay(`${facts.queue} ${facts.code}`, Date.now())) return;
      log.warn(facts, 'queue connection trouble');
    },
  });
}

async function startWorkerRole(
  { sync }: World,
  backend: QueueBackend,
  { SYNC_CONCURRENCY: concurrency }: Settings,
  events: EventMetrics,
): Promise<() => Promise<void>> {
  const worker = await startWorker({
    backend,
    concurrency,
    run: (feed, regardless, signal) =>
      counted(catchUp(sync, feed, { trigger: 'schedule', regardless }, signal), events),
    isShut: () => sync.databaseGate.trouble() !== null,
  });
  return () => worker.close(GRACE);
}

/** Counts how a turn ends. */
async function counted(
  turn: Promise<CatchUpOutcome>,
  { turnEnded }: EventMetrics,
): Promise<CatchUpOutcome> {
  try {
    const outcome = await turn;
    turnEnded(outcome);
    return outcome;
  } catch (error) {
    turnEnded(toSyncError(error).code === 'INTERRUPTED' ? 'interrupted' : 'failed');
    throw error;
  }
}

async function startPlannerRole(
  { sync, keep, store }: World,
  backend: QueueBackend,
  { SYNC_TICK: tick }: Settings,
  events: EventMetrics,
): Promise<() => Promise<void>> {
  const planner = await startPlanner({
    backend,
    tick,
    plan: async () => {
      const due = await planTick(sync);
      events.ticked();
      return due;
    },
    keep: (signal) => keepTick(keep, signal),
    exclusively: (work) => store.exclusively(work),
    log: sync.log,
  });
  return () => planner.close();
}

/**
 * Repeats the first work with the database until it can take it; what a person must mend is thrown.
 *
 * BullMQ's objects never recover from a database that was away when they were built: so wait first.
 */
async function untilDatabaseWorks(
  log: Logger,
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<void> {
  const maySay = limitRepeats(REPEAT_EVERY / 2);
  for (;;) {
    try {
      return await work();
    } catch (cause) {
      const error = databaseError(cause);
      if (!error.meaning.database) throw cause;
      if (maySay(error.code, Date.now())) {
        log.warn({ code: error.code, error: describeError(error) }, 'waiting for the database');
      }
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
