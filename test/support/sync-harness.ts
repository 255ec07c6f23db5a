import { afterEach, beforeEach, expect } from 'vitest';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/core/china-time.ts';
import { DATASET_NAMES, type DatasetName } from '../../src/core/dataset.ts';
import { openSlots } from '../../src/core/slots.ts';
import { reach } from '../../src/core/window.ts';
import { CATALOGUE } from '../../src/datasets/catalogue.ts';
import {
  type Interfere,
  type Simulator,
  type SimulatorOptions,
  startSimulator,
} from '../../src/simulator/simulator.ts';
import { createWorld, type World, type WorldOptions } from '../../src/simulator/world.ts';
import { openPlatformState, openRequestPacer } from '../../src/store/platform-state.ts';
import { openTokenStore } from '../../src/store/session-tokens.ts';
import { Store } from '../../src/store/store.ts';
import { catchUp } from '../../src/sync/catch-up.ts';
import { openDatabaseGate } from '../../src/sync/database-gate.ts';
import type { SyncLog } from '../../src/sync/ports.ts';
import type { SyncSettings, SyncWorld, WindowOutcome } from '../../src/sync/sync-window.ts';
import { createClient, type VccClient, type VccSettings } from '../../src/vcc/client.ts';
import { createDatabase } from './database.ts';

export const APP_ID = 'test-app';
export const BASE_KEY = '0123456789abcdef0123456789abcdef';

/** Settings of the client as production has them, but for the address. */
export function clientSettings(url: string, over: Partial<VccSettings> = {}): VccSettings {
  return {
    baseUrl: url,
    appId: APP_ID,
    baseKey: BASE_KEY,
    seqCode: null,
    signRequests: false,
    signSecret: 'token',
    responseSign: 'warn',
    successCodes: ['0'],
    tokenCodes: ['20001', '40058'],
    charset: 'auto',
    allowUnframed: false,
    connectTimeout: 10_000,
    idleTimeout: 10_000,
    totalTimeout: 60_000,
    maxBody: 2 ** 30,
    ...over,
  };
}

/** Settings of a sync as production has them. */
export const SYNC_SETTINGS: SyncSettings = {
  overlap: 2 * MINUTE,
  settle: 30 * SECOND,
  maxWindow: 28 * DAY,
  every: 15 * MINUTE,
  slice: 10 * MINUTE,
  retryBase: 5 * SECOND,
  retryMax: HOUR,
  deep: { every: DAY, span: DAY },
  charset: 'auto',
  quotes: 'none',
  otherOrgs: 'reject',
};

/** Collects what is logged, for assertions. */
export function collectLog(): SyncLog & { readonly lines: { message: string; facts: object }[] } {
  const lines: { message: string; facts: object }[] = [];
  const take = (facts: object, message: string) => {
    lines.push({ message, facts });
  };
  return { lines, info: take, warn: take, error: take };
}

/** One database, one simulator and a sync between them, on a clock of their own. */
export interface Harness {
  /** Moves or reads the time of service and simulator alike (milliseconds). */
  now: number;
  readonly databaseUrl: string;
  readonly store: Store;
  readonly world: World;
  readonly simulator: Simulator;
  readonly client: VccClient;
  readonly sync: SyncWorld;
  readonly log: ReturnType<typeof collectLog>;
  /** Takes over the simulator's answers from now on; null gives them back. */
  interfere: Interfere | null;
  /** Adds organisations with feeds for all datasets. */
  addOrgs(codes: readonly string[], since?: number): Promise<void>;
  /** Catches one feed up, due or not, and answers its windows. */
  run(dataset: DatasetName, orgCode: string): Promise<WindowOutcome[]>;
  /** Catches every feed up. */
  runAll(): Promise<WindowOutcome[]>;
  /** Asserts that every field of every row agrees with the source. */
  expectEqual(datasets?: readonly DatasetName[]): Promise<void>;
  query<R extends object>(text: string, values?: unknown[]): Promise<R[]>;
  close(): Promise<void>;
}

/** What a harness is made of; all has a default. */
export interface HarnessOptions {
  readonly now?: number;
  readonly world?: Partial<WorldOptions>;
  readonly simulator?: Partial<SimulatorOptions>;
  readonly settings?: Partial<SyncSettings>;
  readonly client?: Partial<VccSettings>;
  /** How far the platform's clock is ahead of ours, in milliseconds. */
  readonly platformAhead?: number;
  readonly runs?: number;
  /** Most requests a second, as `VCC_MAX_RPS`; by default as many as come. */
  readonly maxRps?: number;
  /** How many feeds that failed may be served at once; by default any. */
  readonly failing?: number;
  /** A migrated database; by default one of the shared server's. */
  readonly database?: { readonly url: string; drop(): Promise<void> };
}

