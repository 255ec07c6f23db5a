import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { MINUTE } from '../../src/core/china-time.ts';
import { balances } from '../../src/core/receipt.ts';
import type { Reject, Row } from '../../src/core/table/row.ts';
import { CATALOGUE } from '../../src/datasets/catalogue.ts';
import { stageRows } from '../../src/store/stage-rows.ts';
import { prepareStaging } from '../../src/store/staging.ts';
import { Store } from '../../src/store/store.ts';
import { eventually } from '../support/eventually.ts';
import { batches, headerOf, lines, ORG, T0, useWindowLoads } from '../support/window-loads.ts';

const never = new AbortController().signal;
const { subscribers, meters } = CATALOGUE;

const loads = useWindowLoads();
const { claimFor, load, query, stored } = loads;

/** Whether anybody holds a feed's lock, or a transaction of a run is open. */
async function leftOpen(): Promise<object[]> {
  return query(
    `select state, query from pg_stat_activity where datname = current_database()
      and application_name = 'vcc-sync run' and state <> 'idle'`,
  );
}

const NASTY = [
  '"',
  '""quoted""',
  "'",
  "''; drop table vcc.run; --",
  '\\',
  '\\\\',
  'C:\\new\\table',
  '\\N',
  '\\n',
  '\\.',
  '\\x41\\101',
  '\t',
  'tab\tinside',
  ' leading',
  'trailing ',
  '  ',
  '\u3000全角\u3000',
  'a lone\rCR',
  '\r',
  '\v\f\b\u0001\u001f\u007f',
  'NULL',
  'null',
  '{}',
  '{a,"b",NULL}',
  '(row,1)',
  '$1 $$ %s :name',
  '😀',
  '👩‍👩‍👧',
  '𠮷野家 𡈽',
  'e\u0301 \u202eright to left',
  '\ufeff',
  '\uffff\ufffe',
  `long ${'文'.repeat(20_000)}`,
];

describe.each([
  ['few rows (unnest)', 0],
  ['many rows (COPY)', 600],
])('with %s', (_, padding) => {
  const filler = lines(
    subscribers,
    Array.from({ length: padding }, (_unused, index) => ({ subscriber_code: `filler ${index}` })),
    10_000,
  );

  it('every value comes out byte for byte as it went in', async () => {
    const rows = NASTY.map((value, index) => ({
      subscriber_code: `${index} ${value.slice(0, 50)}`,
      name: value,
      mobile: value,
      telephone: null,
    }));
    const { counts } = await load([...lines(subscribers, rows), ...filler]);
    expect(counts.inserted).toBe(NASTY.length + padding);
    const after = await stored();
    for (const row of rows) {
      const content = after.get(row.subscriber_code)?.content;
      expect(content).toMatchObject({ ...row, org_code: ORG, address_code: null });
    }
  });

  it('flags and unknown columns come out as they went in', async () => {
    const extra = Object.fromEntries(
      NASTY.slice(0, -1).map((value, index) => [`${value}${index}`, value]),
    );
    const [row] = lines(subscribers, [{ subscriber_code: 'S1' }]);
    await load([{ ...row!, flags: ['name:missing', 'state:length'], extra }, ...filler]);
    const found = await query(
      `select flags, extra from vcc.subscriber where subscriber_code = 'S1'`,
    );
    expect(found).toEqual([{ flags: ['name:missing', 'state:length'], extra }]);
  });

  it('any text comes out as it went in', async () => {
    const text = fc
      .string({ unit: 'binary', minLength: 1, maxLength: 60 })
      .filter((value) => !value.includes('\0'));
    let round = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(text, fc.option(text)), { minLength: 1, maxLength: 20 }),
        async (pairs) => {
          round += 1;
          const rows = pairs.map(([name, mobile], index) => ({
            subscriber_code: `${index} ${name}`,
            name,
            mobile,
            state: `${round}`,
          }));
          const through = T0 + round * MINUTE;
          await load([...lines(subscribers, rows), ...filler], { through });
          const after = await stored();
          for (const row of rows)
            expect(after.get(row.subscriber_code)?.content).toMatchObject(row);
        },
      ),
      { numRuns: 30 },
    );
  });
});

