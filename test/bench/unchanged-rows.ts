import { randomBytes } from 'node:crypto';
import type { PoolClient } from 'pg';
import { startEmbeddedPostgres } from '../../src/cli/embedded-postgres.ts';
import { readHeader } from '../../src/core/table/header.ts';
import type { Row } from '../../src/core/table/row.ts';
import { CATALOGUE } from '../../src/datasets/catalogue.ts';
import { mergeRows, planFor } from '../../src/store/load-window.ts';
import { migrate } from '../../src/store/migrate.ts';
import { openPool } from '../../src/store/pool.ts';
import { stageRows } from '../../src/store/stage-rows.ts';
import { prepareStaging } from '../../src/store/staging.ts';
import { databaseUrl } from '../support/database-names.ts';

// What rows that come unchanged cost by the fill factor of their table: the figures behind the fill
// factor in migrations/. Every figure is a median over rounds; ratios are to fill factor 100 of this run.
//
//   node --import tsx test/bench/unchanged-rows.ts [rows]      TEST_DATABASE_URL, else an embedded server

const ROWS = Number(process.argv[2] ?? 200_000);
const FILL_FACTORS = [100, 95, 90, 80, 70, 50];
const ROUNDS = 3;
/** Shares of the table that are delivered again: all (an extract), a tenth and a fiftieth (a deep re-read). */
const SHARES = [1, 0.1, 0.02];
const T0 = Date.UTC(2026, 9, 20);
const dataset = CATALOGUE.meters;
const header = readHeader(
  dataset.columns.map((column) => column.header),
  dataset,
);

type Order = 'by key' | 'random';

/** What one load did. */
interface Cost {
  readonly seconds: number;
  readonly megabytes: number;
  /** Share of the updates that were heap-only; NaN without updates. */
  readonly hot: number;
}

function meter(number: number): Row {
  const code = `WJ${String(number).padStart(12, '0')}`;
  const values: Record<string, string> = {
    meter_code: code,
    meter_type: '01',
    model: 'G4',
    inlet_side: 'L',
    state: 'A',
    location: `厨房 ${number % 40}`,
    subscriber_code: `3200${number}`,
    management_mode: '1',
    manufacturer_code: `F${number % 30}`,
    org_code: 'WJ0105',
  };
  return {
    lineNo: number + 2,
    key: code,
    orgCode: 'WJ0105',
    values: dataset.columns.map(({ name }) => values[name]!),
    flags: null,
    extra: null,
  };
}

/** Rows in their order, the same for the same seed. */
function deliver(share: number, order: Order, seed: number): Row[] {
  const step = Math.round(1 / share);
  const rows: Row[] = [];
  for (let number = seed % step; number < ROWS; number += step) rows.push(meter(number));
  if (order === 'by key') return rows;
  let state = 12_345 + seed;
  for (let index = rows.length - 1; index > 0; index -= 1) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    const other = state % (index + 1);
    [rows[index], rows[other]] = [rows[other]!, rows[index]!];
  }
  return rows;
}

async function* batches(rows: readonly Row[]): AsyncGenerator<readonly Row[]> {
  for (let start = 0; start < rows.length; start += 1_000) yield rows.slice(start, start + 1_000);
}

interface Counters {
  readonly lsn: string;
  readonly updated: number;
  readonly hot: number;
}

async function counters(client: PoolClient): Promise<Counters> {
  await client.query('select pg_stat_force_next_flush()');
  await client.query('select pg_stat_clear_snapshot()');
  const { rows } = await client.query<Counters>(
    `select pg_current_wal_insert_lsn()::text as lsn, n_tup_upd as updated, n_tup_hot_upd as hot
      from pg_stat_all_tables where relid = 'vcc.meter'::regclass`,
  );
  return rows[0]!;
}

/** Loads rows as a run does, and measures merge and commit alone. */
async function load(client: PoolClient, rows: readonly Row[], through: number): Promise<Cost> {
  await client.query('checkpoint');
  const before = await counters(client);
  await client.query('begin');
  const staged = await stageRows(client, dataset, header, batches(rows));
  await planFor(client, dataset, staged.rows);
  const options = { from: through, syncedThrough: through, force: false };
  const started = performance.now();
  const plan = {
    rows: staged.rows,
    ascending: staged.ascending,
    runId: 1,
    orgCode: 'WJ0105',
    extractAt: null,
  };
  await mergeRows(client, dataset, header, { ...options, ...plan });
  await client.query('commit');
  const seconds = (performance.now() - started) / 1000;
  const after = await counters(client);
  const { rows: wal } = await client.query<{ bytes: string }>(
    'select pg_wal_lsn_diff($1, $2) as bytes',
    [after.lsn, before.lsn],
  );
  const updates = after.updated - before.updated;
  return {
    seconds,
    megabytes: Number(wal[0]!.bytes) / 2 ** 20,
    hot: (after.hot - before.hot) / updates,
  };
}

