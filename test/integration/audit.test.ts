import { beforeEach, describe, expect, it } from 'vitest';
import { DAY, formatChinaTime, HOUR, MINUTE, SECOND } from '../../src/core/china-time.ts';
import type { Interval } from '../../src/core/interval.ts';
import { reach } from '../../src/core/window.ts';
import { openAudits } from '../../src/store/audits.ts';
import { listComparisons } from '../../src/store/comparison-ledger.ts';
import { openRequestStore } from '../../src/store/requests.ts';
import { type AuditedWindow, type AuditWish, auditFeed } from '../../src/sync/audit.ts';
import { type Harness, storedRows, useHarness } from '../support/sync-harness.ts';
import { meterTable } from '../support/table-bytes.ts';
import { tableContents } from '../support/table-contents.ts';

const harness = useHarness({
  world: { subscribersPerOrg: 0, changesPerDay: 0 },
  settings: { deep: { every: DAY, span: 0 } },
});
const ORG = 'WJ0105';
const WISH: AuditWish = {
  orgCode: ORG,
  dataset: 'meters',
  windows: null,
  afresh: false,
  reason: 'a test',
  requestedBy: 'test:somebody',
};

let h: Harness;
let began: number;
beforeEach(async () => {
  h = harness.current;
  began = h.now;
  await h.addOrgs([ORG]);
});

const put = (code: string, at: number, visibleAt = at, location = 'kitchen') =>
  h.world.put('meters', ORG, { meter_code: code, location }, at, visibleAt);

/** Lets time pass and loads what has come by then; runs began when their windows had settled. */
async function passTo(at: number): Promise<void> {
  h.now = at;
  await h.run('meters', ORG);
  await h.query(`update vcc.run set started_at = window_to + interval '30 seconds'`);
}

/** As a full extract of that time does that lacked the meter. */
const markAbsent = (code: string, at: number) =>
  h.query('update vcc.meter set absent_since = $1 where meter_code = $2', [new Date(at), code]);

const spans = ({ from, to }: Interval, at: number) => from < at && at < to;

async function audit(over: Partial<AuditWish> = {}, signal = new AbortController().signal) {
  const seen: AuditedWindow[] = [];
  const world = {
    sync: h.sync,
    requests: openRequestStore(h.store.db),
    audits: openAudits(h.store.db),
  };
  const outcome = await auditFeed(
    world,
    { ...WISH, ...over },
    (window) => seen.push(window),
    signal,
  );
  const windows = await listComparisons(h.store.db, { requestId: outcome.requestId });
  return { outcome, seen, windows };
}

/** Three rows came an hour late, two more had been here in another state. */
async function seed(): Promise<number> {
  const late = began - HOUR;
  for (const code of ['A', 'B', 'C1', 'C2']) put(code, began - 10 * DAY);
  await passTo(began);
  for (const code of ['M1', 'M2']) put(code, late, began + 30 * MINUTE);
  put('M3', late - 5 * HOUR, began + 30 * MINUTE);
  for (const code of ['C1', 'C2']) put(code, late, began + 30 * MINUTE, 'balcony');
  await passTo(began + 15 * MINUTE);
  await passTo(began + 2 * HOUR);
  expect(await storedRows(h.store, 'meters', ORG)).toHaveLength(4);
  return late;
}

