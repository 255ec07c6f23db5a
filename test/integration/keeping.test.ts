import type { CompiledQuery } from 'kysely';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DAY, HOUR, MINUTE } from '../../src/core/china-time.ts';
import { maskKey } from '../../src/core/line-mask.ts';
import { openKeeping, purgeLines, thinDeepRequests, thinRuns } from '../../src/store/keeping.ts';
import { listRuns, readStatus } from '../../src/store/ledgers.ts';
import { type Database, databaseOn, openDatabase, openPool } from '../../src/store/pool.ts';
import { listRejects } from '../../src/store/reject-ledger.ts';
import { openRequestStore } from '../../src/store/requests.ts';
import { type KeepWorld, keepTick, ROWS_PER_TICK } from '../../src/sync/keep.ts';
import { useDatabase } from '../support/database.ts';
import { collectLog, type Harness, useHarness } from '../support/sync-harness.ts';

const database = useDatabase();
let db: Database;
let feeds: number[];

beforeAll(() => {
  db = openDatabase(database.pool);
});

beforeEach(async () => {
  await database.pool.query('truncate vcc.org restart identity cascade');
  await database.pool.query(`insert into vcc.org (org_code) values ('WJ0105')`);
  const { rows } = await database.pool.query<{ id: number }>(
    `insert into vcc.feed (org_code, dataset)
      values ('WJ0105', 'addresses'), ('WJ0105', 'meters') returning id`,
  );
  feeds = rows.map(({ id }) => id);
});

interface Run {
  /** An SQL interval: how long ago it ended. */
  readonly ago?: string;
  readonly status?: string;
  readonly inserted?: number;
  readonly rejected?: number;
  readonly feed?: number;
  readonly request?: number;
}

type Client = Pick<typeof database.pool, 'query'>;

/** Records runs as they would have been, oldest first; answers their ids. */
async function record(runs: readonly Run[], client: Client = database.pool): Promise<number[]> {
  const ids: number[] = [];
  for (const run of runs) {
    const { status = 'done', inserted = 0, rejected = 0, ago = '0' } = run;
    const { rows } = await client.query<{ id: number }>(
      `insert into vcc.run (feed_id, org_code, dataset, trigger, request_id, window_from, window_to, status,
          finished_at, lines, accepted, inserted, rejected, worker)
        values ($1, 'WJ0105', 'meters', 'schedule', $2, '2026-01-01Z', '2026-01-02Z', $3::text,
          case when $3 <> 'running' then now() - $4::interval end, $5::int + $6::int, $5, $5, $6, 'test') returning id`,
      [run.feed ?? feeds[0], run.request ?? null, status, ago, inserted, rejected],
    );
    ids.push(rows[0]!.id);
  }
  return ids;
}

/** A newer run, so that none of the others is the feed's newest. */
const newest = (): Promise<number[]> => record([{}]);

async function runIds(): Promise<number[]> {
  const { rows } = await database.pool.query<{ id: number }>('select id from vcc.run order by id');
  return rows.map(({ id }) => id);
}

function world(settings: Partial<KeepWorld['settings']> = {}) {
  return {
    keeping: openKeeping(db),
    settings: { runRetention: 180 * DAY, rejectRetention: 30 * DAY, ...settings },
    log: collectLog(),
  };
}

/** How many runs go at an age, in a transaction that is undone; there Postgres's clock stands still. */
async function goesAt(run: Run, kind: 'unchanged' | 'others', age: number): Promise<boolean> {
  const client = await database.pool.connect();
  try {
    await client.query('begin');
    await record([run, {}], client);
    const { numDeletedRows } = await thinRuns(databaseOn(client), kind, age, 10).executeTakeFirst();
    return numDeletedRows === 1n;
  } finally {
    await client.query('rollback');
    client.release();
  }
}

