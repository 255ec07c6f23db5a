import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { chinaTime } from '../../src/cli/output.ts';
import { readSettings } from '../../src/config.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/core/china-time.ts';
import { completeThrough, watermark } from '../../src/core/coverage.ts';
import { gapsOf } from '../../src/core/health.ts';
import { type Holding, holdingOf } from '../../src/core/holding.ts';
import { type IntervalSet, normalise, span } from '../../src/core/interval.ts';
import { reach, recoverableUntil } from '../../src/core/window.ts';
import { readStatus } from '../../src/store/ledgers.ts';
import { openDatabase, openPool } from '../../src/store/pool.ts';
import { noteSettings } from '../../src/store/service-settings.ts';
import { toRange, toTimestamp } from '../../src/store/time.ts';
import { createDatabase, useDatabase } from '../support/database.ts';
import { SYNCED, storeRows } from '../support/reporting-world.ts';

const database = useDatabase();

beforeEach(async () => {
  await database.pool.query(
    'truncate vcc.org, vcc.feed, vcc.run, vcc.reject, vcc.platform_state, vcc.meter cascade',
  );
  await noteSettings(openDatabase(database.pool), { every: 15 * MINUTE, settle: 30 * SECOND });
});

async function read<R extends object = Record<string, unknown>>(
  query: string,
  values: readonly unknown[] = [],
): Promise<R[]> {
  return (await database.pool.query<R>(query, [...values])).rows;
}

const multirange = (set: IntervalSet): string => `{${set.map(toRange).join(',')}}`;

/** Whole seconds in a stretch of time. */
const seconds = (from: number, to: number) =>
  fc
    .integer({ min: Math.ceil(from / SECOND), max: Math.floor(to / SECOND) })
    .map((at) => at * SECOND);

/** Sets of a few intervals in a stretch of time; the first may be endless. */
const intervals = (from: number, to: number) =>
  fc
    .tuple(
      fc.array(fc.tuple(seconds(from, to), fc.integer({ min: 1, max: 40 * 24 })), { maxLength: 5 }),
      fc.boolean(),
    )
    .map(([parts, endless]) =>
      normalise(
        parts.map(([start, hours], index) => ({
          from: endless && index === 0 ? -Infinity : start,
          to: start + hours * HOUR,
        })),
      ),
    );

const interval = fc.integer({ min: 1, max: 3 * 24 * 60 }).map((minutes) => minutes * MINUTE);

/** Feeds as they may stand at `now`. */
const feeds = (now: number) =>
  fc.record({
    since: fc.option(seconds(now - 90 * DAY, now)),
    coverage: intervals(now - 100 * DAY, now - MINUTE),
    accepted: intervals(now - 100 * DAY, now - 28 * DAY).map((set) =>
      set.filter(({ from }) => Number.isFinite(from)),
    ),
    every: interval,
  });

describe('the arithmetic of the database', () => {
  it('finds reach and its inverse as the service does, at any time', async () => {
    const times = fc.sample(seconds(Date.UTC(2023, 11, 1), Date.UTC(2029, 2, 1)), 2_000);
    const edges = times.flatMap((at) => [reach(at), reach(at) - SECOND, recoverableUntil(at)]);
    const all = [...times, ...edges];
    const rows = await read<{ reach: number; until: number }>(
      `select (extract(epoch from vcc.reach(at)) * 1000)::float8 as reach,
          (extract(epoch from vcc.recoverable_until(at)) * 1000)::float8 as until
        from unnest($1::timestamptz[]) with ordinality as t (at, place) order by place`,
      [all.map(toTimestamp)],
    );
    expect(rows).toEqual(all.map((at) => ({ reach: reach(at), until: recoverableUntil(at) })));
  });

  it('finds gaps and complete through as the service does, for any coverage', async () => {
    const cases = fc.sample(
      seconds(Date.UTC(2025, 0, 1), Date.UTC(2028, 0, 1)).chain((whole) =>
        fc.record({
          now: fc.integer({ min: 0, max: 999 }).map((ms) => whole + ms),
          settle: fc.integer({ min: 0, max: 3_600 }).map((one) => one * SECOND),
          feed: feeds(whole),
        }),
      ),
      500,
    );
    const rows = await read<{ complete: number | null; holes: [number, number][] }>(
      `select (extract(epoch from vcc.complete_through(since, coverage, accepted)) * 1000)::float8 as complete,
          (select coalesce(json_agg(json_build_array(
              extract(epoch from lower(one)) * 1000, extract(epoch from upper(one)) * 1000) order by one), '[]')
            from unnest(vcc.uncovered(since, vcc.gap_end(now, every, settle), coverage) - accepted) as one) as holes
        from unnest($1::timestamptz[], $2::timestamptz[], $3::tstzmultirange[], $4::tstzmultirange[], $5::interval[],
          $6::interval[]) with ordinality as t (now, since, coverage, accepted, every, settle, place) order by place`,
      [
        cases.map(({ now }) => toTimestamp(now)),
        cases.map(({ feed }) => (feed.since === null ? null : toTimestamp(feed.since))),
        cases.map(({ feed }) => multirange(feed.coverage)),
        cases.map(({ feed }) => multirange(feed.accepted)),
        cases.map(({ feed }) => `${feed.every / SECOND} seconds`),
        cases.map(({ settle }) => `${settle / SECOND} seconds`),
      ],
    );
    expect(rows).toEqual(
      cases.map(({ now, settle, feed }) => ({
        complete: completeThrough(feed),
        holes: normalise(gapsOf(feed, now, { every: 1, settle })).map(({ from, to }) => [from, to]),
      })),
    );
    expect(
      cases.filter((one) => gapsOf(one.feed, one.now, { every: 1, settle: one.settle }).length > 1)
        .length,
    ).toBeGreaterThan(50);
  });
});