describe('an audit', () => {
  it('names what had been missed, when it changed and how late it came, and touches no table', async () => {
    const late = await seed();
    const before = await tableContents(h.store.pool);
    const { outcome, windows } = await audit({ windows: 3 });
    expect(outcome).toMatchObject({ resumed: false, isDone: true });
    const ledgers = { 'vcc.comparison': '', 'vcc.finding': '', 'vcc.request': '' };
    expect({ ...(await tableContents(h.store.pool)), ...ledgers }).toEqual({
      ...before,
      ...ledgers,
    });
    const missed = windows.filter(({ findings }) => findings.length > 0);
    expect(missed).toHaveLength(1);
    const findings = missed[0]!.findings.map(({ kind, rowKey, columns }) => [
      kind,
      rowKey,
      columns,
    ]);
    expect(findings).toEqual([
      ['changed', 'C1', ['location']],
      ['changed', 'C2', ['location']],
      ['missing', 'M1', null],
      ['missing', 'M2', null],
      ['missing', 'M3', null],
    ]);
    for (const { rowKey, during, late: by } of missed[0]!.findings) {
      const changed = rowKey === 'M3' ? late - 5 * HOUR : late;
      expect(during!.from).toBeLessThanOrEqual(changed);
      expect(during!.to).toBeGreaterThan(changed);
      expect(during!.to - during!.from).toBeLessThanOrEqual(MINUTE);
      // The first run asked for it in vain, the next ones no longer asked.
      expect(by).toBe(began - during!.to);
    }
    expect(windows.map(({ compared }) => compared)).toEqual([0, 0, 5]);
    const [request] = await h.query(`select kind, reason, requested_by, finished_at is null as open
      from vcc.request`);
    expect(request).toEqual({
      kind: 'audit',
      reason: 'a test',
      requested_by: 'test:somebody',
      open: false,
    });
  });

  it('tells when missing rows changed, however many others have changed with them', async () => {
    const late = began - HOUR;
    const codes = Array.from({ length: 250 }, (_, index) => `C${String(index).padStart(3, '0')}`);
    for (const code of codes) put(code, began - 10 * DAY);
    await passTo(began);
    for (const code of codes) put(code, late, began + 30 * MINUTE, 'balcony');
    put('M1', late, began + 30 * MINUTE);
    await passTo(began + 2 * HOUR);
    const { windows } = await audit({ windows: 1 });
    const { findings } = windows[0]!;
    expect(windows[0]).toMatchObject({ changed: 250, missing: 1 });
    const isPlaced = ({ during }: (typeof findings)[number]) => during!.to - during!.from <= MINUTE;
    expect(findings.filter(isPlaced).map(({ rowKey }) => rowKey)).toEqual([
      ...codes.slice(0, 100),
      'M1',
    ]);
  });

  it('finds nothing where nothing was missed, nor what the next run still asks for', async () => {
    put('A', began - 3 * DAY);
    await passTo(began);
    put('L', began - MINUTE, began + SECOND);
    const { windows } = await audit({ windows: 8 });
    expect(windows.every(({ missing, changed, stale }) => missing + changed + stale === 0)).toBe(
      true,
    );
    expect(windows[0]!.during!.from).toBe(reach(began));
    expect(windows.at(-1)!.during!.to).toBe(began - 30 * SECOND - 2 * MINUTE);
  });

  it('does not hold a row against the extract that lacked it within the audited time', async () => {
    const extractAt = began - 6 * HOUR;
    for (const code of ['M1', 'M2']) put(code, extractAt - 3 * HOUR);
    await passTo(extractAt - HOUR);
    await markAbsent('M1', extractAt);
    await passTo(began);
    const { windows } = await audit();
    const across = windows.find(({ during }) => spans(during!, extractAt));
    expect(across).toMatchObject({ compared: 2, changed: 0, missing: 0, stale: 0 });
    expect(windows.flatMap(({ findings }) => findings)).toEqual([]);
  });

  it('names a row that is marked absent though it has changed since', async () => {
    const extractAt = began - 30 * HOUR;
    put('M1', extractAt - 3 * HOUR);
    await passTo(extractAt - HOUR);
    await markAbsent('M1', extractAt);
    put('M1', began - 3 * HOUR, began - HOUR);
    await passTo(began - 2 * HOUR);
    await passTo(began);
    const { windows } = await audit();
    expect(windows.flatMap(({ findings }) => findings)).toMatchObject([
      { kind: 'changed', rowKey: 'M1', columns: ['absent_since'] },
    ]);
  });

  it('reads all that is covered, however many pieces holes leave', async () => {
    await passTo(began);
    for (const hole of [began - 3 * DAY, began - 9 * DAY]) {
      await h.query(
        'update vcc.feed set coverage = coverage - tstzmultirange(tstzrange($1, $2)) where dataset = $3',
        [new Date(hole), new Date(hole + HOUR), 'meters'],
      );
    }
    const { outcome, windows } = await audit();
    expect(windows).toHaveLength(32);
    expect(outcome.closed).toBe(32);
    const read = windows.reduce((sum, { during }) => sum + during!.to - during!.from, 0);
    expect(read).toBe(began - 30 * SECOND - 2 * MINUTE - reach(began) - 2 * HOUR);
    expect((await audit({ windows: 3 })).outcome.closed).toBe(32);
  });

  it('reads as many days as it is asked to, spread over the month', async () => {
    await passTo(began);
    const { windows, seen } = await audit({ windows: 4 });
    expect(windows).toHaveLength(4);
    expect(seen.map(({ during }) => during)).toEqual(windows.map(({ during }) => during));
    expect(windows[0]!.during!.from).toBe(reach(began));
    expect(windows.at(-1)!.during!.to).toBe(began - 30 * SECOND - 2 * MINUTE);
  });

  it('leaves its request to itself: workers neither load for it nor wake for it', async () => {
    await seed();
    h.interfere = (_, response) => {
      response.statusCode = 503;
      response.end();
      return true;
    };
    const { outcome } = await audit();
    expect(outcome.isDone).toBe(false);
    h.interfere = null;
    await passTo(h.now + MINUTE);
    expect(await h.query('select from vcc.run where request_id is not null')).toEqual([]);
    expect(
      await h.query('select from vcc.feed where next_due_at <= $1', [new Date(h.now)]),
    ).toHaveLength(3);
  });

  it('says that there is nothing to read before anything was loaded', async () => {
    await expect(audit()).rejects.toMatchObject({ code: 'CONFIG' });
    await expect(audit({ orgCode: 'NOBODY' })).rejects.toMatchObject({ code: 'CONFIG' });
    expect(await h.query('select from vcc.request')).toEqual([]);
  });
});