describe('runs', () => {
  it('go once they are older than allowed, to the microsecond', async () => {
    const justOver = '2 days 0.000001 seconds';
    expect(await goesAt({ ago: justOver }, 'unchanged', 2 * DAY)).toBe(true);
    expect(await goesAt({ ago: '2 days' }, 'unchanged', 2 * DAY)).toBe(false);
    expect(await goesAt({ ago: justOver, inserted: 1 }, 'others', 2 * DAY)).toBe(true);
    expect(await goesAt({ ago: '2 days', inserted: 1 }, 'others', 2 * DAY)).toBe(false);
    expect(await goesAt({ ago: justOver, status: 'running' }, 'others', 2 * DAY)).toBe(false);
  });

  it('that changed nothing go after two days, all others after RUN_RETENTION', async () => {
    const others: readonly Run[] = [
      { inserted: 1 },
      { rejected: 1 },
      { status: 'failed' },
      { status: 'interrupted' },
    ];
    const gone = await record([
      { ago: '49 hours' },
      ...others.map((one) => ({ ...one, ago: '181 days' })),
    ]);
    const kept = await record([
      { ago: '47 hours' },
      ...others.map((one) => ({ ...one, ago: '179 days' })),
    ]);
    kept.push(...(await newest()));
    expect(await keepTick(world())).toMatchObject({ runs: gone.length, requests: 0, lines: 0 });
    expect(await runIds()).toEqual(kept);
  });

  it('all go after RUN_RETENTION where that is less than two days', async () => {
    await record([{ ago: '61 minutes' }, { ago: '61 minutes', inserted: 1 }]);
    const kept = await record([{ ago: '59 minutes' }, { ago: '59 minutes', inserted: 1 }, {}]);
    expect(await keepTick(world({ runRetention: HOUR }))).toMatchObject({ runs: 2 });
    expect(await runIds()).toEqual(kept);
  });

  it("stay where they are a feed's newest, however old, and `status` shows them", async () => {
    await record([{ ago: '3 years' }, { ago: '2 years', feed: feeds[1]! }]);
    const last = await record([{ ago: '1 year' }, { ago: '1 year', inserted: 1, feed: feeds[1]! }]);
    expect(await keepTick(world())).toMatchObject({ runs: 2 });
    expect(await keepTick(world())).toMatchObject({ runs: 0 });
    expect(await runIds()).toEqual(last);
    const status = await readStatus(db, { every: MINUTE, settle: 0 }, Date.now());
    expect(status.feeds.map(({ lastRun }) => lastRun?.id)).toEqual(last);
  });

  it('of an open request stay until it is finished', async () => {
    const { rows } = await database.pool.query<{ id: number }>(
      `insert into vcc.request (feed_id, kind, during, requested_by)
        values ($1, 'resync', '[2026-01-01Z,2026-02-01Z)', 'test') returning id`,
      [feeds[0]],
    );
    const request = rows[0]!.id;
    const ofRequest = await record([
      { request, ago: '3 days' },
      { request, ago: '1 year', status: 'failed' },
    ]);
    const [last] = await newest();
    expect(await keepTick(world())).toMatchObject({ runs: 0 });
    expect(await runIds()).toEqual([...ofRequest, last]);
    await database.pool.query('update vcc.request set finished_at = now()');
    expect(await keepTick(world())).toMatchObject({ runs: 2 });
    expect(await runIds()).toEqual([last]);
  });

  it('are worked off in bounded batches, the oldest first, one a tick', async () => {
    await database.pool.query(
      `insert into vcc.run (feed_id, org_code, dataset, trigger, window_from, window_to, status, finished_at, worker)
        select $1, 'WJ0105', 'meters', 'schedule', '2026-01-01Z', '2026-01-02Z', 'done',
          now() - interval '3 days' - g * interval '1 second', 'test' from generate_series(1, $2::int) g`,
      [feeds[0], 2.5 * ROWS_PER_TICK],
    );
    await newest();
    const oldest = async () => {
      const { rows } = await database.pool.query<{ seconds: number }>(
        `select round(extract(epoch from now() - interval '3 days' - min(finished_at)))::int as seconds from vcc.run`,
      );
      return rows[0]!.seconds;
    };
    const ticks: number[] = [];
    expect(await oldest()).toBeGreaterThanOrEqual(2.5 * ROWS_PER_TICK);
    for (let tick = 0; tick < 4; tick += 1) {
      ticks.push((await keepTick(world())).runs);
      if (tick === 0) expect(await oldest()).toBeLessThan(1.5 * ROWS_PER_TICK + 60);
    }
    expect(ticks).toEqual([ROWS_PER_TICK, ROWS_PER_TICK, ROWS_PER_TICK / 2, 0]);
  });
});

