import { describe, expect, it } from 'vitest';
import { DAY, HOUR } from '../../src/core/china-time.ts';
import { InterruptedError } from '../../src/core/errors.ts';
import { openRejectStore } from '../../src/store/replay.ts';
import { openRequestStore } from '../../src/store/requests.ts';
import { importTable } from '../../src/sync/import.ts';
import { type ReplayWish, replayRejects } from '../../src/sync/replay.ts';
import type { SyncSettings } from '../../src/sync/sync-window.ts';
import { storedRows, useHarness } from '../support/sync-harness.ts';
import { METER_HEADER, meterLine, meterTable, tableBytes } from '../support/table-bytes.ts';

const NOW = Date.UTC(2026, 9, 20, 4, 0, 0);
const EARLY = NOW - 2 * DAY;
const LATE = NOW - DAY;
const never = new AbortController().signal;

const h = useHarness({ now: NOW, world: { subscribersPerOrg: 0, changesPerDay: 0 } });

async function load(table: string | Buffer, to = EARLY, orgCode = 'WJ0105'): Promise<void> {
  await importTable(
    { ...h.current.sync, feedsOf: openRequestStore(h.current.store.db).feedsOf },
    {
      orgCode,
      dataset: 'meters',
      span: { kind: 'interval', during: { from: to - HOUR, to } },
      maxRejects: 100,
      reason: 'test',
      requestedBy: 'test',
    },
    { open: async () => tableBytes(table) },
    never,
  );
}

function replay(
  over: Partial<ReplayWish> = {},
  settings: Partial<SyncSettings> = {},
  signal = never,
) {
  const { sync, store } = h.current;
  return replayRejects(
    {
      ...sync,
      settings: { ...sync.settings, ...settings },
      rejects: openRejectStore(store.db),
    },
    { filter: {}, repairs: null, reason: 'mended', requestedBy: 'test:somebody', ...over },
    {},
    signal,
  );
}

interface RejectRow {
  readonly id: number;
  readonly line: string;
  readonly reason: string;
  readonly run_id: number;
  readonly resolved_by_run: number | null;
}

const rejects = () => h.current.query<RejectRow>('select * from vcc.reject order by id');

async function stored(orgCode = 'WJ0105'): Promise<Record<string, string | null>> {
  const rows = await storedRows(h.current.store, 'meters', orgCode);
  return Object.fromEntries(rows.map((row) => [row.meter_code, row.location ?? null]));
}

async function repairs(mend: (line: string) => string | null): Promise<Map<number, string | null>> {
  return new Map((await rejects()).map(({ id, line }) => [id, mend(line)]));
}

