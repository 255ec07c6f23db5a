import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/core/china-time.ts';
import { completeThrough, gaps } from '../../src/core/coverage.ts';
import type { ErrorCode } from '../../src/core/errors.ts';
import type { ImportSpan } from '../../src/core/import.ts';
import { normalise } from '../../src/core/interval.ts';
import { balances } from '../../src/core/receipt.ts';
import { reach } from '../../src/core/window.ts';
import { CATALOGUE } from '../../src/datasets/catalogue.ts';
import { encodeGb18030 } from '../../src/simulator/gb18030.ts';
import { tableBody } from '../../src/simulator/table-body.ts';
import { readStatus } from '../../src/store/ledgers.ts';
import { openRequestStore } from '../../src/store/requests.ts';
import { Store } from '../../src/store/store.ts';
import { catchUp } from '../../src/sync/catch-up.ts';
import { type ImportWish, importTable } from '../../src/sync/import.ts';
import type { Feed, TableBytes } from '../../src/sync/ports.ts';
import { eventually } from '../support/eventually.ts';
import { type Harness, storedRows, useHarness } from '../support/sync-harness.ts';
import { METER_HEADER, meterLine, meterTable, tableBytes } from '../support/table-bytes.ts';

const METERS = { dataset: 'meters', orgCode: 'WJ0105' } as const;
const STILL = { subscribersPerOrg: 0, changesPerDay: 0 };
const NOW = Date.UTC(2026, 9, 20, 4, 0, 0);
const LONG_AGO = NOW - 700 * DAY;
const never = new AbortController().signal;

const interval = (from: number, to: number): ImportSpan => ({
  kind: 'interval',
  during: { from, to },
});
const asOf = (at: number, full = false): ImportSpan => ({ kind: 'as-of', asOf: at, full });

interface Extras extends Partial<ImportWish> {
  readonly signal?: AbortSignal;
  readonly onBusy?: () => void;
}

async function importMeters(
  h: Harness,
  table: string | Buffer | TableBytes,
  span: ImportSpan,
  { signal = never, onBusy, ...over }: Extras = {},
) {
  const bytes = typeof table === 'string' || Buffer.isBuffer(table) ? tableBytes(table) : table;
  const wish: ImportWish = {
    ...METERS,
    span,
    maxRejects: null,
    reason: 'from the archive',
    requestedBy: 'test:somebody',
    ...over,
  };
  const world = { ...h.sync, feedsOf: openRequestStore(h.store.db).feedsOf };
  return importTable(world, wish, { open: async () => bytes, ...(onBusy && { onBusy }) }, signal);
}

async function feedOf(h: Harness): Promise<Feed> {
  return (await h.store.feeds.find(METERS))!;
}

/** Everything about the feed that an import must leave alone. */
async function scheduleOf(h: Harness): Promise<object> {
  const [row] = await h.query(
    `select next_due_at, consecutive_failures, last_error_code, last_error from vcc.feed
      where dataset = 'meters'`,
  );
  return row!;
}

async function setFeed(h: Harness, assignments: string): Promise<void> {
  await h.query(`update vcc.feed set ${assignments} where dataset = 'meters'`);
}

async function stored(h: Harness): Promise<Record<string, string | null>> {
  const rows = await storedRows(h.store, 'meters', 'WJ0105');
  return Object.fromEntries(rows.map((row) => [row.meter_code, row.location ?? null]));
}

const throughOf = async (h: Harness): Promise<number[]> =>
  (
    await h.query<{ at: Date }>('select synced_through as at from vcc.meter order by meter_code')
  ).map(({ at }) => at.getTime());

const failing = (code: ErrorCode) => expect.objectContaining({ code });

const h = useHarness({ now: NOW, world: STILL });