/** Keeps a refused line that was last seen some time ago; answers its id. */
async function refuse(ago: string, over: { rowKey?: string | null; hash?: string } = {}) {
  const { rowKey = 'M-1', hash = Math.random().toString(36) } = over;
  const { rows } = await database.pool.query<{ id: number }>(
    `insert into vcc.reject (feed_id, run_id, line_no, reason, row_key, line_hash, line, header, window_to,
        first_seen, last_seen)
      values ($1, 9, 2, 'other_org', $2, $3, '20001|张三|13800138000', '编号|名称|电话', '2026-01-02Z',
        now() - interval '1 year', now() - $4::interval) returning id`,
    [feeds[0], rowKey, hash, ago],
  );
  return rows[0]!.id;
}

const readReject = async (id: number) =>
  (await database.pool.query('select * from vcc.reject where id = $1', [id])).rows[0];

describe('refused lines', () => {
  it('lose their text once they were last seen REJECT_RETENTION ago; the ledger stays', async () => {
    const [over, within] = [await refuse('30 days 1 second'), await refuse('29 days 23:59')];
    const before = await readReject(over);
    const untouched = await readReject(within);
    expect(await keepTick(world())).toMatchObject({ runs: 0, requests: 0, lines: 1 });
    expect(await readReject(over)).toEqual({ ...before, line: null, header: null });
    expect(await readReject(within)).toEqual(untouched);
    expect(untouched.line).toContain('张三');
    const shown = await listRejects(db, { state: 'open', limit: 10 });
    expect(shown.map(({ id, line }) => [id, line === null])).toEqual([
      [within, false],
      [over, true],
    ]);
    expect(await keepTick(world())).toMatchObject({ runs: 0, requests: 0, lines: 0 });
  });

  it.each([
    'M-1',
    '3205010001',
    'A',
    'WJ/0105_7.x',
    '',
    'zhangsan',
    'Li-Wei',
    '张三',
    'a b',
    'ABC',
  ])('keep the key %j only where it is shown as a code, too', async (rowKey) => {
    const id = await refuse('1 year', { rowKey });
    await keepTick(world());
    expect((await readReject(id)).row_key).toBe(maskKey(rowKey) === rowKey ? rowKey : null);
  });

  it('are worked off in bounded batches', async () => {
    await database.pool.query(
      `insert into vcc.reject (feed_id, run_id, line_no, reason, line_hash, line, window_to, last_seen)
        select $1, 1, g, 'nul', g::text, 'x', '2026-01-02Z', now() - interval '31 days'
        from generate_series(1, $2::int) g`,
      [feeds[0], 1.5 * ROWS_PER_TICK],
    );
    const ticks = [await keepTick(world()), await keepTick(world()), await keepTick(world())];
    expect(ticks.map(({ lines }) => lines)).toEqual([ROWS_PER_TICK, ROWS_PER_TICK / 2, 0]);
  });

  it('that a run holds just now are left to a later tick, without a wait', async () => {
    const [held, free] = [await refuse('1 year'), await refuse('1 year')];
    const run = await database.pool.connect();
    try {
      await run.query('begin');
      await run.query('update vcc.reject set resolved_at = now() where id = $1', [held]);
      expect(await keepTick(world())).toMatchObject({ lines: 1 });
      expect((await readReject(free)).line).toBeNull();
      await run.query('commit');
    } finally {
      run.release();
    }
    expect(await keepTick(world())).toMatchObject({ lines: 1 });
    expect((await readReject(held)).line).toBeNull();
  });
});

describe('notices', () => {
  it('go after a day; those that another process holds just now are left to it, without a wait', async () => {
    await database.pool.query(
      `insert into vcc.push_notice (seq, interface, received_at)
        select 'N' || hours, '7001', now() - make_interval(hours => hours)
        from unnest(array[1, 25, 26]) as hours`,
    );
    const other = await database.pool.connect();
    try {
      await other.query('begin');
      await other.query(`delete from vcc.push_notice where seq = 'N26'`);
      expect(await keepTick(world())).toMatchObject({ notices: 1 });
      await other.query('commit');
    } finally {
      other.release();
    }
    const left = await database.pool.query('select seq from vcc.push_notice');
    expect(left.rows).toEqual([{ seq: 'N1' }]);
  });
});

