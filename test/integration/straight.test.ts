import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import pg, { type PoolClient } from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { MINUTE } from '../../src/core/china-time.ts';
import type { Row } from '../../src/core/table/row.ts';
import { CATALOGUE } from '../../src/datasets/catalogue.ts';
import { type Staged, stageRows } from '../../src/store/stage-rows.ts';
import { FEW_ROWS, prepareStaging } from '../../src/store/staging.ts';
import { eventually } from '../support/eventually.ts';
import { batches, headerOf, lines, ORG, T0, useWindowLoads } from '../support/window-loads.ts';

const { meters } = CATALOGUE;
const header = headerOf(meters);
const PLAN = { orgCode: ORG, runId: 7, syncedThrough: T0 };

const loads = useWindowLoads();
const { load, query, stored } = loads;

/** Enough rows to be worth a COPY, in the order of their keys. */
const many = (count = FEW_ROWS + 100) =>
  lines(
    meters,
    Array.from({ length: count }, (_, index) => ({ meter_code: keyOf(index), location: 'first' })),
  );

const keyOf = (index: number) => `M${String(index).padStart(6, '0')}`;

/** Stages rows as a run would, and tells what lies where. */
async function stage(rows: readonly Row[]): Promise<{ staged: Staged; inStage: number }> {
  const client = new pg.Client({ connectionString: loads.database.url });
  await client.connect();
  onTestFinished(() => client.end());
  const connection = client as unknown as PoolClient;
  await prepareStaging(connection);
  await client.query('begin');
  const staged = await stageRows(connection, meters, header, batches(rows), PLAN);
  const { rows: counted } = await client.query<{ count: number }>(
    'select count(*)::int as count from stage',
  );
  await client.query('rollback');
  return { staged, inStage: counted[0]!.count };
}