async function size(client: PoolClient): Promise<number> {
  const { rows } = await client.query<{ bytes: string }>(
    `select pg_total_relation_size('vcc.meter') as bytes`,
  );
  return Number(rows[0]!.bytes) / 2 ** 20;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

function medians(costs: readonly Cost[]): Cost {
  return {
    seconds: median(costs.map((cost) => cost.seconds)),
    megabytes: median(costs.map((cost) => cost.megabytes)),
    hot: median(costs.map((cost) => cost.hot)),
  };
}

/** A new table with this fill factor, loaded once and delivered again by every share. */
async function measure(client: PoolClient, fillFactor: number, order: Order) {
  await client.query('truncate vcc.meter');
  await client.query(
    `alter table vcc.meter set (fillfactor = ${fillFactor}, autovacuum_enabled = false)`,
  );
  let through = T0;
  const first = await load(client, deliver(1, order, 0), through);
  await client.query('vacuum (analyze) vcc.meter');
  const firstSize = await size(client);
  const again: Cost[] = [];
  // The small shares first: after all of it was delivered, every page has room.
  for (const share of [...SHARES].reverse()) {
    const costs: Cost[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      through += 60_000;
      costs.push(await load(client, deliver(share, order, round), through));
      // As autovacuum does, which begins at a fifth of the table.
      if (share > 0.2) await client.query('vacuum vcc.meter');
    }
    again.unshift(medians(costs));
  }
  return { order, fillFactor, first, firstSize, again, lastSize: await size(client) };
}

type Result = Awaited<ReturnType<typeof measure>>;

function print(results: readonly Result[]): void {
  const head = ['order', 'fill', 'load s', 'WAL MB', 'size MB'];
  for (const share of SHARES) {
    const name = share === 1 ? 'all' : `${share * 100} %`;
    head.push(`${name}: s`, 'ratio', 'WAL MB', 'ratio', 'HOT');
  }
  head.push('size MB');
  const lines = results.map((one) => {
    const floor = results.find(
      ({ order, fillFactor }) => order === one.order && fillFactor === 100,
    )!;
    const cells = [one.order, String(one.fillFactor)];
    cells.push(
      one.first.seconds.toFixed(2),
      one.first.megabytes.toFixed(0),
      one.firstSize.toFixed(0),
    );
    one.again.forEach((cost, index) => {
      const base = floor.again[index]!;
      cells.push(cost.seconds.toFixed(2), (cost.seconds / base.seconds).toFixed(2));
      cells.push(cost.megabytes.toFixed(1), (cost.megabytes / base.megabytes).toFixed(2));
      cells.push(`${Math.round(cost.hot * 100)} %`);
    });
    return [...cells, one.lastSize.toFixed(0)];
  });
  const widths = head.map((title, column) =>
    Math.max(title.length, ...lines.map((line) => line[column]!.length)),
  );
  for (const line of [head, ...lines]) {
    console.log(line.map((cell, column) => cell.padStart(widths[column]!)).join('  '));
  }
}

async function bench(serverUrl: string): Promise<void> {
  const admin = openPool(serverUrl, { max: 1, name: 'vcc-sync bench' });
  const name = `vcc_bench_${randomBytes(4).toString('hex')}`;
  await admin.query(`create database ${name}`);
  const url = databaseUrl(serverUrl, name);
  try {
    await migrate(url);
    const pool = openPool(url, { max: 1, name: 'vcc-sync bench' });
    const client = await pool.connect();
    const { rows } = await client.query<{ version: string }>('select version()');
    console.log(`${ROWS} meters, medians of ${ROUNDS} rounds\n${rows[0]!.version}\n`);
    await prepareStaging(client);
    const results: Result[] = [];
    for (const order of ['by key', 'random'] as const) {
      for (const fillFactor of FILL_FACTORS) {
        results.push(await measure(client, fillFactor, order));
      }
    }
    print(results);
    client.release();
    await pool.end();
  } finally {
    await admin.query(`drop database if exists ${name} with (force)`);
    await admin.end();
  }
}

if (process.env.TEST_DATABASE_URL) {
  await bench(process.env.TEST_DATABASE_URL);
} else {
  const server = await startEmbeddedPostgres({ settings: { full_page_writes: 'on' } });
  try {
    await bench(server.url);
  } finally {
    await server.stop();
  }
}