describe('requests', () => {
  /** Records requests that ended so long ago, or are open where `ago` is null; answers their ids. */
  async function request(...asked: readonly (readonly [kind: string, ago: string | null])[]) {
    const ids: number[] = [];
    for (const [kind, ago] of asked) {
      const { rows } = await database.pool.query<{ id: number }>(
        `insert into vcc.request (feed_id, kind, during, requested_by, finished_at)
          values ($1, $2, '[2026-01-01Z,2026-01-02Z)', 'test', now() - $3::interval) returning id`,
        [feeds[0], kind, ago],
      );
      ids.push(rows[0]!.id);
    }
    return ids;
  }

  async function requestIds(): Promise<number[]> {
    const { rows } = await database.pool.query<{ id: number }>(
      'select id from vcc.request order by id',
    );
    return rows.map(({ id }) => id);
  }

  it('of the service itself go after RUN_RETENTION; what people asked for stays for ever', async () => {
    await request(['deep', '181 days']);
    const kept = await request(
      ['deep', '179 days'],
      ['deep', null],
      ...['resync', 'audit', 'import', 'replay'].map((kind) => [kind, '9 years'] as const),
    );
    expect(await keepTick(world())).toMatchObject({ runs: 0, requests: 1, lines: 0 });
    expect(await requestIds()).toEqual(kept);
  });

  it('go after their runs, not before', async () => {
    const [id] = await request(['deep', '181 days']);
    const [run] = await record([{ ago: '181 days', inserted: 1, request: id! }]);
    expect(await keepTick(world())).toMatchObject({ runs: 0, requests: 0, lines: 0 });
    expect(await runIds()).toEqual([run]);
    await newest();
    expect(await keepTick(world())).toMatchObject({ runs: 1, requests: 1, lines: 0 });
    expect(await requestIds()).toEqual([]);
  });
});

describe('comparisons', () => {
  it('go after RUN_RETENTION with their findings, and an audit that nobody went on with is given up', async () => {
    await database.pool.query(
      `with q as (insert into vcc.request (feed_id, kind, during, requested_by)
          select $1, 'audit', '[2026-01-01Z,2026-01-02Z)', 'test' from generate_series(1, 2) returning id),
        c as (insert into vcc.comparison (request_id, feed_id, kind, during, started_at)
          select q.id, $1, 'window', '[2026-01-01Z,2026-01-02Z)',
            now() - case when q.id = (select min(id) from q) then interval '181 days' else interval '179 days' end
          from q returning id)
        insert into vcc.finding (comparison_id, kind, row_key) select id, 'missing', 'M1' from c`,
      [feeds[0]],
    );
    expect(await keepTick(world())).toMatchObject({ comparisons: 1 });
    expect(await keepTick(world())).toMatchObject({ comparisons: 0 });
    const { rows } = await database.pool.query(
      `select (select count(*) from vcc.comparison) as comparisons, (select count(*) from vcc.finding) as findings,
        (select array_agg(finished_at is null order by id) from vcc.request) as open`,
    );
    expect(rows).toEqual([{ comparisons: 1, findings: 1, open: [false, true] }]);
  });
});