describe('an import of an interval', () => {
  it('loads its rows, covers it however long ago, and leaves who, when, why and a receipt', async () => {
    await h.current.addOrgs(['WJ0105'], LONG_AGO);
    const text = meterTable([meterLine('A', { location: '厨房' }), meterLine('B'), 'no line']);
    const span = interval(LONG_AGO, LONG_AGO + DAY);
    const { receipt, runId, window } = await importMeters(h.current, text, span);
    expect(receipt).toMatchObject({ lines: 3, accepted: 2, rejected: 1, inserted: 2 });
    expect(balances(receipt)).toBe(true);
    expect(window).toEqual({ from: LONG_AGO, to: LONG_AGO + DAY });
    expect(await stored(h.current)).toEqual({ A: '厨房', B: null });
    expect(await throughOf(h.current)).toEqual([LONG_AGO + DAY, LONG_AGO + DAY]);
    const feed = await feedOf(h.current);
    expect(feed.coverage).toEqual([{ from: LONG_AGO, to: LONG_AGO + DAY }]);
    expect(completeThrough(feed)).toBe(LONG_AGO + DAY);
    expect(await h.current.query('select * from vcc.run')).toMatchObject([
      {
        id: runId,
        trigger: 'import',
        status: 'done',
        window_from: new Date(LONG_AGO),
        window_to: new Date(LONG_AGO + DAY),
        requested_from: null,
        requested_to: null,
        seq: null,
        http_status: null,
        bytes: Buffer.byteLength(text),
        sha256: createHash('sha256').update(text).digest('hex'),
        lines: 3,
        rejected: 1,
        inserted: 2,
      },
    ]);
    const requests = await h.current.query(
      `select q.kind, q.reason, q.requested_by, q.finished_at is not null as finished,
          lower(q.during) as from, upper(q.during) as to, r.id as run
        from vcc.request q join vcc.run r on r.request_id = q.id`,
    );
    expect(requests).toEqual([
      {
        kind: 'import',
        reason: 'from the archive',
        requested_by: 'test:somebody',
        finished: true,
        from: new Date(LONG_AGO),
        to: new Date(LONG_AGO + DAY),
        run: runId,
      },
    ]);
    expect(await h.current.query('select reason, header, window_to from vcc.reject')).toEqual([
      { reason: 'field_count', header: null, window_to: new Date(LONG_AGO + DAY) },
    ]);
  });

  it('never brings older over newer, and newer over older', async () => {
    await h.current.addOrgs(['WJ0105']);
    const [t1, t2, t3] = [NOW - 3 * HOUR, NOW - 2 * HOUR, NOW - HOUR];
    await importMeters(
      h.current,
      meterTable([meterLine('A', { location: 'new' })]),
      interval(t2, t3),
    );
    const older = await importMeters(
      h.current,
      meterTable([meterLine('A', { location: 'old' }), meterLine('B', { location: 'old' })]),
      interval(t1, t2),
    );
    expect(older.receipt).toMatchObject({ stale: 1, inserted: 1 });
    expect(await stored(h.current)).toEqual({ A: 'new', B: 'old' });
    await importMeters(h.current, meterTable([meterLine('A', { location: 'newest' })]), asOf(t3));
    expect(await stored(h.current)).toEqual({ A: 'newest', B: 'old' });
  });

  it('closes the gap that a sleeping feed left, and status says so', async () => {
    const horizon = reach(NOW);
    await h.current.addOrgs(['WJ0105'], horizon - 10 * DAY);
    await h.current.run('meters', 'WJ0105');
    const holes = async () =>
      gaps(await feedOf(h.current), NOW - 30 * SECOND, NOW, HOUR).map(({ from, to, state }) => ({
        from,
        to,
        state,
      }));
    expect(await holes()).toEqual([{ from: horizon - 10 * DAY, to: horizon, state: 'expired' }]);
    await importMeters(h.current, meterTable([]), interval(horizon - 10 * DAY, horizon - DAY));
    expect(await holes()).toEqual([{ from: horizon - DAY, to: horizon, state: 'expired' }]);
    await importMeters(h.current, meterTable([]), interval(horizon - DAY, horizon));
    expect(await holes()).toEqual([]);
    expect(completeThrough(await feedOf(h.current))).toBe(NOW - 30 * SECOND);
  });

  it('begins the promise of a new feed at reach, as a first download does', async () => {
    await h.current.addOrgs(['WJ0105']);
    await importMeters(h.current, meterTable([]), interval(LONG_AGO, LONG_AGO + DAY));
    expect((await feedOf(h.current)).since).toBe(reach(NOW));
  });
});