describe('what a feed holds', () => {
  const told = (holding: Holding | null): string | null => {
    if (holding === null) return null;
    const { isFull, from, lacks } = holding;
    const lacking = { nothing: '', 'accepted gaps': ', less accepted gaps', gaps: ', with gaps' };
    const asOf = lacks === 'nothing' ? '' : ` as of ${chinaTime(from)}`;
    return `${isFull ? `all${asOf}` : `changes only since ${chinaTime(from)}`}${lacking[lacks]}`;
  };

  it('is said by the view as by the service, for any coverage', async () => {
    const now = Date.UTC(2026, 10, 20, 2);
    const cases = fc.sample(
      fc.record({
        feed: feeds(now),
        baselineAt: fc.option(seconds(now - 100 * DAY, now)),
        // Gaps that lie within what is accepted are rare by chance.
        isAccepted: fc.boolean(),
      }),
      500,
    );
    const made = cases.map(({ feed, baselineAt, isAccepted }) => {
      const accepted = isAccepted ? [{ from: now - 101 * DAY, to: now }] : feed.accepted;
      return { ...feed, accepted, baselineAt, watermark: watermark(feed.coverage) };
    });
    const at = (time: number | null) => (time === null ? null : toTimestamp(time));
    const rows = await read<{ holds: string | null }>(
      `select vcc.holds(since, baseline_at, coverage, accepted) as holds
        from unnest($1::timestamptz[], $2::timestamptz[], $3::tstzmultirange[], $4::tstzmultirange[])
          with ordinality as t (since, baseline_at, coverage, accepted, place) order by place`,
      [
        made.map(({ since }) => at(since)),
        made.map(({ baselineAt }) => at(baselineAt)),
        made.map(({ coverage }) => multirange(coverage)),
        made.map(({ accepted }) => multirange(accepted)),
      ],
    );
    const expected = made.map((one) => told(holdingOf(one)));
    expect(rows.map(({ holds }) => holds)).toEqual(expected);
    const kinds = new Set(expected.map((one) => one?.replace(/[\d:-]+ [\d:]+/, 'T') ?? 'nothing'));
    expect([...kinds].sort()).toEqual([
      'all',
      'all as of T, less accepted gaps',
      'all as of T, with gaps',
      'changes only since T',
      'changes only since T, less accepted gaps',
      'changes only since T, with gaps',
      'nothing',
    ]);
  });
});