describe('a tick that can not keep one ledger', () => {
  it('says so by code, keeps the others and does not throw', async () => {
    await record([{ ago: '3 days' }, {}]);
    const id = await refuse('1 year');
    await database.pool.query('alter table vcc.reject rename to refused');
    const there = world();
    try {
      expect(await keepTick(there)).toMatchObject({ runs: 1, requests: 0, lines: 0 });
    } finally {
      await database.pool.query('alter table vcc.refused rename to reject');
    }
    expect(there.log.lines).toEqual([
      { message: 'ledger not thinned', facts: { what: 'refused lines', code: 'DATABASE_BUSY' } },
    ]);
    expect(await keepTick(there)).toMatchObject({ runs: 0, requests: 0, lines: 1 });
    expect((await readReject(id)).line).toBeNull();
  });

  it('says once that the database takes no work, and leaves all others to the next tick', async () => {
    const [old] = await record([{ ago: '3 days' }, {}]);
    const readOnly = Object.assign(new URL(database.url), {
      search: '?options=-c%20default_transaction_read_only%3Don',
    });
    const pool = openPool(readOnly.href, { max: 1, name: 'vcc-sync test' });
    const there = { ...world(), keeping: openKeeping(openDatabase(pool)) };
    try {
      expect(await keepTick(there)).toMatchObject({ runs: 0, lines: 0, notices: 0 });
    } finally {
      await pool.end();
    }
    expect(there.log.lines).toEqual([
      {
        message: 'ledger not thinned',
        facts: { what: 'unchanged runs', code: 'DATABASE_READ_ONLY' },
      },
    ]);
    expect(await runIds()).toContain(old);
  });

  it('does not hold the planner up where a ledger is locked', async () => {
    const id = await refuse('1 year');
    const other = await database.pool.connect();
    try {
      await other.query('begin');
      await other.query('lock table vcc.reject in access exclusive mode');
      const there = { ...world(), keeping: openKeeping(db, 50) };
      expect(await keepTick(there)).toMatchObject({ runs: 0, requests: 0, lines: 0 });
      expect(there.log.lines).toMatchObject([{ facts: { what: 'refused lines' } }]);
    } finally {
      await other.query('rollback');
      other.release();
    }
    expect((await readReject(id)).line).toContain('张三');
  });
});

describe('on ledgers of 200,000 runs, 50,000 deep re-reads and as many refused lines', () => {
  interface Plan {
    readonly text: string;
    /** Pages of tables and indexes that it looked at. */
    readonly pages: number;
  }

  /** Carries a statement out and answers how. */
  async function explain(query: { compile(): CompiledQuery }): Promise<Plan> {
    const { sql, parameters } = query.compile();
    const { rows } = await database.pool.query<{ 'QUERY PLAN': string }>(
      `explain (analyze, buffers, costs off, timing off) ${sql}`,
      [...parameters],
    );
    const text = rows.map((row) => row['QUERY PLAN']).join('\n');
    const [, hit = 0, read = 0] =
      /^ {2}Buffers: shared(?: hit=(\d+))?(?: read=(\d+))?/m.exec(text) ?? [];
    return { text, pages: Number(hit) + Number(read) };
  }

  it('all are thinned by index, and an idle tick looks at a few pages', async () => {
    const { pool } = database;
    await pool.query(
      `insert into vcc.feed (org_code, dataset) values ('WJ0105', 'subscribers'), ('WJ0105', 'supply_points')`,
    );
    await pool.query(
      `insert into vcc.run (feed_id, org_code, dataset, trigger, window_from, window_to, status, finished_at,
          inserted, accepted, lines, worker)
        select feeds[1 + g % 4], 'WJ0105', 'meters', 'schedule', '2026-01-01Z', '2026-01-02Z', 'done',
          now() - (200000 - g) * interval '1 minute', (g % 4 = 0)::int, (g % 4 = 0)::int, (g % 4 = 0)::int, 'test'
        from generate_series(1, 200000) g, (select array_agg(id) as feeds from vcc.feed) f`,
    );
    await pool.query(
      `insert into vcc.reject (feed_id, run_id, line_no, reason, line_hash, line, window_to, last_seen)
        select $1, g, g, 'nul', g::text, repeat('x', 80), '2026-01-02Z', now() - g * interval '2 minutes'
        from generate_series(1, 50000) g`,
      [feeds[0]],
    );
    await pool.query(
      `insert into vcc.request (feed_id, kind, during, requested_by, finished_at)
        select $1, 'deep', '[2026-01-01Z,2026-01-02Z)', 'planner', now() - g * interval '5 minutes'
        from generate_series(1, 50000) g`,
      [feeds[0]],
    );
    await pool.query('vacuum analyze vcc.run, vcc.request, vcc.reject');
    for (const [query, index] of [
      [thinRuns(db, 'unchanged', 2 * DAY, ROWS_PER_TICK), 'run_thinning_idx'],
      [thinRuns(db, 'others', 100 * DAY, ROWS_PER_TICK), 'run_thinning_idx'],
      [thinDeepRequests(db, 100 * DAY, ROWS_PER_TICK), 'request_thinning_idx'],
      [purgeLines(db, 30 * DAY, ROWS_PER_TICK), 'reject_line_idx'],
    ] as const) {
      const { text } = await explain(query);
      expect(text).toMatch(new RegExp(`Index Scan using ${index} .*actual rows=1000 `));
      expect(text).not.toContain('Seq Scan on');
      expect(text).not.toContain('Sort');
    }
    for (const query of [
      thinRuns(db, 'unchanged', 400 * DAY, ROWS_PER_TICK),
      thinRuns(db, 'others', 400 * DAY, ROWS_PER_TICK),
      thinDeepRequests(db, 400 * DAY, ROWS_PER_TICK),
      purgeLines(db, 400 * DAY, ROWS_PER_TICK),
    ]) {
      const { text, pages } = await explain(query);
      expect(text).toMatch(
        /Index Scan using (run_thinning|request_thinning|reject_line)_idx .*actual rows=0 /,
      );
      expect(pages).toBeGreaterThan(0);
      expect(pages).toBeLessThan(12);
    }
  });
});