describe('a file split into any number of imports', () => {
  const orgs = Array.from({ length: 300 }, (_, index) => ({ code: `P${index}`, name: 'org' }));
  const many = useHarness({ now: NOW, world: { ...STILL, orgs } });
  const start = NOW - 40 * DAY;
  const change = fc.record({
    day: fc.integer({ min: 0, max: 39 }),
    key: fc.integer({ min: 0, max: 5 }),
    location: fc.integer({ min: 0, max: 3 }),
  });
  const file = fc.tuple(fc.integer({ min: 0, max: 39 }), fc.integer({ min: 1, max: 39 }));
  const plan = fc.record({
    changes: fc.array(change, { maxLength: 25 }),
    cuts: fc.uniqueArray(fc.integer({ min: 1, max: 39 }), { maxLength: 6 }),
    /** Files that overlap the others. */
    extra: fc.array(file, { maxLength: 3 }),
    order: fc.array(fc.nat(), { minLength: 12, maxLength: 12 }),
    downloadAt: fc.uniqueArray(fc.nat({ max: 8 }), { maxLength: 2 }),
  });

  it('in any order, with downloads in between, gives the newest state and the union of what they cover', async () => {
    let cases = 0;
    const h = many.current;
    await fc.assert(
      fc.asyncProperty(plan, async ({ changes, cuts, extra, order, downloadAt }) => {
        const orgCode = orgs[cases++]!.code;
        await h.addOrgs([orgCode], start);
        for (const { day, key, location } of changes) {
          const row = { meter_code: `M${key}`, location: `at ${location}` };
          h.world.put('meters', orgCode, row, start + day * DAY + key * MINUTE);
        }
        const days = [0, ...[...cuts].sort((a, b) => a - b), 40];
        const files = [
          ...days.slice(1).map((to, index) => ({ from: days[index]!, to })),
          ...extra.map(([from, length]) => ({ from, to: Math.min(40, from + length) })),
        ].map(({ from, to }, index) => ({
          from: start + from * DAY,
          to: Math.min(start + to * DAY, NOW - MINUTE),
          rank: order[index]!,
        }));
        files.sort((a, b) => a.rank - b.rank);
        for (const [step, { from, to }] of files.entries()) {
          if (downloadAt.includes(step)) await h.run('meters', orgCode);
          const how = { now: NOW, reading: 'then' } as const;
          const rows = h.world.changes('meters', orgCode, { from, to }, how);
          const text = [...tableBody(CATALOGUE.meters, rows)].join('');
          const { receipt } = await importMeters(h, text, interval(from, to), { orgCode });
          expect(balances(receipt)).toBe(true);
        }
        const source = [...h.world.rows('meters', orgCode, NOW).values()];
        const byCode = source.sort((a, b) => (a.meter_code! < b.meter_code! ? -1 : 1));
        expect(await storedRows(h.store, 'meters', orgCode)).toEqual(byCode);
        const downloaded = downloadAt.some((step) => step < files.length)
          ? [{ from: reach(NOW), to: NOW - 30 * SECOND }]
          : [];
        const feed = await h.store.feeds.find({ dataset: 'meters', orgCode });
        const imported = files.map(({ from, to }) => ({ from, to }));
        expect(feed!.coverage).toEqual(normalise([...imported, ...downloaded]));
      }),
      { numRuns: 25, maxSkipsPerRun: 10 },
    );
  });
});

describe('an import of rows as of a time', () => {
  it('covers nothing, and its rows are of that time', async () => {
    await h.current.addOrgs(['WJ0105']);
    await importMeters(h.current, meterTable([meterLine('A')]), asOf(LONG_AGO));
    expect(await feedOf(h.current)).toMatchObject({ coverage: [], since: null });
    expect(await throughOf(h.current)).toEqual([LONG_AGO]);
    expect(
      await h.current.query('select during, finished_at is null as open from vcc.request'),
    ).toEqual([{ during: null, open: false }]);
    expect(await h.current.query('select window_from, window_to from vcc.run')).toEqual([
      { window_from: new Date(LONG_AGO), window_to: new Date(LONG_AGO) },
    ]);
  });
});

