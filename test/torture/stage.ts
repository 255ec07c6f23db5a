import type pg from 'pg';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/cli/embedded-postgres.ts';
import { SIMULATOR_APP_ID, SIMULATOR_BASE_KEY } from '../../src/cli/simulate.ts';
import { DAY } from '../../src/core/china-time.ts';
import type { Bounds, Reading } from '../../src/simulator/history.ts';
import { pick, seededRandom, seedOf } from '../../src/simulator/random.ts';
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts';
import { createWorld, type World } from '../../src/simulator/world.ts';
import { migrate } from '../../src/store/migrate.ts';
import { type Database, openDatabase, openPool } from '../../src/store/pool.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { watchRows } from './back-watch.ts';
import type { Journal } from './journal.ts';
import { Supervised } from './processes.ts';
import { type RedisServer, startRedisServer } from './redis-server.ts';
import { ORGS, PROCESSES } from './schedule.ts';

/** Which store carries the queue. */
export type Queue = 'redis' | 'postgres';

/** A process with its own ways to the servers: what befalls them befalls it alone. */
export interface Service {
  readonly process: Supervised;
  readonly postgres: FaultProxy;
  /** Null where the queue lives in Postgres. */
  readonly redis: FaultProxy | null;
}

/** Everything that takes part. */
export interface Stage {
  readonly queue: Queue;
  readonly reading: Reading;
  readonly bounds: Bounds;
  readonly world: World;
  readonly simulator: Simulator;
  readonly postgres: EmbeddedPostgres;
  readonly redis: RedisServer | null;
  /** Our own way to Postgres, which no proxy disturbs. */
  readonly pool: pg.Pool;
  readonly db: Database;
  readonly services: readonly Service[];
  /** The settings of the service that no torture changes. */
  readonly settings: Readonly<Record<string, string>>;
  /** Ends and removes everything; twice is harmless. */
  close(): Promise<void>;
}

/** What a stage is made of. */
export interface StageOptions {
  readonly seed: number;
  readonly queue: Queue;
  readonly journal: Journal;
}

/** Subscribers of each organisation, each with a supply point and a meter. */
const SUBSCRIBERS = 60;

/** How long the source has a history, and so much to catch up with, when the torture begins. */
const HISTORY = 6 * DAY;

// A crash of the server shall lose nothing that was committed, as in production; only that of the whole
// machine, which does not happen here, may.
const CRASH_SAFE = { synchronous_commit: 'on', full_page_writes: 'on' };

/** What the service runs with: short times, so that minutes hold thousands of runs. */
function serviceSettings(seed: number): Record<string, string> {
  const random = seededRandom(seedOf(`${seed} settings`));
  return {
    VCC_APP_ID: SIMULATOR_APP_ID,
    VCC_BASE_KEY: SIMULATOR_BASE_KEY,
    VCC_ORG_CODES: ORGS.join(','),
    VCC_CONNECT_TIMEOUT: '2s',
    VCC_IDLE_TIMEOUT: '3s',
    VCC_TOTAL_TIMEOUT: '20s',
    VCC_MAX_BODY: '64MiB',
    SYNC_EVERY: '2s',
    SYNC_TICK: '500ms',
    SYNC_SETTLE: pick(random, ['0', '1s', '2s']),
    SYNC_OVERLAP: pick(random, ['0', '5s', '2m']),
    SYNC_MAX_WINDOW: pick(random, ['4d', '10d', '28d']),
    SYNC_SLICE: pick(random, ['2s', '10m']),
    SYNC_RETRY_BASE: '500ms',
    SYNC_RETRY_MAX: '10s',
    LOG_LEVEL: 'trace',
  };
}

/**
 * Starts Postgres, Redis, the source and the proxies, and prepares the processes without starting them.
 *
 * @throws Error if anything does not start; what was started by then is ended
 */
export async function setStage({ seed, queue, journal }: StageOptions): Promise<Stage> {
  const ends: (() => Promise<unknown>)[] = [];
  let closed: Promise<void> | undefined;
  const end = async () => {
    for (let next = ends.pop(); next; next = ends.pop()) await next();
  };
  const close = () => {
    closed ??= end();
    return closed;
  };
  async function open<T>(making: Promise<T>, ending: (one: T) => Promise<unknown>): Promise<T> {
    const one = await making;
    ends.push(() => ending(one));
    return one;
  }
  const proxy = (url: string) => {
    const { hostname: host, port } = new URL(url);
    return open(startFaultProxy({ target: { host, port: Number(port) } }), (one) => one.close());
  };
  try {
    const random = seededRandom(seedOf(`${seed} source`));
    const reading = pick<Reading>(random, ['then', 'now']);
    const bounds = pick<Bounds>(random, ['inclusive', 'half-open']);
    const postgres = await open(startEmbeddedPostgres({ settings: CRASH_SAFE }), (one) =>
      one.stop(),
    );
    await migrate(postgres.url);
    const redis = queue === 'redis' ? await open(startRedisServer(), (one) => one.stop()) : null;
    const own = openPool(postgres.url, { max: 4, name: 'torture' });
    const pool = await open(Promise.resolve(own), (one) => one.end());
    await watchRows(pool);
    const world = makeWorld(seed);
    const simulator = await open(openSimulator({ world, reading, bounds }), (one) => one.close());
    const settings = { ...serviceSettings(seed), VCC_BASE_URL: simulator.url };
    const services: Service[] = [];
    for (let number = 0; number < PROCESSES; number += 1) {
      const before = {
        postgres: await proxy(postgres.url),
        redis: redis ? await proxy(redis.url) : null,
      };
      const env: Record<string, string> = {
        ...settings,
        DATABASE_URL: before.postgres.url(postgres.url),
      };
      if (redis && before.redis) env.REDIS_URL = before.redis.url(redis.url);
      const one = new Supervised(env, journal);
      services.push({
        ...before,
        process: await open(Promise.resolve(one), async () => one.destroy()),
      });
    }
    const db = openDatabase(pool);
    const parts = { queue, reading, bounds, world, simulator, postgres, redis, pool, db };
    return { ...parts, services, settings, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function makeWorld(seed: number): World {
  const now = Date.now();
  return createWorld({
    seed,
    orgs: ORGS.map((code) => ({ code, name: code })),
    bornAt: now - HISTORY,
    until: now,
    subscribersPerOrg: SUBSCRIBERS,
    changesPerDay: 40,
  });
}

function openSimulator(how: Pick<Stage, 'world' | 'reading' | 'bounds'>): Promise<Simulator> {
  const account = { appId: SIMULATOR_APP_ID, baseKey: SIMULATOR_BASE_KEY };
  return startSimulator({ ...how, ...account, clock: Date.now });
}