describe('a feed whose runs have gone', () => {
  const h = useHarness();

  /** Makes everything in the ledgers a year older, and keeps until nothing is left to take out. */
  async function age({ query, store }: Harness): Promise<void> {
    await query(`update vcc.run set finished_at = finished_at - interval '1 year'`);
    await query(`update vcc.request set finished_at = finished_at - interval '1 year'`);
    await query(`update vcc.reject set last_seen = last_seen - interval '1 year'`);
    const there = { ...world(), keeping: openKeeping(store.db) };
    for (let left = 1; left > 0; ) {
      const { runs, requests, lines } = await keepTick(there);
      left = runs + requests + lines;
    }
    expect(there.log.lines).toEqual([]);
  }

  it('goes on where it was, carries requests out and resolves its rejects', async () => {
    const { current } = h;
    await current.addOrgs(['WJ0105']);
    await current.runAll();
    const [feed] = await current.query<{ id: number }>(
      `select id from vcc.feed where dataset = 'meters'`,
    );
    const [meter] = await current.query<{ meter_code: string; run_id: number }>(
      'select meter_code, run_id from vcc.meter limit 1',
    );
    await current.query(
      `insert into vcc.reject (feed_id, run_id, line_no, reason, row_key, line_hash, line, window_to)
        select $1, $2, 2, 'field_count', $3, 'h', 'a|b', lower(coverage) + interval '1 second' from vcc.feed where id = $1`,
      [feed!.id, meter!.run_id, meter!.meter_code],
    );
    const coverage = await current.query('select id, coverage::text from vcc.feed order by id');
    await age(current);
    expect(await current.query('select count(*) as runs from vcc.run')).toEqual([{ runs: 4 }]);
    expect(await current.query('select id, coverage::text from vcc.feed order by id')).toEqual(
      coverage,
    );
    expect(await listRejects(current.store.db, { state: 'open', limit: 9 })).toMatchObject([
      { run_id: meter!.run_id, row_key: meter!.meter_code, line: null },
    ]);

    current.now += HOUR;
    current.world.change(60, current.now - MINUTE);
    await current.runAll();
    await current.expectEqual();
    const during = { from: current.now - 27 * DAY, to: current.now - 2 * HOUR };
    await openRequestStore(current.store.db).record({
      feedIds: [feed!.id],
      during,
      force: false,
      maxRejects: null,
      reason: null,
      requestedBy: 'test',
    });
    const outcomes = await current.run('meters', 'WJ0105');
    expect(outcomes.length).toBeGreaterThan(0);
    await current.expectEqual();
    expect(
      await current.query('select count(*) as open from vcc.request where finished_at is null'),
    ).toEqual([{ open: 0 }]);
    expect(await listRejects(current.store.db, { state: 'open', limit: 9 })).toEqual([]);
    const runs = await listRuns(current.store.db, { status: 'failed', limit: 9 });
    expect(runs).toEqual([]);
  });
});