describe('an import of a full extract', () => {
  const status = async () => {
    const settings = { every: 15 * MINUTE, settle: 30 * SECOND };
    const { feeds } = await readStatus(h.current.store.db, settings, NOW, { dataset: 'meters' });
    return feeds[0]!;
  };

  it('sets the baseline, covers all before, and lets the promise begin there', async () => {
    const at = NOW - 2 * HOUR;
    await h.current.addOrgs(['WJ0105']);
    await importMeters(h.current, meterTable([meterLine('A')]), asOf(at, true));
    expect(await feedOf(h.current)).toMatchObject({
      since: at,
      coverage: [{ from: -Infinity, to: at }],
    });
    expect(await status()).toMatchObject({ baselineAt: at, completeThrough: at });
    await h.current.run('meters', 'WJ0105');
    expect(await status()).toMatchObject({ completeThrough: NOW - 30 * SECOND, gaps: [] });
    const [request] = await h.current.query(
      'select lower_inf(during) as endless, upper(during) as to from vcc.request',
    );
    expect(request).toEqual({ endless: true, to: new Date(at) });
  });

  it('of years ago tells the truth about the gap that follows it', async () => {
    await h.current.addOrgs(['WJ0105']);
    await h.current.run('meters', 'WJ0105');
    await importMeters(h.current, meterTable([meterLine('A')]), asOf(LONG_AGO, true));
    expect(await status()).toMatchObject({
      baselineAt: LONG_AGO,
      since: LONG_AGO,
      completeThrough: LONG_AGO,
      state: 'gap',
      gaps: [{ from: LONG_AGO, to: reach(NOW), state: 'expired' }],
    });
  });

  it('never sets an older baseline over a newer one, nor moves an earlier beginning', async () => {
    const at = NOW - 2 * HOUR;
    await h.current.addOrgs(['WJ0105'], NOW - 3 * DAY);
    await importMeters(h.current, meterTable([]), asOf(at, true));
    await importMeters(h.current, meterTable([]), asOf(NOW - DAY, true));
    expect(await status()).toMatchObject({ baselineAt: at, since: NOW - 3 * DAY });
    expect((await feedOf(h.current)).coverage).toEqual([{ from: -Infinity, to: at }]);
  });

  it('leaves rows that it lacks as they are', async () => {
    await h.current.addOrgs(['WJ0105']);
    await importMeters(h.current, meterTable([meterLine('A'), meterLine('B')]), asOf(NOW - DAY));
    await importMeters(h.current, meterTable([meterLine('B')]), asOf(NOW - HOUR, true));
    expect(
      await h.current.query('select meter_code, absent_since from vcc.meter order by 1'),
    ).toEqual([
      { meter_code: 'A', absent_since: null },
      { meter_code: 'B', absent_since: null },
    ]);
  });
});

describe('an import that is not in order', () => {
  it('is refused before anything is recorded', async () => {
    await h.current.addOrgs(['WJ0105']);
    const table = meterTable([meterLine('A')]);
    const refused: [ImportSpan, Extras][] = [
      [asOf(NOW), {}],
      [asOf(NOW - 29 * SECOND, true), {}],
      [interval(NOW - HOUR, NOW), {}],
      [interval(NOW - HOUR, NOW - 2 * HOUR), {}],
      [interval(NOW - HOUR, NOW - HOUR), {}],
      [interval(NOW - HOUR - 1, NOW - MINUTE), {}],
      [asOf(NOW - DAY + 1), {}],
      [asOf(NOW - DAY), { maxRejects: 50, reason: null }],
      [asOf(NOW - DAY), { orgCode: 'NOBODY' }],
    ];
    for (const [span, over] of refused) {
      await expect(importMeters(h.current, table, span, over)).rejects.toThrow(failing('CONFIG'));
    }
    await setFeed(h.current, 'enabled = true');
    await h.current.query(`delete from vcc.feed where dataset = 'subscribers'`);
    await expect(
      importMeters(h.current, table, asOf(NOW - DAY), { dataset: 'subscribers' }),
    ).rejects.toThrow(/has no feed for subscribers/);
    expect(await h.current.query('select from vcc.run')).toEqual([]);
    expect(await h.current.query('select from vcc.request')).toEqual([]);
  });

  it('is refused by the clock of Postgres as well', async () => {
    await h.current.addOrgs(['WJ0105']);
    const ahead = { ...h.current.sync, clock: () => Date.now() + DAY };
    const world = { ...ahead, feedsOf: openRequestStore(h.current.store.db).feedsOf };
    const at = Math.floor((Date.now() + HOUR) / 1000) * 1000;
    const wish = { ...METERS, span: asOf(at), maxRejects: null, reason: null, requestedBy: 'test' };
    const open = async () => tableBytes(meterTable([]));
    await expect(importTable(world, wish, { open }, never)).rejects.toThrow(/is not past/);
    expect(await h.current.query('select from vcc.run')).toEqual([]);
    const claim = await h.current.store.feeds.claim((await feedOf(h.current)).id, never);
    expect(claim).not.toBeNull();
    await claim?.release();
  });
});

