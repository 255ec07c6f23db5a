import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { readSettings, SERVICE_SETTINGS } from '../config.ts';
import { HOUR, SECOND } from '../core/china-time.ts';
import { completeThrough } from '../core/coverage.ts';
import { InterruptedError } from '../core/errors.ts';
import { reach } from '../core/window.ts';
import { openLogger } from '../logger.ts';
import { ROLES, type Service, startService } from '../service.ts';
import { type Simulator, startSimulator } from '../simulator/simulator.ts';
import { createWorld, type World } from '../simulator/world.ts';
import { listFeeds } from '../store/feeds.ts';
import { migrate } from '../store/migrate.ts';
import { addOrg } from '../store/orgs.ts';
import { type Database, openDatabase, openPool } from '../store/pool.ts';
import { COMPARISONS, compareFeeds } from './demo-comparison.ts';
import { startEmbeddedPostgres } from './embedded-postgres.ts';
import { printRows, processOutput } from './output.ts';
import { KEPT_REQUESTS, SIMULATOR_APP_ID, SIMULATOR_BASE_KEY } from './simulate.ts';

const ORGS = [
  { code: 'WJ0105', name: '吴江' },
  { code: 'NJ0101', name: '南京' },
  { code: 'WX0102', name: '无锡' },
];

/** How long the source goes on changing, and how often, in milliseconds. */
const CHANGING_FOR = 12 * SECOND;
const CHANGE_EVERY = 500;
const CHANGES_AT_ONCE = 25;

/** Longest wait for all feeds, in milliseconds: a demo that hangs says so. */
const PATIENCE = 120 * SECOND;

/** Everything the demo has running. */
interface Stage {
  readonly world: World;
  readonly simulator: Simulator;
  readonly service: Service;
  readonly db: Database;
  readonly signal: AbortSignal;
  /** Says what happens: one line that redraws itself on a terminal, a line each elsewhere. */
  readonly say: (text: string) => void;
}

/** Adds `demo`: everything in one process, against the simulator. */
export function registerDemo(program: Command): void {
  program
    .command('demo')
    .description(
      'show it all: embedded Postgres, simulated platform and the service in one process',
    )
    .option('--once', 'end after the comparison instead of staying up')
    .action(async ({ once }: { once?: boolean }) => {
      const stayUp = !once && process.stdout.isTTY === true;
      await demo(stayUp);
    });
}

async function demo(stayUp: boolean): Promise<void> {
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  const stops: (() => Promise<unknown>)[] = [];
  try {
    const stage = await setUp(stops, stopping.signal);
    await play(stage, stayUp);
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
    if (!(error instanceof InterruptedError) && (error as Error).name !== 'AbortError') throw error;
  } finally {
    for (const end of stops.reverse()) await end();
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  }
}

async function setUp(stops: (() => Promise<unknown>)[], signal: AbortSignal): Promise<Stage> {
  const say = narrator();
  say('starting an embedded Postgres');
  const postgres = await startEmbeddedPostgres();
  stops.push(() => postgres.stop());
  signal.throwIfAborted();
  await migrate(postgres.url);

  say('making up a month of history for three organisations');
  const now = Date.now();
  const world = createWorld({
    seed: 1,
    orgs: ORGS,
    bornAt: reach(now) + HOUR,
    until: now,
    subscribersPerOrg: 3000,
    changesPerDay: 200,
  });
  const simulator = await startSimulator({
    world,
    clock: Date.now,
    appId: SIMULATOR_APP_ID,
    baseKey: SIMULATOR_BASE_KEY,
    reading: 'then',
    keep: KEPT_REQUESTS,
  });
  stops.push(() => simulator.close());
  const pool = openPool(postgres.url, { max: 2, name: 'vcc-sync demo' });
  stops.push(() => pool.end());
  const db = openDatabase(pool);
  for (const { code, name } of ORGS) await addOrg(db, { orgCode: code, name });

  say('starting the service');
  signal.throwIfAborted();
  const settings = readSettings(
    {
      DATABASE_URL: postgres.url,
      VCC_BASE_URL: simulator.url,
      VCC_APP_ID: SIMULATOR_APP_ID,
      VCC_BASE_KEY: SIMULATOR_BASE_KEY,
      SYNC_EVERY: '3s',
      SYNC_TICK: '1s',
      SYNC_SETTLE: '2s',
      SYNC_OVERLAP: '10s',
      // Any free port, unless one is asked for: two demos shall not collide.
      WEB_PORT: process.env.WEB_PORT ?? '0',
      LOG_LEVEL: process.env.LOG_LEVEL ?? 'warn',
    },
    SERVICE_SETTINGS,
  );
  const log = openLogger(settings.LOG_LEVEL);
  const service = await startService({ settings, roles: new Set(ROLES), log, signal });
  stops.push(() => service.close());
  return { world, simulator, service, db, signal, say };
}

async function play(stage: Stage, stayUp: boolean): Promise<void> {
  const { world, db, service, signal, say } = stage;
  await waitUntilComplete(stage, Date.now(), 'loading the month that the platform still serves');
  const end = Date.now() + CHANGING_FOR;
  let changes = 0;
  while (Date.now() < end) {
    changes += world.change(CHANGES_AT_ONCE, Date.now()).length;
    say(`the source changes while it is synchronised: ${changes} changes so far`);
    await sleep(CHANGE_EVERY, undefined, { signal });
  }
  await waitUntilComplete(stage, Date.now() + SECOND, 'loading the last changes');
  const comparisons = await compareFeeds(db, world, Date.now());
  say('');
  printRows(comparisons, COMPARISONS, {});
  const different = comparisons.filter((one) => !one.agrees).length;
  if (different > 0) {
    processOutput.note(`${different} of ${comparisons.length} feeds differ from their source`);
    process.exitCode = 1;
  } else {
    processOutput.note(
      `all ${comparisons.length} feeds agree with their source, field by field, after ${changes} changes`,
    );
  }
  if (!stayUp) return;
  processOutput.note(`the service goes on at ${service.url} ; Ctrl-C ends it`);
  for (;;) {
    await sleep(CHANGE_EVERY, undefined, { signal });
    world.change(1, Date.now());
  }
}

/** Waits until every feed is complete through a time (milliseconds). */
async function waitUntilComplete(
  { db, signal, say }: Stage,
  at: number,
  what: string,
): Promise<void> {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const feeds = await listFeeds(db);
    const complete = feeds.filter((feed) => (completeThrough(feed) ?? 0) >= at);
    say(`${what}: ${complete.length} of ${feeds.length} feeds`);
    if (complete.length === feeds.length) return;
    if (Date.now() > deadline) {
      const failing = feeds.find((feed) => feed.lastErrorCode !== null)?.lastErrorCode;
      throw new Error(`the feeds did not get complete in time${failing ? ` (${failing})` : ''}`);
    }
    await sleep(200, undefined, { signal });
  }
}

function narrator(): Stage['say'] {
  const { stderr } = process;
  let last = '';
  return (text) => {
    if (stderr.isTTY) {
      stderr.write(`\r\x1b[K${text}`);
      return;
    }
    // Without a terminal a line per step is enough: numbers alone do not make a new one.
    const step = text.replace(/\d+/g, '');
    if (text !== '' && step !== last) stderr.write(`${text.replace(/: \d.*$/, '')}\n`);
    last = step;
  };
}