describe('the receipt', () => {
  const key = fc.integer({ min: 0, max: 7 }).map((number) => `K${number}`);
  const name = fc.constantFrom(null, 'a', 'b', 'c');
  const file = fc.array(fc.record({ subscriber_code: key, name }), { maxLength: 14 });
  const window = fc.record({ file, through: fc.integer({ min: 0, max: 4 }), force: fc.boolean() });

  /** What a window does to stored rows, by the words of design invariant 4. */
  function model(
    before: ReadonlyMap<string, { name: string | null; through: number }>,
    rows: readonly { subscriber_code: string; name: string | null }[],
    through: number,
    force: boolean,
  ) {
    const after = new Map(before);
    const last = new Map(rows.map((row) => [row.subscriber_code, row.name]));
    const counts = {
      inserted: 0,
      updated: 0,
      unchanged: 0,
      stale: 0,
      duplicate: rows.length - last.size,
    };
    for (const [code, value] of last) {
      const old = before.get(code);
      if (!old) {
        counts.inserted += 1;
        after.set(code, { name: value, through });
      } else if (old.name === value) {
        counts.unchanged += 1;
        after.set(code, { ...old, through: Math.max(old.through, through) });
      } else if (through >= old.through || force) {
        counts.updated += 1;
        after.set(code, { name: value, through: Math.max(old.through, through) });
      } else {
        counts.stale += 1;
      }
    }
    return { after, counts };
  }

  it.each([
    ['few rows', 0],
    ['many rows', 520],
  ])(
    'equals what happened to the rows, whatever was stored and whatever comes (%s)',
    async (_, padding) => {
      // The same lines in front of every file, so that it takes the other path in.
      const filler = Array.from({ length: padding }, (_unused, index) => ({
        subscriber_code: `filler ${index}`,
        name: null,
      }));
      await fc.assert(
        fc.asyncProperty(fc.array(window, { minLength: 1, maxLength: 5 }), async (windows) => {
          await query('truncate vcc.subscriber');
          let expected: ReturnType<typeof model>['after'] = new Map();
          for (const { file: own, through, force } of windows) {
            const rows = [...filler, ...own];
            const before = await stored();
            const end = T0 + through * MINUTE;
            const { counts, after } = model(expected, rows, end, force);
            const loaded = await load(lines(subscribers, rows), { through: end, force });
            expect(loaded.counts).toEqual(counts);
            expect(balances(loaded.receipt)).toBe(true);
            const now = await stored();
            const state = [...now].map(([code, row]) => [
              code,
              { name: row.content.name ?? null, through: row.synced_through.getTime() },
            ]);
            expect(Object.fromEntries(state)).toEqual(Object.fromEntries(after));
            // What is counted as written carries this run; nothing else was touched.
            const inserted = [...now.keys()].filter((code) => !before.has(code));
            const changed = [...now].filter(([code, row]) => {
              const old = before.get(code);
              return old && old.run_id !== row.run_id;
            });
            expect([inserted.length, changed.length]).toEqual([counts.inserted, counts.updated]);
            for (const [code, row] of now) {
              const old = before.get(code);
              if (old?.run_id === row.run_id) expect(row.changed_at).toEqual(old.changed_at);
            }
            expected = after;
          }
        }),
        { numRuns: padding ? 10 : 60 },
      );
    },
  );

  it('counts every earlier line of a key as duplicate and keeps those that differ as superseded', async () => {
    const rows = lines(subscribers, [
      { subscriber_code: 'S1', name: 'first' },
      { subscriber_code: 'S2', name: 'same' },
      { subscriber_code: 'S1', name: 'second' },
      { subscriber_code: 'S2', name: 'same' },
      { subscriber_code: 'S1', name: 'third' },
    ]);
    const { counts, superseded } = await load(rows);
    expect(counts).toEqual({ inserted: 2, updated: 0, unchanged: 0, stale: 0, duplicate: 3 });
    expect((await stored()).get('S1')!.content.name).toBe('third');
    const kept = superseded.map(({ lineNo, reason, rowKey, line }: Reject) => [
      lineNo,
      reason,
      rowKey,
      line,
    ]);
    expect(kept).toEqual([
      [2, 'superseded', 'S1', `S1|first|||||||${ORG}`],
      [4, 'superseded', 'S1', `S1|second|||||||${ORG}`],
    ]);
  });

  it('tells rows of two organisations with the same key apart', async () => {
    const rows = lines(subscribers, [
      { subscriber_code: 'S1', name: 'ours' },
      { subscriber_code: 'S1', name: 'theirs', org_code: 'OTHER' },
    ]);
    expect((await load(rows)).counts).toMatchObject({ inserted: 2, duplicate: 0 });
  });

  it('counts rows with a flag, whatever becomes of them', async () => {
    const [row] = lines(subscribers, [{ subscriber_code: 'S1' }]);
    expect((await load([{ ...row!, flags: ['name:missing'] }])).flagged).toBe(1);
    expect(
      (await load([{ ...row!, flags: ['name:missing'] }], { through: T0 + MINUTE })).flagged,
    ).toBe(1);
    expect((await load([row!], { through: T0 + MINUTE })).counts).toMatchObject({ unchanged: 1 });
    expect(await query('select flags from vcc.subscriber')).toEqual([{ flags: null }]);
  });
});

