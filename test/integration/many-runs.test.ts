import { getEventListeners, once } from 'node:events';
import pg from 'pg';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { MINUTE } from '../../src/core/china-time.ts';
import { DATASET_NAMES, type DatasetName } from '../../src/core/dataset.ts';
import { readHeader } from '../../src/core/table/header.ts';
import { CATALOGUE, DATASETS } from '../../src/datasets/catalogue.ts';
import { mergeRows } from '../../src/store/load-window.ts';
import { sentRows } from '../../src/store/row-source.ts';
import { catchUp } from '../../src/sync/catch-up.ts';
import { eventually } from '../support/eventually.ts';
import { startOwnPostgres } from '../support/own-postgres.ts';
import { type Harness, openHarness, useHarness } from '../support/sync-harness.ts';

/** How many runs; a long check takes more. */
const RUNS = Number(process.env.MANY_RUNS ?? 600);

/** Runs at once, each on a connection of its own. */
const AT_ONCE = DATASET_NAMES.length;

const OPTIONS = { runs: AT_ONCE, world: { subscribersPerOrg: 10, changesPerDay: 200 } };
const h = useHarness(OPTIONS);

/** What could grow with the number of runs. */
interface Footprint {
  /** Rows and bytes of the system catalogue's tables, indexes included. */
  readonly catalogue: Readonly<Record<string, { rows: number; bytes: number }>>;
  readonly stagingTables: number;
}

const CATALOGUE_TABLES = ['pg_class', 'pg_attribute', 'pg_type', 'pg_depend', 'pg_index'];

async function footprint({ query }: Harness): Promise<Footprint> {
  const catalogue: Record<string, { rows: number; bytes: number }> = {};
  for (const table of CATALOGUE_TABLES) {
    const [found] = await query<{ rows: number; bytes: number }>(
      `select (select count(*) from ${table}) as rows, pg_total_relation_size($1) as bytes`,
      [table],
    );
    catalogue[table] = found!;
  }
  const [counts] = await query<{ stagingTables: number }>(
    `select (select count(*) from pg_class where relname = 'stage' and relpersistence = 't')
        as "stagingTables"`,
  );
  return { catalogue, ...counts! };
}

async function backends({ query }: Harness): Promise<number> {
  const [found] = await query<{ backends: number }>(
    `select count(*) as backends from pg_stat_activity
      where datname = current_database() and backend_type = 'client backend'`,
  );
  return found!.backends;
}

/** Catches all feeds up at once; answers how many went through. */
async function turn(current: Harness, signal: AbortSignal): Promise<number> {
  current.now += MINUTE;
  const options = { trigger: 'schedule', regardless: true } as const;
  const ends = await Promise.allSettled(
    DATASET_NAMES.map((dataset) =>
      catchUp(current.sync, { dataset, orgCode: 'WJ0105' }, options, signal),
    ),
  );
  return ends.filter(({ status }) => status === 'fulfilled').length;
}

/** Lets the downloads of one dataset fail from now on. */
function failing(current: Harness, dataset: DatasetName | null): void {
  const broken = dataset && CATALOGUE[dataset].interfaceCode;
  current.interfere = (_request, response, { record }) => {
    if (record.interface !== broken) return false;
    response.writeHead(503).end();
    return true;
  };
}

describe(`${RUNS} runs`, () => {
  it(
    'leave connections, staging tables and the system catalogue as they were, failed ones too',
    async () => {
      const { current } = h;
      const { signal } = new AbortController();
      await current.addOrgs(['WJ0105']);
      await turn(current, signal);
      // Statistics have rows in the catalogue too, and come with the first analysis.
      await current.query('analyze');
      const before = await footprint(current);
      const resources = process.getActiveResourcesInfo().length;
      expect(before.stagingTables).toBe(AT_ONCE);

      for (let round = 1; round <= RUNS / AT_ONCE; round += 1) {
        failing(current, round % 10 === 0 ? DATASET_NAMES[round % 4]! : null);
        if (round % 25 === 0) current.world.change(10, current.now);
        await turn(current, signal);
      }

      const [runs] = await current.query<{ done: number; failed: number }>(
        `select count(*) filter (where status = 'done') as done,
          count(*) filter (where status = 'failed') as failed from vcc.run`,
      );
      expect(runs!.done + runs!.failed).toBeGreaterThanOrEqual(RUNS);
      expect(runs!.failed).toBeGreaterThanOrEqual(RUNS / AT_ONCE / 10 - 1);
      expect(await footprint(current)).toEqual(before);
      expect(await backends(current)).toBeLessThanOrEqual(2 * AT_ONCE);
      expect(getEventListeners(signal, 'abort')).toEqual([]);
      expect(process.getActiveResourcesInfo().length).toBeLessThan(resources + 10);
    },
    60_000 + RUNS * 60,
  );
});