describe('an import that fails', () => {
  const span = interval(NOW - 2 * HOUR, NOW - HOUR);
  const many = Array.from({ length: 400 }, (_, index) => `bad ${index}`);

  it('leaves rows, coverage, schedule and failures of the feed as they were, and may be repeated', async () => {
    await h.current.addOrgs(['WJ0105']);
    await h.current.run('meters', 'WJ0105');
    await setFeed(
      h.current,
      `consecutive_failures = 3, last_error_code = 'TRUNCATED', last_error = 'x'`,
    );
    const before = [await feedOf(h.current), await scheduleOf(h.current)];
    const wrong: [string, ErrorCode][] = [
      [`${METER_HEADER.replace('表具类型|', '')}\n`, 'HEADER_MISMATCH'],
      [meterTable([meterLine('A'), ...many]), 'TOO_MANY_REJECTS'],
    ];
    for (const [text, code] of wrong) {
      await expect(importMeters(h.current, text, span)).rejects.toThrow(failing(code));
      expect([await feedOf(h.current), await scheduleOf(h.current)]).toEqual(before);
      expect(await stored(h.current)).toEqual({});
    }
    const requests = await h.current.query('select from vcc.request where finished_at is not null');
    expect(requests).toHaveLength(2);
    await importMeters(h.current, meterTable([meterLine('A')]), span);
    expect(await scheduleOf(h.current)).toEqual(before[1]);
    expect(await stored(h.current)).toEqual({ A: null });
  });

  it('for its rejects goes through with a limit of its own, and a reason', async () => {
    await h.current.addOrgs(['WJ0105']);
    const text = meterTable([meterLine('A'), ...many]);
    const { receipt } = await importMeters(h.current, text, span, { maxRejects: 100 });
    expect(receipt).toMatchObject({ inserted: 1, rejected: 400 });
    const [request] = await h.current.query('select max_rejects from vcc.request');
    expect(request).toEqual({ max_rejects: 100 });
  });

  it('tells nothing of the platform: neither windows nor the queue go by it', async () => {
    await h.current.addOrgs(['WJ0105']);
    await expect(importMeters(h.current, meterTable(many), span)).rejects.toThrow();
    await importMeters(h.current, meterTable([]), span);
    expect(await h.current.store.feeds.recentRuns(50)).toEqual([]);
    const claim = (await h.current.store.feeds.claim((await feedOf(h.current)).id, never))!;
    expect(claim.feed.lastRuns).toEqual([]);
    await claim.release();
  });

  it('because it is to stop ends at once, with its run interrupted and its request finished', async () => {
    await h.current.addOrgs(['WJ0105']);
    const stopping = new AbortController();
    const bytes = tableBytes('');
    async function* endless() {
      yield Buffer.from(`${METER_HEADER}\n`);
      for (let index = 0; ; index += 1) {
        if (index === 3000) stopping.abort();
        // As a file does: reading one leaves room for everything else.
        if (index % 100 === 0) await nextTurn();
        yield Buffer.from(`${meterLine(`M${index}`)}\n`);
      }
    }
    const table = { ...bytes, body: endless() };
    await expect(importMeters(h.current, table, span, { signal: stopping.signal })).rejects.toThrow(
      failing('INTERRUPTED'),
    );
    expect(await h.current.query('select status from vcc.run')).toEqual([
      { status: 'interrupted' },
    ]);
    expect(await h.current.query('select from vcc.request where finished_at is null')).toEqual([]);
    expect(await stored(h.current)).toEqual({});
  });
});

