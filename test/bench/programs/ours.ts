import type pg from 'pg';
import { readSettings, SERVICE_SETTINGS } from '../../../src/config.ts';
import type { Receipt } from '../../../src/core/receipt.ts';
import { openLogger } from '../../../src/logger.ts';
import { PostgresClaim } from '../../../src/store/claim.ts';
import { openPool, RUN_CONNECTIONS } from '../../../src/store/pool.ts';
import { catchUp } from '../../../src/sync/catch-up.ts';
import type { SyncWorld } from '../../../src/sync/sync-window.ts';
import { openWorld, type World } from '../../../src/world.ts';
import { FRESH_STAGING } from '../fresh-staging.ts';
import { platformSettings } from '../platform-settings.ts';
import { peakMemory, processorTime, serveTasks } from '../program.ts';

/** Feeds of addresses to catch up at once, as a worker does. */
export interface OursTask {
  readonly databaseUrl: string;
  readonly baseUrl: string;
  readonly orgCodes: readonly string[];
  /** Settings that differ from their defaults. */
  readonly settings: Readonly<Record<string, string>>;
  /** How far the clock is set back, in milliseconds. */
  readonly clockBehind: number;
  /** Whether each run makes its staging table anew, in place of the connection's own. */
  readonly freshStaging: boolean;
}

/** What was done. */
export interface OursResult {
  /** From the first statement to the last commit. */
  readonly seconds: number;
  readonly windows: number;
  /** What the receipts say together. */
  readonly receipt: Receipt;
  /** Peak memory of the process, in bytes. */
  readonly peak: number;
  /** Processor time of the process, in seconds. */
  readonly cpu: number;
}

let kept: { readonly key: string; readonly world: World } | null = null;

/** As a service does, a process keeps its connections from one task on a database to the next. */
async function worldFor(task: OursTask): Promise<World> {
  const env = {
    ...platformSettings(task.baseUrl),
    DATABASE_URL: task.databaseUrl,
    SYNC_CONCURRENCY: String(task.orgCodes.length),
    ...task.settings,
  };
  const key = JSON.stringify([env, task.clockBehind]);
  if (kept?.key === key) return kept.world;
  await kept?.world.close();
  const settings = readSettings(env, SERVICE_SETTINGS);
  const clock = () => Date.now() - task.clockBehind;
  const world = openWorld({ settings, log: openLogger(settings.LOG_LEVEL), clock });
  kept = { key, world };
  return world;
}

let pool: pg.Pool | null = null;

/** The same world, but for a staging table that lives no longer than its run. */
function withFreshStaging({ store, sync }: World, databaseUrl: string): SyncWorld {
  // As the service's own connections of runs are set.
  pool ??= openPool(databaseUrl, { max: 1, name: 'bench', ...RUN_CONNECTIONS });
  const runs = pool;
  return {
    ...sync,
    feeds: {
      ...sync.feeds,
      async claim(feedId, signal) {
        const client = await runs.connect();
        const surroundings = { db: store.prepared, running: new Map() };
        const claim = await PostgresClaim.take(client, feedId, signal, surroundings);
        if (!claim) return null;
        const stage = claim.stage.bind(claim);
        claim.stage = async (header, rows, merging) => {
          await client.query(FRESH_STAGING);
          await stage(header, rows, merging);
          // Few rows are put there for whoever asks.
          await claim.staged([]);
        };
        return claim;
      },
    },
  };
}

serveTasks(async (task: OursTask): Promise<OursResult> => {
  const world = await worldFor(task);
  const receipts: Receipt[] = [];
  const options = {
    trigger: 'schedule',
    regardless: true,
    onWindow: ({ receipt }: { receipt: Receipt }) => void receipts.push(receipt),
  } as const;
  const { signal } = new AbortController();
  const sync = task.freshStaging ? withFreshStaging(world, task.databaseUrl) : world.sync;
  const cpuBefore = processorTime();
  const started = performance.now();
  await Promise.all(
    task.orgCodes.map((orgCode) =>
      catchUp(sync, { dataset: 'addresses', orgCode }, options, signal),
    ),
  );
  const seconds = (performance.now() - started) / 1000;
  const cpu = processorTime() - cpuBefore;
  const receipt = sum(receipts);
  return { seconds, windows: receipts.length, receipt, peak: peakMemory(), cpu };
});

function sum(receipts: readonly Receipt[]): Receipt {
  return receipts.reduce((total, one) => {
    const names = Object.keys(one) as (keyof Receipt)[];
    return Object.fromEntries(names.map((name) => [name, total[name] + one[name]])) as never;
  });
}