describe('connections that are replaced', () => {
  /** Interrupts the runs of a turn in the midst of their downloads, which costs them their connections. */
  async function interrupted(current: Harness): Promise<void> {
    const stop = new AbortController();
    let waiting = 0;
    current.interfere = async (_request, response) => {
      waiting += 1;
      if (waiting === AT_ONCE) stop.abort();
      await once(response, 'close');
      return true;
    };
    expect(await turn(current, stop.signal)).toBe(0);
  }

  it('cost catalogue rows of which a vacuum makes room, so that it does not grow on and on', async () => {
    // Of its own: room in an index is free only once no transaction of the whole server is older.
    const current = await openHarness({ ...OPTIONS, database: await startOwnPostgres() });
    onTestFinished(() => current.close());
    await current.addOrgs(['WJ0105']);
    await turn(current, new AbortController().signal);
    const bytes = async () => {
      const { catalogue } = await footprint(current);
      return Object.values(catalogue).reduce((sum, table) => sum + table.bytes, 0);
    };
    const sizes = [await bytes()];
    for (let cycle = 1; cycle <= 8; cycle += 1) {
      for (let round = 0; round < 8; round += 1) await interrupted(current);
      // A backend drops its staging tables when it ends.
      await eventually(async () => {
        expect((await footprint(current)).stagingTables).toBeLessThanOrEqual(AT_ONCE);
      });
      // As autovacuum does.
      for (const table of CATALOGUE_TABLES) await current.query(`vacuum ${table}`);
      sizes.push(await bytes());
    }
    expect(await backends(current)).toBeLessThanOrEqual(2 * AT_ONCE);
    const first = sizes[1]! - sizes[0]!;
    expect(first).toBeGreaterThan(0);
    expect(sizes.at(-1)! - sizes[4]!, String(sizes)).toBeLessThan(first);
  });

  it('are few: one that is idle for a while stays, with its staging tables', async () => {
    const { current } = h;
    await current.addOrgs(['WJ0105']);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'], shouldAdvanceTime: true });
    try {
      await turn(current, new AbortController().signal);
      vi.advanceTimersByTime(15 * MINUTE);
    } finally {
      vi.useRealTimers();
    }
    expect((await footprint(current)).stagingTables).toBe(AT_ONCE);
    const pids = `select pid from pg_stat_activity where datname = current_database()
      and application_name = 'vcc-sync run' order by pid`;
    const before = await current.query(pids);
    await turn(current, new AbortController().signal);
    expect(await current.query(pids)).toEqual(before);
    expect(before).toHaveLength(AT_ONCE);
  });
});

describe('statements that a connection keeps prepared', () => {
  it('are one a dataset, however many headers there are', async () => {
    const client = new pg.Client({ connectionString: h.current.databaseUrl });
    await client.connect();
    const connection = client as unknown as pg.PoolClient;
    const plan = {
      runId: 1,
      rows: 1,
      ascending: true,
      orgCode: 'org_code',
      extractAt: null,
      from: 0,
      syncedThrough: 0,
      force: true,
    };
    for (const dataset of DATASETS) {
      const headers = dataset.columns.map(({ header }) => header);
      const optional = dataset.columns.filter(({ required }) => !required);
      for (const lacking of [null, ...optional, null]) {
        const header = readHeader(
          headers.filter((name) => name !== lacking?.header),
          dataset,
        );
        const values = dataset.columns.map(({ name }) => name);
        const row = {
          lineNo: 2,
          key: dataset.key,
          orgCode: 'org_code',
          values,
          flags: null,
          extra: null,
        };
        const source = sentRows(dataset, header, [row]);
        const done = await mergeRows(connection, dataset, header, plan, source);
        expect(done.inserted + done.updated + done.unchanged).toBe(1);
      }
    }
    const { rows } = await client.query('select name from pg_prepared_statements');
    expect(rows.length).toBe(DATASETS.length);
    await client.end();
  });
});