describe('rows of an organisation that has none yet', () => {
  it('go straight to their place, in the order of their keys', async () => {
    const { staged, inStage } = await stage(many());
    expect(staged).toMatchObject({
      rows: 0,
      straight: { rows: FEW_ROWS + 100, firstLine: 2, gaps: [] },
    });
    expect(inStage).toBe(0);
  });

  it('are held like any others if they are few', async () => {
    const { staged } = await stage(many(FEW_ROWS));
    expect(staged).toMatchObject({ rows: FEW_ROWS, straight: null });
    expect(staged.held).toHaveLength(FEW_ROWS);
  });

  const next = (row: object) => ({ ...many(551)[550]!, ...row });
  it.each<[string, Partial<Row>]>([
    ['whose key is less than the one before', { key: keyOf(3) }],
    ['whose key is that of the one before', { key: keyOf(549) }],
    ['of another organisation', { orgCode: 'OTHER' }],
    ['whose key may be sorted otherwise by Postgres', { key: 'M\uff21' }],
    ['behind more missing lines than are remembered', { lineNo: 20_000 }],
  ])('do so up to one %s', async (_, row) => {
    const { staged, inStage } = await stage([...many(550), next(row), ...many(600).slice(551)]);
    expect(staged.straight).toMatchObject({ rows: 550 });
    expect(staged.rows).toBe(50);
    expect(inStage).toBe(50);
  });

  it('tell by their lines which were refused between them', async () => {
    const rows = many(620).filter(({ lineNo }) => lineNo !== 10 && lineNo !== 11);
    const { staged } = await stage(rows.slice(1));
    expect(staged.straight).toEqual({ rows: 617, firstLine: 3, gaps: [10, 11] });
  });

  it('are staged if it has a row after all', async () => {
    await load(lines(meters, [{ meter_code: 'M' }]), { dataset: meters });
    const { staged } = await stage(many());
    expect(staged).toMatchObject({ rows: FEW_ROWS + 100, straight: null });
  });

  it('are seen by nobody before the commit, and gone if there is none', async () => {
    const claim = await loads.claimFor(meters, T0);
    const options = { from: T0 - MINUTE, syncedThrough: T0, force: false };
    await claim.stage(header, batches(many()), options);
    expect(await stored(meters)).toEqual(new Map());
    await claim.release();
    expect(await stored(meters)).toEqual(new Map());
    expect((await load(many(), { dataset: meters })).counts).toMatchObject({
      inserted: FEW_ROWS + 100,
      updated: 0,
    });
  });

  it('say when they came, by which run and how far they reach', async () => {
    await load(many(), { dataset: meters });
    const found = await query(`select distinct first_seen_at = changed_at as new, run_id,
      first_seen_at > now() - interval '1 minute' as now, synced_through, absent_since from vcc.meter`);
    const synced_through = new Date(T0);
    expect(found).toEqual([
      { new: true, run_id: 1, now: true, synced_through, absent_since: null },
    ]);
  });

  it('are absent like any others if a newer extract lacked them', async () => {
    await query(`update vcc.feed set extract_at = $1 where dataset = 'meters'`, [
      new Date(T0 + MINUTE),
    ]);
    await load(many(), { dataset: meters });
    const found = await query('select distinct absent_since from vcc.meter');
    expect(found).toEqual([{ absent_since: new Date(T0 + MINUTE) }]);
  });

  it('resolve refused lines of their keys', async () => {
    await query(
      `insert into vcc.reject (feed_id, run_id, line_no, reason, row_key, line_hash, line, window_to)
      select id, 1, 5, 'too_long', key, key, '', $1
      from vcc.feed, unnest(array['${keyOf(3)}', 'other']) key where dataset = 'meters'`,
      [new Date(T0 - MINUTE)],
    );
    await load(many(), { dataset: meters });
    const open = await query('select row_key from vcc.reject where resolved_at is null');
    expect(open).toEqual([{ row_key: 'other' }]);
  });

  it('that another transaction inserts at the same time fail the run, and the next one stages them', async () => {
    const other = await loads.database.pool.connect();
    await other.query('begin');
    await other.query(
      `insert into vcc.meter (meter_code, org_code, synced_through, run_id)
      values ($1, $2, $3, 1)`,
      [keyOf(5), ORG, new Date(T0)],
    );
    const failed = expect(load(many(), { dataset: meters })).rejects.toMatchObject({
      message: expect.stringContaining('meter_pkey'),
    });
    await eventually(async () => {
      const waits = await query(`select from pg_stat_activity
        where wait_event_type = 'Lock' and datname = current_database()`);
      expect(waits).toHaveLength(1);
    });
    await other.query('commit');
    other.release();
    await failed;
    expect((await load(many(), { dataset: meters, through: T0 + MINUTE })).counts).toMatchObject({
      inserted: FEW_ROWS + 99,
      updated: 1,
    });
  });
});

describe('a COPY straight into a table that fails', () => {
  const refused = (row: Row): Row => ({
    ...row,
    values: row.values.map((v) => v && `${v}\0`),
    text: null,
  });

  it('ends the download, though its rows had stopped before', async () => {
    const rows = many(551);
    let ended = false;
    async function* endless(): AsyncGenerator<readonly Row[]> {
      try {
        // The last one ends what goes straight.
        yield [...rows.slice(0, 549), refused(rows[549]!), rows[0]!];
        for (;;) {
          await setImmediate();
          yield [rows[0]!];
        }
      } finally {
        ended = true;
      }
    }
    await expect(load(endless(), { dataset: meters })).rejects.toMatchObject({
      message: expect.stringContaining('22021'),
    });
    await eventually(async () => expect(ended).toBe(true));
    expect(await stored(meters)).toEqual(new Map());
  });

  it('is not tried again before a run has succeeded', async () => {
    await query(`update vcc.feed set consecutive_failures = 1 where dataset = 'meters'`);
    const claim = await loads.claimFor(meters, T0);
    const options = { from: T0 - MINUTE, syncedThrough: T0, force: false };
    await claim.stage(header, batches(many()), options);
    const staged = await claim.staged([keyOf(0), keyOf(300), 'other']);
    await claim.release();
    expect(staged.size).toBe(2);
  });
});