describe('an audit of a platform that answers old windows with rows as they are now', () => {
  const present = useHarness({
    world: { subscribersPerOrg: 0, changesPerDay: 0 },
    settings: { deep: { every: DAY, span: 0 } },
    simulator: { reading: 'now' },
  });
  beforeEach(async () => {
    h = present.current;
    began = h.now;
    await h.addOrgs([ORG]);
  });

  /** Loads rows by short windows, as a feed does that has kept up. */
  async function load(codes: readonly string[]): Promise<void> {
    const changed = began - 10 * DAY;
    for (const code of codes) put(code, changed);
    await passTo(began);
    await h.query('update vcc.meter set synced_through = $1', [new Date(changed + HOUR)]);
  }

  const counted = (windows: Awaited<ReturnType<typeof audit>>['windows']) => ({
    findings: windows.flatMap(({ findings }) => findings.map(({ kind, rowKey }) => [kind, rowKey])),
    changed: windows.reduce((sum, { changed }) => sum + changed, 0),
    stale: windows.reduce((sum, { stale }) => sum + stale, 0),
  });

  it('judges no row that has changed again since the feed was loaded', async () => {
    await load(['A', 'B', 'C']);
    await h.query(`update vcc.meter set location = 'attic' where meter_code = 'B'`);
    h.now += 5 * MINUTE;
    put('A', h.now - MINUTE, h.now - MINUTE, 'balcony');
    // Just before the watermark, so that the next run still asks for it.
    put('C', began - MINUTE, began + SECOND, 'balcony');
    const { windows } = await audit();
    expect(counted(windows)).toEqual({ findings: [['changed', 'B']], changed: 1, stale: 2 });
  });

  it('nor one that has changed in a gap', async () => {
    await load(['A']);
    put('A', began - 3 * DAY, began + SECOND, 'balcony');
    h.now += 5 * MINUTE;
    await h.query(
      'update vcc.feed set coverage = coverage - tstzmultirange(tstzrange($1, $2)) where dataset = $3',
      [new Date(began - 4 * DAY), new Date(began - 2 * DAY), 'meters'],
    );
    const { windows } = await audit();
    expect(counted(windows)).toEqual({ findings: [], changed: 0, stale: 1 });
  });
});