/** Opens a harness; close it, or use `useHarness`. */
export async function openHarness(options: HarnessOptions = {}): Promise<Harness> {
  const database = options.database ?? (await createDatabase());
  let now = options.now ?? Date.UTC(2026, 9, 20, 4, 0, 0);
  const ahead = options.platformAhead ?? 0;
  let interfere: Interfere | null = null;
  const world = createWorld({
    seed: 7,
    orgs: [{ code: 'WJ0105', name: '吴江' }],
    bornAt: reach(now) + HOUR,
    until: now,
    subscribersPerOrg: 60,
    changesPerDay: 40,
    ...options.world,
  });
  const simulator = await startSimulator({
    world,
    clock: () => now + ahead,
    appId: APP_ID,
    baseKey: BASE_KEY,
    reading: 'then',
    interfere: (...call) => interfere?.(...call) ?? false,
    ...options.simulator,
  });
  const store = new Store(database.url, { runs: options.runs ?? 4 });
  const log = collectLog();
  const platformState = openPlatformState(store.db, APP_ID);
  let noted: Promise<void> = Promise.resolve();
  const client = createClient(clientSettings(simulator.url, options.client), {
    tokens: openTokenStore(store.db),
    pacer: options.maxRps ? openRequestPacer(store.db, APP_ID, options.maxRps) : null,
    clock: () => now,
    log: () => {},
    onDate: (date) => {
      noted = platformState.noteClockSkew(date - now).catch(() => {});
    },
  });
  const sync: SyncWorld = {
    platform: client,
    platformState: {
      ...platformState,
      // What the last answer told must be known before the next window is chosen.
      clockSkew: () => noted.then(() => platformState.clockSkew()),
    },
    databaseGate: openDatabaseGate(() => now, log),
    // Tests run all feeds at once, failing ones too.
    failing: openSlots(options.failing ?? Number.POSITIVE_INFINITY),
    feeds: store.feeds,
    clock: () => now,
    random: () => 0.5,
    log,
    settings: { ...SYNC_SETTINGS, ...options.settings },
  };
  const codes = world.orgs.map(({ code }) => code);
  const harness: Harness = {
    get now() {
      return now;
    },
    set now(to) {
      now = to;
    },
    get interfere() {
      return interfere;
    },
    set interfere(fault) {
      interfere = fault;
    },
    databaseUrl: database.url,
    store,
    world,
    simulator,
    client,
    sync,
    log,
    async addOrgs(wanted, since) {
      for (const code of wanted) {
        await store.pool.query('insert into vcc.org (org_code) values ($1)', [code]);
        await store.pool.query(
          'insert into vcc.feed (org_code, dataset, since) select $1, unnest($2::text[]), $3',
          [code, DATASET_NAMES, since === undefined ? null : new Date(since)],
        );
      }
    },
    async run(dataset, orgCode) {
      const outcomes: WindowOutcome[] = [];
      const onWindow = (outcome: WindowOutcome) => outcomes.push(outcome);
      const signal = new AbortController().signal;
      const feed = { dataset, orgCode };
      await catchUp(sync, feed, { trigger: 'schedule', regardless: true, onWindow }, signal);
      return outcomes;
    },
    async runAll() {
      const outcomes: WindowOutcome[] = [];
      for (const code of codes) {
        for (const dataset of DATASET_NAMES) outcomes.push(...(await harness.run(dataset, code)));
      }
      return outcomes;
    },
    async expectEqual(datasets = DATASET_NAMES) {
      for (const code of codes) {
        for (const name of datasets) {
          const source = [...world.rows(name, code, now + ahead).values()];
          expect(await storedRows(store, name, code), `${name} ${code}`).toEqual(
            sortRows(source, CATALOGUE[name].key),
          );
        }
      }
    },
    async query<R extends object>(text: string, values: unknown[] = []) {
      return (await store.pool.query<R>(text, values)).rows;
    },
    async close() {
      await client.close();
      await noted;
      await store.close();
      await simulator.close();
      await database.drop();
    },
  };
  return harness;
}

type SourceRow = Readonly<Record<string, string | null>>;

function sortRows(rows: readonly SourceRow[], key: string): SourceRow[] {
  return [...rows].sort((a, b) => (a[key]! < b[key]! ? -1 : 1)).map((row) => ({ ...row }));
}

/** The stored rows of a feed, dataset columns alone, by key. */
export async function storedRows(
  store: Store,
  name: DatasetName,
  code: string,
): Promise<SourceRow[]> {
  const { table, key, columns } = CATALOGUE[name];
  const { rows } = await store.pool.query<SourceRow>(
    `select ${columns.map((column) => column.name).join(', ')} from vcc.${table}
      where org_code = $1 order by ${key} collate "C"`,
    [code],
  );
  return rows;
}

/** A fresh harness for each test of a file. */
export function useHarness(options: HarnessOptions = {}): { readonly current: Harness } {
  let current: Harness | undefined;
  beforeEach(async () => {
    current = await openHarness(options);
  });
  afterEach(async () => {
    await current?.close();
  });
  return {
    get current() {
      if (!current) throw new Error('the harness is only there within a test');
      return current;
    },
  };
}