describe('a column that the header lacks', () => {
  const full = { subscriber_code: 'S1', name: 'Wang', telephone: '0512', mobile: '138' };

  it('keeps its stored values, be the rest changed or not', async () => {
    await load(lines(subscribers, [full, { ...full, subscriber_code: 'S2' }]));
    const rows = lines(subscribers, [
      { subscriber_code: 'S1', name: 'Li', telephone: '0512' },
      { subscriber_code: 'S2', name: 'Wang', telephone: '0512' },
    ]);
    const header = headerOf(subscribers, ['mobile']);
    const { counts } = await load(rows, { header, through: T0 + MINUTE });
    expect(counts).toMatchObject({ updated: 1, unchanged: 1 });
    const after = await stored();
    expect(after.get('S1')!.content).toMatchObject({ name: 'Li', mobile: '138' });
    expect(after.get('S2')!.content).toMatchObject({ name: 'Wang', mobile: '138' });
  });

  it('may be another one in the next window of the same connection', async () => {
    await load(lines(subscribers, [full]), { header: headerOf(subscribers, ['mobile']) });
    await load(lines(subscribers, [full]), {
      header: headerOf(subscribers, ['telephone']),
      through: T0 + MINUTE,
    });
    expect((await stored()).get('S1')!.content).toEqual(expect.objectContaining(full));
  });
});

describe('the database', () => {
  const RUN = `insert into vcc.run (feed_id, org_code, dataset, trigger, window_from, window_to, worker, status, finished_at,
      lines, accepted, rejected, inserted, updated, unchanged, stale, duplicate)
    values ($1, 'WJ0105', 'meters', 'cli', '2026-01-01Z', '2026-01-02Z', 'test', $2,
      case when $2 = 'running' then null else now() end, `;
  const run = (status: string, numbers: string) =>
    query(`${RUN} ${numbers})`, [loads.feedOf(meters), status]);
  const refused = (constraint: string) => expect.objectContaining({ code: '23514', constraint });

  it('takes a receipt that balances', async () => {
    await expect(run('done', '15, 14, 1, 5, 4, 3, 1, 1')).resolves.toEqual([]);
  });

  it.each([
    ['lines are not accepted and rejected', '15, 14, 2, 5, 4, 3, 1, 1'],
    ['accepted rows are not what became of them', '15, 14, 1, 5, 4, 3, 1, 0'],
    ['nothing is counted but lines', '15, 0, 0, 0, 0, 0, 0, 0'],
  ])('refuses a receipt where %s', async (_, numbers) => {
    await expect(run('done', numbers)).rejects.toEqual(refused('run_receipt_balances'));
  });

  it('lets a failed run say what it saw without a balance', async () => {
    await expect(run('failed', '15, 0, 3, 0, 0, 0, 0, 0')).resolves.toEqual([]);
  });

  it.each([
    'lines',
    'accepted',
    'rejected',
    'inserted',
    'updated',
    'unchanged',
    'stale',
    'duplicate',
  ])('refuses a run whose %s are not known, or less than none', async (counter) => {
    const id = (
      await run('failed', '0, 0, 0, 0, 0, 0, 0, 0').then(() =>
        query<{ id: number }>('select max(id) as id from vcc.run'),
      )
    )[0]!.id;
    await expect(
      query(`update vcc.run set ${counter} = null where id = $1`, [id]),
    ).rejects.toMatchObject({
      code: '23502',
      column: counter,
    });
    await expect(query(`update vcc.run set ${counter} = -1 where id = $1`, [id])).rejects.toEqual(
      refused('run_counters_not_negative'),
    );
  });

  it('refuses a second run of a feed that is under way', async () => {
    await run('running', '0, 0, 0, 0, 0, 0, 0, 0');
    await expect(run('running', '0, 0, 0, 0, 0, 0, 0, 0')).rejects.toMatchObject({
      code: '23505',
      constraint: 'run_running_key',
    });
  });

  it.each([
    [
      'feed_coverage_whole_seconds',
      `update vcc.feed set coverage = '{[2026-01-01 00:00:00.5Z,2026-01-02Z)}'`,
    ],
    [
      'feed_coverage_whole_seconds',
      `update vcc.feed set coverage = '{[2026-01-01Z,2026-01-02Z),[2026-01-03Z,2026-01-03 00:00:00.001Z)}'`,
    ],
    ['feed_since_whole_second', `update vcc.feed set since = '2026-01-01 00:00:00.5Z'`],
    [
      'request_during_whole_seconds',
      `insert into vcc.request (feed_id, kind, during, requested_by)
        select id, 'resync', '[2026-01-01Z,2026-01-01 00:00:00.5Z)', 'test' from vcc.feed limit 1`,
    ],
    [
      'run_window_whole_seconds',
      `insert into vcc.run (feed_id, org_code, dataset, trigger, window_from, window_to, worker)
        select id, org_code, dataset, 'cli', '2026-01-01Z', '2026-01-01 00:00:00.5Z', 'test' from vcc.feed limit 1`,
    ],
    [
      'run_requested_whole_seconds',
      `insert into vcc.run (feed_id, org_code, dataset, trigger, window_from, window_to, requested_from, worker)
        select id, org_code, dataset, 'cli', '2026-01-01Z', '2026-01-02Z', '2025-12-31 23:58:00.5Z', 'test' from vcc.feed limit 1`,
    ],
  ])('refuses times that are no whole seconds (%s: %s)', async (constraint, statement) => {
    await expect(query(statement)).rejects.toEqual(refused(constraint));
  });

  it('takes coverage that begins before all time', async () => {
    await expect(query(`update vcc.feed set coverage = '{(,2026-01-02Z)}'`)).resolves.toEqual([]);
  });
});