describe('an audit that meets what it can not read', () => {
  /** Lets the platform refuse to be understood, where a request is such a one. */
  function garble(isSuch: (from: string, to: string) => boolean): void {
    const table = meterTable(Array.from({ length: 25 }, (_, line) => `X${line}|cut`));
    h.interfere = ({ url }, response) => {
      const { pathname, searchParams } = new URL(url ?? '', 'http://x');
      const [from, to] = ['lastTimestamp', 'timestamp'].map((name) => searchParams.get(name) ?? '');
      if (!pathname.endsWith('/meter/download') || !isSuch(from!, to!)) return false;
      response.setHeader('content-length', Buffer.byteLength(table));
      response.end(table);
      return true;
    };
  }

  it('ends all the same, and says of that day why it was not compared', async () => {
    await seed();
    const first = formatChinaTime(reach(h.now));
    garble((from) => from === first);
    const { outcome, seen, windows } = await audit({ windows: 3 });
    expect(outcome).toMatchObject({ isDone: true });
    expect(seen.map(({ error }) => error?.code ?? null)).toEqual(['TOO_MANY_REJECTS', null, null]);
    expect(windows.map(({ errorCode }) => errorCode)).toEqual(['TOO_MANY_REJECTS', null, null]);
    expect(windows.flatMap(({ findings }) => findings)).toHaveLength(5);
    expect(await h.query('select from vcc.request where finished_at is null')).toEqual([]);
    expect((await audit({ windows: 1 })).outcome.resumed).toBe(false);
  });

  it('names what it has found, though it can not tell more closely when it changed', async () => {
    await seed();
    const now = formatChinaTime(h.now);
    garble((from, to) => !from.endsWith('000000') && to !== now);
    const { outcome, windows } = await audit({ windows: 1 });
    expect(outcome.isDone).toBe(true);
    expect(windows[0]).toMatchObject({ errorCode: null, missing: 3, changed: 2 });
    for (const { during } of windows[0]!.findings) expect(during).toEqual(windows[0]!.during);
  });

  it('judges nothing where it can not tell what has changed since', async () => {
    await seed();
    const now = formatChinaTime(h.now);
    garble((_, to) => to === now);
    const { outcome, seen, windows } = await audit({ windows: 2 });
    expect(outcome.isDone).toBe(true);
    expect(windows.map(({ errorCode }) => errorCode)).toEqual([null, 'TOO_MANY_REJECTS']);
    expect(seen[1]!.error!.message).toMatch(/^it was read, but not what has changed since: /);
  });
});

describe('an audit that is interrupted', () => {
  /** Lets the platform serve so many downloads, then fails or stops the audit. */
  function serve(downloads: number, then: () => void): () => number {
    let served = 0;
    h.interfere = ({ url }, response) => {
      if (!url?.includes('/meter/download')) return false;
      served += 1;
      if (served <= downloads) return false;
      then();
      response.statusCode = 503;
      response.end();
      return true;
    };
    return () => served;
  }

  it('goes on where it was, and reads no window twice', async () => {
    await seed();
    const stopping = new AbortController();
    serve(3, () => stopping.abort());
    await expect(audit({ windows: 8 }, stopping.signal)).rejects.toMatchObject({
      code: 'INTERRUPTED',
    });
    const done = await h.query('select id from vcc.comparison where finished_at is not null');
    expect(done).toHaveLength(3);
    h.interfere = null;
    const { outcome, seen, windows } = await audit({ windows: 2 });
    expect(outcome).toMatchObject({ resumed: true, isDone: true });
    expect(seen).toHaveLength(5);
    expect(windows).toHaveLength(8);
    expect(windows.flatMap(({ findings }) => findings)).toHaveLength(5);
    expect(await h.query(`select from vcc.request where finished_at is null`)).toEqual([]);
  });

  it('stops asking a platform that is away, and begins anew only when told to', async () => {
    await seed();
    const served = serve(3, () => {});
    const { outcome, seen } = await audit({ windows: 6 });
    expect(outcome).toMatchObject({ isDone: false, resumed: false });
    expect(seen.map(({ error }) => error?.code ?? null)).toEqual([
      null,
      null,
      null,
      'SOURCE_UNAVAILABLE',
    ]);
    expect(served()).toBe(4);
    h.interfere = null;
    const anew = await audit({ afresh: true, windows: 2 });
    expect(anew.outcome).toMatchObject({ isDone: true, resumed: false });
    expect(anew.seen).toHaveLength(2);
    expect(await h.query('select from vcc.comparison where finished_at is null')).toEqual([]);
  });

  it('gives windows up that have dropped out of reach', async () => {
    await seed();
    serve(0, () => {});
    await audit();
    h.interfere = null;
    h.now += 40 * DAY;
    const { outcome, seen } = await audit();
    expect(outcome).toMatchObject({ isDone: true, resumed: true });
    expect(seen).toEqual([]);
    expect(await h.query('select from vcc.comparison')).toEqual([]);
  });
});