describe('a key that comes again after it went straight', () => {
  it('is found among those of its own organisation, whoever else has it', async () => {
    await query(`insert into vcc.meter (meter_code, org_code, synced_through, run_id)
      select 'M' || lpad(n::text, 6, '0'), 'OTHER', now(), 1 from generate_series(0, 3000) n`);
    await query('analyze vcc.meter');
    const rows = many(700);
    const again = rows.slice(300, 310).map((row) => ({ ...row, lineNo: row.lineNo + 5_000 }));
    const { counts } = await load([...rows, ...again], { dataset: meters });
    expect(counts).toMatchObject({ inserted: 700, duplicate: 10 });
    const held = await query('select org_code, count(*) from vcc.meter group by 1 order by 1');
    expect(held).toEqual([
      { org_code: 'OTHER', count: 3001 },
      { org_code: ORG, count: 700 },
    ]);
  });

  it('is stored by its later line, and the earlier one is kept with its line number', async () => {
    const rows = many(700).filter(({ lineNo }) => lineNo !== 100 && lineNo % 7 !== 0);
    const again = lines(meters, [{ meter_code: keyOf(550), location: 'again' }], 9_000);
    const { counts, superseded } = await load([...rows, ...again], { dataset: meters });
    expect(counts).toMatchObject({ inserted: rows.length, duplicate: 1, updated: 0 });
    const { lineNo } = rows.find(({ key }) => key === keyOf(550))!;
    expect(superseded).toMatchObject([{ lineNo, rowKey: keyOf(550), reason: 'superseded' }]);
    expect((await stored(meters)).get(keyOf(550))!.content.location).toBe('again');
  });

  it('may be any, and so many that they are not worth naming', async () => {
    const rows = many(1_500);
    const again = rows.map((row) => ({ ...row, lineNo: row.lineNo + 1_500 })).toReversed();
    const { counts, superseded } = await load([...rows, ...again], { dataset: meters });
    expect(counts).toMatchObject({ inserted: 1_500, duplicate: 1_500 });
    expect(superseded).toEqual([]);
    expect((await stored(meters)).size).toBe(1_500);
  });

  it('gives what staging all of them gives, whatever comes', async () => {
    const tail = fc.record({
      meter_code: fc.oneof(
        fc.integer({ min: 0, max: 650 }).map(keyOf),
        fc.constantFrom('A', 'Z', 'M\u{1f600}', '\uffff', 'M'),
      ),
      location: fc.constantFrom('first', 'second', null),
      org_code: fc.constantFrom(ORG, ORG, ORG, 'OTHER'),
    });
    const table = fc.record({
      refused: fc.uniqueArray(fc.integer({ min: 2, max: 640 }), { maxLength: 20 }),
      flagged: fc.uniqueArray(fc.integer({ min: 2, max: 640 }), { maxLength: 20 }),
      tail: fc.array(tail, { maxLength: 30 }),
    });
    let round = 0;
    await fc.assert(
      fc.asyncProperty(table, async ({ refused, flagged, tail }) => {
        await query('truncate vcc.meter');
        const rows = [
          ...many(640).filter(({ lineNo }) => !refused.includes(lineNo)),
          ...lines(meters, tail, 5_000),
        ].map((row) => ({
          ...row,
          flags: flagged.includes(row.lineNo) ? ['state:code'] : null,
          extra: flagged.includes(row.lineNo + 1) ? { more: `${row.lineNo}|` } : null,
        }));
        round += 1;
        const through = T0 + round * MINUTE;
        // A preview has staged them all; that its numbers are the same is checked within.
        const { counts } = await load(rows, { dataset: meters, through });
        const last = new Map(rows.map((row) => [`${row.orgCode} ${row.key}`, row]));
        expect(counts).toMatchObject({ inserted: last.size, updated: 0, unchanged: 0, stale: 0 });
        const found = await query<{ id: string; location: string; flags: string[]; extra: object }>(
          `select org_code || ' ' || meter_code as id, location, flags, extra from vcc.meter
            where synced_through = $1 and run_id = (select max(id) from vcc.run)`,
          [new Date(through)],
        );
        const expected = [...last].map(([id, { values, flags, extra }]) => {
          const location = values[meters.columns.findIndex(({ name }) => name === 'location')];
          return { id, location, flags, extra };
        });
        const byId = <T extends { id: string }>(list: T[]) =>
          Object.fromEntries(list.map((one) => [one.id, one]));
        expect(byId(found)).toEqual(byId(expected));
      }),
      { numRuns: 40 },
    );
  });
});