describe('a few rows that Postgres refuses', () => {
  it('fail the run for what is wrong with them, and leave their connection good for the next', async () => {
    const few = (name: string) => lines(subscribers, [{ subscriber_code: 'K1', name }]);
    const claim = await claimFor(subscribers, T0);
    const options = { from: T0 - MINUTE, syncedThrough: T0, force: false };
    await claim.stage(headerOf(subscribers), batches(few('a NUL \0 is no text')));
    await expect(claim.merge(options)).rejects.toMatchObject({
      code: 'DATABASE_BUSY',
      message: expect.stringContaining('22021'),
    });
    await claim.release();
    expect(await stored(subscribers)).toEqual(new Map());
    expect(await leftOpen()).toEqual([]);
    expect((await load(few('fine'))).counts.inserted).toBe(1);
  });
});

describe('a COPY that fails half way', () => {
  const many = (name: (index: number) => string) =>
    lines(
      meters,
      Array.from({ length: 2_000 }, (_, index) => ({
        meter_code: `M${index}`,
        location: name(index),
      })),
    );

  it('in the database leaves nothing behind, and its connection is good for the next run', async () => {
    const bad = many((index) => (index === 1_500 ? 'a NUL \0 is no text' : 'fine'));
    await expect(load(bad, { dataset: meters })).rejects.toMatchObject({
      code: 'DATABASE_BUSY',
      message: expect.stringContaining('22021'),
    });
    expect(await stored(meters)).toEqual(new Map());
    expect(await leftOpen()).toEqual([]);
    const { counts } = await load(
      many(() => 'fine'),
      { dataset: meters },
    );
    expect(counts.inserted).toBe(2_000);
  });

  it('in the database ends the reading of the download', async () => {
    let ended = false;
    async function* endless(): AsyncGenerator<readonly Row[]> {
      try {
        for (let round = 0; ; round += 1) {
          // A download comes from a socket: it lets others do their work in between.
          await setImmediate();
          const rows = Array.from({ length: 300 }, (_, index) => ({
            meter_code: `M${round} ${index}`,
            location: round === 3 ? '\0' : null,
          }));
          yield lines(meters, rows);
        }
      } finally {
        ended = true;
      }
    }
    await expect(load(endless(), { dataset: meters })).rejects.toMatchObject({
      code: 'DATABASE_BUSY',
    });
    expect(ended).toBe(true);
  });

  it('at the source passes the cause on, leaves nothing behind and the connection usable', async () => {
    const cause = new Error('the body was cut');
    async function* cut(): AsyncGenerator<readonly Row[]> {
      yield* batches(many(() => 'fine').slice(0, 1_200));
      throw cause;
    }
    const client = new pg.Client({ connectionString: loads.database.url });
    await client.connect();
    await prepareStaging(client as unknown as pg.PoolClient);
    await client.query('begin');
    await expect(
      stageRows(client as unknown as pg.PoolClient, meters, headerOf(meters), cut()),
    ).rejects.toBe(cause);
    await client.query('rollback');
    expect((await client.query('select count(*) from stage')).rows).toEqual([{ count: 0 }]);
    await client.end();

    await expect(load(cut(), { dataset: meters })).rejects.toMatchObject({ code: 'DATABASE_BUSY' });
    expect(await stored(meters)).toEqual(new Map());
    expect(
      (
        await load(
          many(() => 'fine'),
          { dataset: meters },
        )
      ).counts.inserted,
    ).toBe(2_000);
  });
});