describe('an import beside others', () => {
  it('waits for a feed that another process holds, and says so once', async () => {
    await h.current.addOrgs(['WJ0105']);
    const other = new Store(h.current.databaseUrl, { runs: 1 });
    try {
      const claim = (await other.feeds.claim((await feedOf(h.current)).id, never))!;
      let told = 0;
      const done = importMeters(h.current, meterTable([meterLine('A')]), asOf(NOW - DAY), {
        onBusy: () => {
          told += 1;
        },
      });
      await eventually(() => expect(told).toBe(1));
      expect(await h.current.query('select from vcc.request')).toEqual([]);
      await claim.release();
      await done;
      expect(told).toBe(1);
      expect(await stored(h.current)).toEqual({ A: null });
    } finally {
      await other.close();
    }
  });

  it('of two at once lets the second wait, and both go in', async () => {
    await h.current.addOrgs(['WJ0105']);
    const other = new Store(h.current.databaseUrl, { runs: 1 });
    try {
      const texts = ['A', 'B'].map((code) => meterTable([meterLine(code)]));
      await Promise.all([
        importMeters(h.current, texts[0]!, asOf(NOW - DAY)),
        importMeters({ ...h.current, store: other } as Harness, texts[1]!, asOf(NOW - DAY)),
      ]);
      expect(Object.keys(await stored(h.current))).toEqual(['A', 'B']);
    } finally {
      await other.close();
    }
  });

  it('of a process that died is closed by whoever looks, and its request with it', async () => {
    await h.current.addOrgs(['WJ0105']);
    await h.current.query(
      `with q as (insert into vcc.request (feed_id, kind, requested_by)
          select id, 'import', 'test' from vcc.feed where dataset = 'meters' returning id, feed_id)
        insert into vcc.run (feed_id, request_id, org_code, dataset, trigger, window_from, window_to, worker,
            backend_pid, backend_start)
          select feed_id, id, 'WJ0105', 'meters', 'import', '2026-01-01Z', '2026-01-01Z', 'test', 1, now() from q`,
    );
    await h.current.store.feeds.reap();
    expect(
      await h.current.query(
        `select r.status, q.finished_at is not null as finished
          from vcc.run r join vcc.request q on q.id = r.request_id`,
      ),
    ).toEqual([{ status: 'interrupted', finished: true }]);
  });

  it('does not keep the feed due for ever: its request is no work for the platform', async () => {
    await h.current.addOrgs(['WJ0105']);
    // A process that died and was not found yet.
    await h.current.query(
      `insert into vcc.request (feed_id, kind, requested_by)
        select id, 'import', 'test' from vcc.feed where dataset = 'meters'`,
    );
    await catchUp(h.current.sync, METERS, { trigger: 'schedule' }, never);
    expect((await feedOf(h.current)).nextDueAt).toBeGreaterThan(NOW);
  });
});

describe('the text of a file', () => {
  it('is read in either charset, with BOM, CRLF and other columns, piece by piece', async () => {
    await h.current.addOrgs(['WJ0105']);
    const text = meterTable(
      [`${meterLine('A', { location: '厨房' })}|rest`],
      `${METER_HEADER}|备注`,
    );
    const crlf = Buffer.from(`\ufeff${text.replaceAll('\n', '\r\n')}`);
    await importMeters(h.current, tableBytes(crlf, 7), asOf(NOW - DAY));
    const gbk = encodeGb18030(meterTable([meterLine('B', { location: '客厅' })]));
    await importMeters(h.current, tableBytes(gbk, 7), asOf(NOW - DAY));
    expect(await stored(h.current)).toEqual({ A: '厨房', B: '客厅' });
    expect(
      await h.current.query(`select location, extra from vcc.meter where extra is not null`),
    ).toEqual([{ location: '厨房', extra: { 备注: 'rest' } }]);
  });

  it('keeps the header with the lines refused below it where it is not the document’s own', async () => {
    await h.current.addOrgs(['WJ0105']);
    const header = `${METER_HEADER}|备注`;
    await importMeters(h.current, meterTable(['short'], header), asOf(NOW - DAY));
    expect(await h.current.query('select line, header from vcc.reject')).toEqual([
      { line: 'short', header },
    ]);
    // The same line in a table of the document's own header is read by that one.
    await importMeters(h.current, meterTable(['short']), asOf(NOW - DAY));
    expect(await h.current.query('select line, header from vcc.reject')).toEqual([
      { line: 'short', header: null },
    ]);
  });
});

describe('rows of another organisation', () => {
  const other = useHarness({ now: NOW, world: STILL, settings: { otherOrgs: 'accept' } });

  it('are refused, or stored under their own where that is set', async () => {
    const text = meterTable([meterLine('A', { org: 'ELSE1' })]);
    for (const harness of [h.current, other.current]) await harness.addOrgs(['WJ0105']);
    expect((await importMeters(h.current, text, asOf(NOW - DAY))).receipt).toMatchObject({
      rejected: 1,
    });
    await importMeters(other.current, text, asOf(NOW - DAY));
    expect(await other.current.query('select org_code from vcc.meter')).toEqual([
      { org_code: 'ELSE1' },
    ]);
  });
});