describe('freshness and gap', () => {
  it('tell of every feed what the command line tells', async () => {
    const settings = { every: 20 * MINUTE, settle: 45 * SECOND };
    const db = openDatabase(database.pool);
    await noteSettings(db, settings);
    await database.pool.query(
      `insert into vcc.platform_state (app_id, clock_skew) values ('app', 7)`,
    );
    await database.pool.query(
      `insert into vcc.org (org_code) select 'O' || n from generate_series(1, 60) n`,
    );
    const made = fc.sample(fc.record({ feed: feeds(Date.now()), own: fc.boolean() }), 60);
    for (const [index, { feed, own }] of made.entries()) {
      const { rows } = await database.pool.query<{ id: number }>(
        `insert into vcc.feed (org_code, dataset, since, coverage, every) values ($1, 'meters', $2, $3, $4) returning id`,
        [
          `O${index + 1}`,
          feed.since === null ? null : toTimestamp(feed.since),
          multirange(feed.coverage),
          own ? `${feed.every / SECOND} seconds` : null,
        ],
      );
      for (const part of feed.accepted) {
        await database.pool.query(
          `insert into vcc.gap_acceptance (feed_id, during, reason, accepted_by) values ($1, $2, 'test', 'test')`,
          [rows[0]!.id, toRange(part)],
        );
      }
    }
    // One transaction, so that both views and we mean the same moment.
    const client = await database.pool.connect();
    const ms = (column: string) => `floor(extract(epoch from ${column}) * 1000)::float8`;
    let now: number;
    let fresh: object[];
    let gaps: object[];
    try {
      await client.query('begin');
      now = (await client.query<{ now: number }>(`select ${ms('now()')} as now`)).rows[0]!.now;
      fresh = (
        await client.query(
          `select org_code, ${ms('complete_through')} as complete, ${ms('watermark')} as watermark, ${ms('lag')} as lag,
              open_gaps, expired_gaps, ${ms('open_gap_time')} as open, ${ms('expired_gap_time')} as expired,
              ${ms('recoverable_until')} as until
            from reporting.freshness order by org_code collate "C"`,
        )
      ).rows;
      gaps = (
        await client.query(
          `select org_code, state, ${ms('gap_from')} as from, ${ms('gap_to')} as to, ${ms('recoverable_until')} as until
            from reporting.gap order by org_code collate "C", gap_from`,
        )
      ).rows;
      await client.query('commit');
    } finally {
      client.release();
    }
    const status = (await readStatus(db, settings, now)).feeds;
    expect(gaps).toEqual(
      status.flatMap(({ orgCode, gaps: own }) =>
        own.map((gap) => ({
          org_code: orgCode,
          state: gap.state,
          from: gap.from,
          to: gap.to,
          until: gap.recoverableUntil,
        })),
      ),
    );
    expect(fresh).toEqual(
      status.map((row) => {
        const of = (state: string) => row.gaps.filter((gap) => gap.state === state);
        return {
          org_code: row.orgCode,
          complete: row.completeThrough,
          watermark: row.watermark,
          lag: row.lag,
          open_gaps: of('open').length,
          expired_gaps: of('expired').length,
          open: expect.closeTo(span(of('open')), -1),
          expired: expect.closeTo(span(of('expired')), -1),
          until: of('open')[0]?.recoverableUntil ?? null,
        };
      }),
    );
    expect(gaps.length).toBeGreaterThan(20);
  });

  it('count what is accepted, unresolved and flagged, and when a run last ended well', async () => {
    await database.pool.query(`insert into vcc.org (org_code, name) values ('WJ0105', '吴江')`);
    const [feed] = await read<{ id: number }>(
      `insert into vcc.feed (org_code, dataset, since, baseline_at, coverage, consecutive_failures, last_error_code)
        select 'WJ0105', 'meters', at, at, '{}', 2, 'TRUNCATED' from date_trunc('second', now() - interval '60 days') as at
        returning id`,
    );
    await read(
      `insert into vcc.gap_acceptance (feed_id, during, reason, accepted_by)
        select $1, tstzrange(since, since + interval '2 days'), 'no file', 'me' from vcc.feed`,
      [feed!.id],
    );
    await read(
      `insert into vcc.reject (feed_id, run_id, line_no, reason, line_hash, window_to, resolved_at)
        values ($1, 1, 2, 'no_key', 'a', now(), null), ($1, 1, 3, 'no_key', 'b', now(), now())`,
      [feed!.id],
    );
    await read(
      `insert into vcc.run (feed_id, org_code, dataset, trigger, window_from, window_to, status, finished_at, worker)
        select $1, 'WJ0105', 'meters', 'schedule', $2, $2, status, $2::timestamptz + age, 'w'
        from (values ('done', interval '1 hour'), ('failed', interval '2 hours')) as t (status, age)`,
      [feed!.id, SYNCED],
    );
    await storeRows(database.pool, 'meters', [
      { meter_code: 'M1', flags: ['state:code', 'model:missing'] },
      { meter_code: 'M2' },
      { meter_code: 'M3', flags: ['state:code'], org_code: 'NJ0101' },
    ]);
    expect(
      await read(
        `select org_code, org_name, dataset, enabled, paused, unresolved_rejects, flagged_rows, consecutive_failures,
            last_error_code, last_loaded_at, expired_gaps, accepted_gap_time::text as accepted, holds from reporting.freshness`,
      ),
    ).toEqual([
      {
        org_code: 'WJ0105',
        org_name: '吴江',
        dataset: 'meters',
        enabled: true,
        paused: false,
        unresolved_rejects: 1,
        flagged_rows: 1,
        consecutive_failures: 2,
        last_error_code: 'TRUNCATED',
        last_loaded_at: new Date('2026-11-01T01:00:00Z'),
        expired_gaps: 1,
        accepted: '2 days',
        holds: 'all',
      },
    ]);
  });

  it('go by the default settings until a migration or a service notes its own', async () => {
    const { SYNC_EVERY, SYNC_SETTLE } = readSettings({}, ['SYNC_EVERY', 'SYNC_SETTLE']);
    const fresh = await createDatabase();
    const pool = openPool(fresh.url, { max: 1, name: 'vcc-sync test' });
    const noted = async () =>
      (
        await pool.query(
          `select extract(epoch from every)::int * 1000 as every, extract(epoch from settle)::int * 1000 as settle
            from vcc.service_setting`,
        )
      ).rows;
    try {
      expect(await noted()).toEqual([{ every: SYNC_EVERY, settle: SYNC_SETTLE }]);
      await noteSettings(openDatabase(pool), { every: HOUR, settle: 0 });
      expect(await noted()).toEqual([{ every: HOUR, settle: 0 }]);
    } finally {
      await pool.end();
      await fresh.drop();
    }
  });
});