describe('a replay with repaired lines', () => {
  it('loads them, resolves their rejects in the same commit and leaves who, when, why and a receipt', async () => {
    await h.current.addOrgs(['WJ0105']);
    const [cut, odd] = [meterLine('A').slice(0, -7), 'nonsense'];
    await load(meterTable([cut, odd]));
    const map = await repairs((line) => (line === cut ? `${cut}|WJ0105` : line));
    const [result] = await replay({ repairs: map });
    expect(result).toMatchObject({
      dataset: 'meters',
      orgCode: 'WJ0105',
      receipt: { lines: 2, accepted: 1, rejected: 1, inserted: 1 },
      refused: { field_count: 1 },
      left: {},
      error: null,
    });
    const [runId] = result!.runs;
    expect(await stored()).toEqual({ A: null });
    const [first, second] = await rejects();
    expect(first).toMatchObject({ line: cut, resolved_by_run: runId });
    expect(second).toMatchObject({ line: odd, resolved_by_run: null });
    expect(await rejects()).toHaveLength(2);
    const [run] = await h.current.query(
      `select r.trigger, r.status, r.window_from, r.window_to, r.lines, r.bytes > 0 as bytes, q.kind, q.during,
          q.reason, q.requested_by, q.finished_at is not null as finished
        from vcc.run r join vcc.request q on q.id = r.request_id where r.id = $1`,
      [runId],
    );
    expect(run).toEqual({
      trigger: 'import',
      status: 'done',
      window_from: new Date(EARLY),
      window_to: new Date(EARLY),
      lines: 2,
      bytes: true,
      kind: 'replay',
      during: null,
      reason: 'mended',
      requested_by: 'test:somebody',
      finished: true,
    });
    const [feed] = await h.current.query(`select coverage from vcc.feed where dataset = 'meters'`);
    await replay();
    expect(
      (await h.current.query(`select coverage from vcc.feed where dataset = 'meters'`))[0],
    ).toEqual(feed);
  });

  it('resolves by the line and not by its key: the repair may change the key', async () => {
    await h.current.addOrgs(['WJ0105']);
    await load(meterTable([meterLine('')]));
    const [result] = await replay({ repairs: await repairs(() => meterLine('MENDED')) });
    expect(result!.refused).toEqual({});
    expect(await stored()).toEqual({ MENDED: null });
    expect((await rejects())[0]!.resolved_by_run).toBe(result!.runs[0]);
  });

  it('never brings older over newer: a line is as old as the window that delivered it', async () => {
    await h.current.addOrgs(['WJ0105']);
    const line = meterLine('A', { location: 'old' });
    await load(meterTable([`${line}|more`]), EARLY);
    await load(meterTable([meterLine('A', { location: 'new' })]), LATE);
    const [result] = await replay({ repairs: await repairs(() => line) });
    expect(result!.receipt).toMatchObject({ lines: 1, stale: 1 });
    expect(await stored()).toEqual({ A: 'new' });
    expect((await rejects())[0]!.resolved_by_run).toBe(result!.runs[0]);
  });

  it('of several windows takes a run for each, the newest state staying', async () => {
    await h.current.addOrgs(['WJ0105']);
    const line = (location: string) => meterLine('A', { location });
    await load(meterTable([`${line('late')}|x`]), LATE);
    await load(meterTable([`${line('early')}|x`]), EARLY);
    const [result] = await replay({ repairs: await repairs((bad) => bad.slice(0, -2)) });
    expect(result!.runs).toHaveLength(2);
    expect(result!.receipt).toMatchObject({ lines: 2, inserted: 1, updated: 1 });
    expect(await stored()).toEqual({ A: 'late' });
  });

  it('is refused, with nothing recorded, where an id is unknown, resolved or not asked for', async () => {
    await h.current.addOrgs(['WJ0105']);
    await load(meterTable(['bad']));
    const map = await repairs(() => meterLine('A'));
    const [id] = map.keys();
    const runs = await h.current.query('select from vcc.run');
    await expect(replay({ repairs: new Map([...map, [987, 'x'], [988, 'y']]) })).rejects.toThrow(
      /no unresolved reject that was asked for: 987, 988;/,
    );
    await expect(replay({ repairs: map, filter: { dataset: 'addresses' } })).rejects.toThrow(
      `asked for: ${id};`,
    );
    await replay({ repairs: map });
    await expect(replay({ repairs: map })).rejects.toThrow(`asked for: ${id};`);
    expect(await h.current.query('select from vcc.run')).toHaveLength(runs.length + 1);
  });

  it('takes a repair that is more or less than one line for one line that is refused', async () => {
    await h.current.addOrgs(['WJ0105']);
    await load(meterTable(['bad one', 'bad two', 'bad three']));
    const good = meterLine('A');
    const texts = [`${good}\n${meterLine('B')}`, '', good];
    const map = await repairs(() => texts.shift()!);
    const [result] = await replay({ repairs: map });
    expect(result).toMatchObject({
      receipt: { lines: 3, accepted: 1, rejected: 2 },
      refused: { field_count: 2 },
    });
    expect(await stored()).toEqual({ A: null });
  });

  it('counts a key that comes twice as a duplicate, and resolves both', async () => {
    await h.current.addOrgs(['WJ0105']);
    await load(meterTable(['bad one', 'bad two']));
    const map = await repairs((line) => meterLine('A', { location: line }));
    const [result] = await replay({ repairs: map });
    expect(result!.receipt).toMatchObject({ lines: 2, inserted: 1, duplicate: 1 });
    expect(await stored()).toEqual({ A: 'bad two' });
    expect((await rejects()).map((one) => one.resolved_by_run)).toEqual([
      result!.runs[0],
      result!.runs[0],
    ]);
  });
});