describe('a row that a newer extract lacked', () => {
  it.each([
    ['the same', 'a'],
    ['other', 'b'],
  ])('is here again by an older window with %s content only by force', async (_, name) => {
    const absent = async () =>
      (await query('select subscriber_code from vcc.subscriber where absent_since is not null'))
        .length;
    await load(lines(subscribers, [{ subscriber_code: 'K1', name: 'a' }]));
    await query('update vcc.subscriber set absent_since = $1', [new Date(T0 + MINUTE)]);
    const older = lines(subscribers, [{ subscriber_code: 'K1', name }]);
    await load(older, { through: T0 - MINUTE });
    expect(await absent()).toBe(1);
    await load(older, { through: T0 - MINUTE, force: true });
    expect(await absent()).toBe(0);
  });
});

describe('rows that come unchanged under a newer window', () => {
  const meter = (index: number) => ({
    meter_code: `M${String(index).padStart(6, '0')}`,
    model: 'G4',
  });
  const updates = async () => {
    // What a backend has counted reaches the statistics when it is idle or ends.
    await loads.reopen();
    const [found] = await query<{ all: number; heapOnly: number }>(
      `select n_tup_upd as all, n_tup_hot_upd as "heapOnly" from pg_stat_user_tables
        where relid = 'vcc.meter'::regclass`,
    );
    return found!;
  };

  it.each([
    ['in the order of their keys', (index: number) => index],
    ['in another', (index: number) => (index * 7_919) % 5_000],
  ])('are updated heap-only, without an index entry, %s', async (_, order) => {
    const all = Array.from({ length: 5_000 }, (_, index) => meter(order(index)));
    await load(lines(meters, all), { dataset: meters, through: T0 });
    const before = await updates();
    // What a deep re-read brings: a few of them, anywhere.
    for (let day = 1; day <= 5; day += 1) {
      const some = Array.from({ length: 100 }, (_, index) => meter(index * 50 + day));
      const { counts } = await load(lines(meters, some), {
        dataset: meters,
        through: T0 + day * MINUTE,
      });
      expect(counts).toMatchObject({ unchanged: 100, updated: 0, inserted: 0 });
    }
    await eventually(async () => {
      const after = await updates();
      expect(after.all - before.all).toBe(500);
      expect((after.heapOnly - before.heapOnly) / 500).toBeGreaterThan(0.9);
    });
  });
});