describe('run_log and daily_volume', () => {
  async function addRuns(): Promise<void> {
    await database.pool.query(`insert into vcc.org (org_code) values ('WJ0105')`);
    await database.pool.query(
      `with feed as (insert into vcc.feed (org_code, dataset) values ('WJ0105', 'meters') returning id)
        insert into vcc.run (feed_id, org_code, dataset, trigger, window_from, window_to, started_at, finished_at,
          status, bytes, lines, accepted, rejected, inserted, updated, unchanged, flagged, error_code, error_message, worker)
        select id, 'WJ0105', 'meters', 'schedule', $1, $1, t.started, t.finished,
          t.status, t.bytes, t.lines, t.lines - t.rejected, t.rejected, t.inserted, 0, t.lines - t.rejected - t.inserted, 1,
          t.code, 'said of 张三 13600000001', 'host 1'
        from feed, (values
          ('2026-11-01T15:58:00Z'::timestamptz, '2026-11-01T15:59:59Z'::timestamptz, 'done', 100, 10, 1, 4, null),
          ('2026-11-01T15:59:00Z', '2026-11-01T16:00:00Z', 'done', 50, 5, 0, 5, null),
          ('2026-11-02T01:00:00Z', '2026-11-02T01:00:01Z', 'failed', 0, 0, 0, 0, 'TRUNCATED'),
          ('2026-11-02T02:00:00Z', null, 'running', 0, 0, 0, 0, null)
        ) as t (started, finished, status, bytes, lines, rejected, inserted, code)`,
      [SYNCED],
    );
  }

  it('list runs with their receipts, without the words of an error or the worker', async () => {
    await addRuns();
    const rows = await read('select * from reporting.run_log order by run_id');
    expect(
      rows.map(({ status, lines, inserted, error_code }) => [status, lines, inserted, error_code]),
    ).toEqual([
      ['done', 10, 4, null],
      ['done', 5, 5, null],
      ['failed', 0, 0, 'TRUNCATED'],
      ['running', 0, 0, null],
    ]);
    expect(JSON.stringify(rows)).not.toMatch(/张三|1360|host/);
  });

  it('add up what was loaded by the day in China', async () => {
    await addRuns();
    const rows = await read(
      `select day::text, runs, failed_runs, bytes, lines, rejected, inserted, unchanged, flagged
        from reporting.daily_volume order by day`,
    );
    const none = { failed_runs: 0, rejected: 0 };
    expect(rows).toEqual([
      {
        ...none,
        day: '2026-11-01',
        runs: 1,
        bytes: 100,
        lines: 10,
        rejected: 1,
        inserted: 4,
        unchanged: 5,
        flagged: 1,
      },
      {
        ...none,
        day: '2026-11-02',
        runs: 2,
        failed_runs: 1,
        bytes: 50,
        lines: 5,
        inserted: 5,
        unchanged: 0,
        flagged: 2,
      },
    ]);
  });
});