describe('a replay of the lines as they are', () => {
  it('loads those that a changed setting lets in', async () => {
    await h.current.addOrgs(['WJ0105']);
    await load(meterTable([meterLine('A', { org: 'ELSE1' }), 'bad']));
    const [refused] = await replay();
    expect(refused!.refused).toEqual({ other_org: 1, field_count: 1 });
    const [result] = await replay({}, { otherOrgs: 'accept' });
    expect(result).toMatchObject({ receipt: { inserted: 1 }, refused: { field_count: 1 } });
    expect(await stored('ELSE1')).toEqual({ A: null });
    expect(
      (await rejects()).map(({ reason, resolved_by_run }) => [reason, resolved_by_run]),
    ).toEqual([
      ['other_org', result!.runs[0]],
      ['field_count', null],
    ]);
  });

  it('reads each by the header of its own file', async () => {
    await h.current.addOrgs(['WJ0105']);
    const swapped = METER_HEADER.split('|').reverse().join('|');
    const line = meterLine('A', { org: 'ELSE1', location: 'here' }).split('|').reverse().join('|');
    await load(meterTable([line], swapped));
    await load(meterTable([meterLine('B', { org: 'ELSE1' })]));
    const [result] = await replay({}, { otherOrgs: 'accept' });
    expect(result!.runs).toHaveLength(2);
    expect(await stored('ELSE1')).toEqual({ A: 'here', B: null });
  });

  it('leaves those whose text is gone or was altered, unless they come repaired', async () => {
    await h.current.addOrgs(['WJ0105']);
    const nul = meterLine('NUL', { location: 'a\0b' });
    const invalid = Buffer.from([0xff, 0xfe]);
    const text = Buffer.concat([
      Buffer.from(`${METER_HEADER}\n${nul}\n`),
      invalid,
      Buffer.from(`${meterLine('ENC')}\ngone\n`),
    ]);
    await load(text);
    await h.current.query(`update vcc.reject set line = null where line = 'gone'`);
    const before = await rejects();
    const runs = await h.current.query('select from vcc.run');
    const [result] = await replay();
    expect(result).toMatchObject({ runs: [], left: { 'text altered': 2, 'text gone': 1 } });
    // The same texts, written out by psql and not edited, are no repairs.
    const [unedited] = await replay({ repairs: await repairs((line) => line) });
    expect(unedited).toMatchObject({ runs: [], left: { 'text altered': 2, 'text gone': 1 } });
    expect(await rejects()).toEqual(before);
    expect(await h.current.query('select from vcc.run')).toHaveLength(runs.length);
    const [mended] = await replay({ repairs: await repairs(() => meterLine('OK')) });
    expect(mended!.receipt).toMatchObject({ lines: 3, inserted: 1, duplicate: 2 });
  });

  it('keeps to what is asked for: a run, an organisation, a dataset', async () => {
    await h.current.addOrgs(['WJ0105', 'WJ0106']);
    await load(meterTable(['one']));
    await load(meterTable(['two']), LATE, 'WJ0106');
    const [, second] = await rejects();
    const asked = async (filter: ReplayWish['filter']) =>
      (await replay({ filter })).map(({ orgCode }) => orgCode);
    expect(await asked({})).toEqual(['WJ0105', 'WJ0106']);
    expect(await asked({ orgCode: 'WJ0106' })).toEqual(['WJ0106']);
    expect(await asked({ runId: second!.run_id })).toEqual(['WJ0106']);
    expect(await asked({ dataset: 'addresses' })).toEqual([]);
  });

  it('has as many runs as it has windows, and leaves the schedule alone', async () => {
    await h.current.addOrgs(['WJ0105']);
    await load(meterTable(['one']));
    const schedule = () =>
      h.current.query('select next_due_at, consecutive_failures, last_error from vcc.feed');
    const before = await schedule();
    await replay();
    expect(await schedule()).toEqual(before);
    expect(await h.current.store.feeds.recentRuns(10)).toEqual([]);
  });

  it('that is to stop says so for each feed that it could not load', async () => {
    await h.current.addOrgs(['WJ0105']);
    await load(meterTable(['one']));
    const [result] = await replay({}, {}, AbortSignal.abort());
    expect(result).toMatchObject({ runs: [], error: expect.any(InterruptedError) });
    expect((await rejects())[0]!.resolved_by_run).toBeNull();
  });
});