describe('staging', () => {
  it.each([20, 600])('serves a merge of %i rows after a question', async (count) => {
    const rows = lines(
      meters,
      Array.from({ length: count }, (_, index) => ({ meter_code: `M${index}` })),
    );
    const claim = await claimFor(meters, T0);
    const options = { from: T0 - MINUTE, syncedThrough: T0, force: false };
    await claim.stage(headerOf(meters), batches(rows));
    const staged = await claim.staged(['M3', 'other']);
    const foreseen = await claim.classify(options);
    const merged = await claim.merge(options);
    await claim.release();
    expect(staged).toEqual(new Set(['M3']));
    expect(foreseen.counts.inserted).toBe(count);
    expect(merged).toEqual(foreseen);
  });

  it('takes one table a connection, however many datasets and runs there are', async () => {
    const sizes = async () => {
      const [found] = await query<{ tables: number; entries: number }>(
        `select count(*) filter (where relname = 'stage' and relpersistence = 't') as tables,
            count(*) as entries from pg_class`,
      );
      return found!;
    };
    const turn = async (round: number) => {
      for (const dataset of [subscribers, meters]) {
        const size = round % 10 === 0 ? 600 : 1 + (round % 7);
        const rows = Array.from({ length: size }, (_, index) => ({
          [dataset.key]: `K${index}`,
          state: `${round}`,
        }));
        const through = T0 + round * MINUTE;
        await load(lines(dataset, rows), { dataset, through, foresee: false });
      }
    };
    await turn(0);
    const before = await sizes();
    for (let round = 1; round <= 100; round += 1) await turn(round);
    expect(await sizes()).toEqual(before);
    expect(before.tables).toBe(1);
    const [dead] = await query<{ inserted: number }>(
      `select count(*) as inserted from vcc.run where status = 'done'`,
    );
    expect(dead!.inserted).toBe(202);
  });

  it('is empty for the next run, after a commit and after a rollback', async () => {
    await load(lines(meters, [{ meter_code: 'M1' }]), { dataset: meters });
    const claim = await claimFor(meters, T0);
    await claim.stage(headerOf(meters), batches(lines(meters, [{ meter_code: 'M2' }])));
    await claim.release();
    const { counts } = await load([], { dataset: meters });
    expect(counts).toEqual({ inserted: 0, updated: 0, unchanged: 0, stale: 0, duplicate: 0 });
    expect([...(await stored(meters)).keys()]).toEqual(['M1']);
  });
});

describe('a request to stop', () => {
  it('in the middle of a COPY ends the run as interrupted and frees the feed', async () => {
    const stop = new AbortController();
    let copying = () => {};
    const reached = new Promise<void>((resolve) => {
      copying = resolve;
    });
    async function* stalled(): AsyncGenerator<readonly Row[]> {
      yield* batches(
        lines(
          meters,
          Array.from({ length: 900 }, (_, index) => ({ meter_code: `M${index}` })),
        ),
      );
      copying();
      // As a download does: it waits for the platform until it is told to stop.
      await new Promise((_, reject) => {
        stop.signal.addEventListener('abort', () => reject(new Error('aborted')));
      });
    }
    const run = load(stalled(), { dataset: meters, signal: stop.signal });
    const outcome = expect(run).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await reached;
    await eventually(async () => {
      const copies =
        await query(`select from pg_stat_activity where query like 'copy %' and state = 'active'
        and datname = current_database()`);
      expect(copies).toHaveLength(1);
    });
    stop.abort();
    await outcome;
    expect(await leftOpen()).toEqual([]);
    expect(
      (await load(lines(meters, [{ meter_code: 'M1' }]), { dataset: meters })).counts.inserted,
    ).toBe(1);
  });

  it('in the middle of a merge that waits for a lock ends the run as interrupted and frees the feed', async () => {
    const stop = new AbortController();
    const blocker = await loads.database.pool.connect();
    await blocker.query('begin');
    await blocker.query('lock table vcc.meter in exclusive mode');
    const run = load(lines(meters, [{ meter_code: 'M1' }]), {
      dataset: meters,
      signal: stop.signal,
    });
    const outcome = expect(run).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await eventually(async () => {
      const waits = await query(`select from pg_stat_activity where wait_event_type = 'Lock'
        and datname = current_database()`);
      expect(waits).toHaveLength(1);
    });
    stop.abort();
    await outcome;
    await blocker.query('rollback');
    blocker.release();
    expect(await leftOpen()).toEqual([]);
    expect(
      (await load(lines(meters, [{ meter_code: 'M1' }]), { dataset: meters })).counts.inserted,
    ).toBe(1);
  });

  it('that comes as a run ends never hits the next run on its connection', async () => {
    const id = loads.feedOf(meters)!;
    for (let round = 0; round < 20; round += 1) {
      // Fresh pools: the cancellation has to wait for a connection, and so comes late.
      const fresh = new Store(loads.database.url, { runs: 1 });
      const stop = new AbortController();
      const ending = (await fresh.feeds.claim(id, stop.signal))!;
      stop.abort();
      await ending.release();
      for (let next = 0; next < 10; next += 1) {
        const claim = (await fresh.feeds.claim(id, never))!;
        await claim.settle({ nextDueAt: T0, noticeDueAt: T0, finishedRequests: [], deep: null });
      }
      await fresh.close();
    }
  });
});
