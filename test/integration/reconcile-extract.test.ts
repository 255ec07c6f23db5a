import { describe, expect, it } from 'vitest';
import { DAY, HOUR, MINUTE } from '../../src/core/china-time.ts';
import { openComparisons } from '../../src/store/comparisons.ts';
import { openRequestStore } from '../../src/store/requests.ts';
import { importTable } from '../../src/sync/import.ts';
import type { FeedStaging } from '../../src/sync/ports.ts';
import { type ExtractWish, reconcileExtract } from '../../src/sync/reconcile-extract.ts';
import { type Harness, storedRows, useHarness } from '../support/sync-harness.ts';
import { meterLine, meterTable, tableBytes } from '../support/table-bytes.ts';

const NOW = Date.UTC(2026, 9, 20, 4, 0, 0);
const T = NOW - DAY;
const METERS = { dataset: 'meters', orgCode: 'WJ0105' } as const;
const BY = { maxRejects: null, reason: 'yearly check', requestedBy: 'test:somebody' };
const never = new AbortController().signal;
const h = useHarness({ now: NOW, world: { subscribersPerOrg: 0, changesPerDay: 0 } });

function worldOf({ sync, store }: Harness) {
  const { feedsOf } = openRequestStore(store.db);
  return { ...sync, feedsOf, comparisons: openComparisons(store.db) };
}

function reconcile(lines: readonly string[], over: Partial<ExtractWish> = {}) {
  const wish = { ...METERS, ...BY, asOf: T, repair: null, ...over };
  const open = async () => tableBytes(meterTable(lines));
  return reconcileExtract(worldOf(h.current), wish, { open }, never);
}

const repairing = (maxPercent: number | null = null) => ({ repair: { maxPercent } });

/** Loads rows as the changes up to a time. */
async function load(lines: readonly string[], to: number, from = to - HOUR): Promise<void> {
  const during = { from, to };
  const wish = { ...METERS, ...BY, span: { kind: 'interval', during } as const };
  const open = async () => tableBytes(meterTable(lines));
  await importTable(worldOf(h.current), wish, { open }, never);
}

async function absent(): Promise<Record<string, Date | null>> {
  const rows = await h.current.query<{ meter_code: string; absent_since: Date | null }>(
    'select meter_code, absent_since from vcc.meter order by 1',
  );
  return Object.fromEntries(rows.map((row) => [row.meter_code, row.absent_since]));
}

const findings = () =>
  h.current.query(
    `select f.kind, f.row_key, f.columns from vcc.finding f
      where comparison_id = (select max(id) from vcc.comparison) order by 1, 2`,
  );

/** Three rows of the extract are missing here, two differ, one is extra, one is newer here. */
async function seed(): Promise<string[]> {
  await h.current.addOrgs(['WJ0105']);
  const same = Array.from({ length: 40 }, (_, index) => meterLine(`S${index}`));
  await load(
    [...same, meterLine('C1', { location: 'old' }), meterLine('C2'), meterLine('E1')],
    T - HOUR,
  );
  await load([meterLine('N1', { location: 'newer' }), meterLine('N2')], T + HOUR);
  return [
    ...same,
    ...['M1', 'M2', 'M3'].map((code) => meterLine(code)),
    meterLine('C1', { location: 'new' }),
    meterLine('C2', { state: 'X', location: 'moved' }),
    meterLine('N1', { location: 'older' }),
  ];
}

const SIX = [
  { kind: 'changed', row_key: 'C1', columns: ['location'] },
  { kind: 'changed', row_key: 'C2', columns: ['state', 'location'] },
  { kind: 'extra', row_key: 'E1', columns: null },
  { kind: 'missing', row_key: 'M1', columns: null },
  { kind: 'missing', row_key: 'M2', columns: null },
  { kind: 'missing', row_key: 'M3', columns: null },
];

describe('comparing a full extract', () => {
  it('names what is missing, changed and extra, passes over what is newer, and changes nothing', async () => {
    const lines = await seed();
    const before = await storedRows(h.current.store, 'meters', 'WJ0105');
    const { comparison, repaired } = await reconcile(lines);
    expect(comparison).toMatchObject({ missing: 3, changed: 2, extra: 1, stale: 1 });
    expect(comparison).toMatchObject({ sourceRows: 46, ownRows: 45, compared: 46 });
    expect(repaired).toBeNull();
    expect(await findings()).toEqual(SIX);
    expect(await storedRows(h.current.store, 'meters', 'WJ0105')).toEqual(before);
    expect(Object.values(await absent()).filter((at) => at !== null)).toEqual([]);
    expect(
      await h.current.query(`select q.kind, q.reason, q.requested_by, q.finished_at is not null as finished,
          c.kind as how, c.as_of, c.run_id, c.missing, c.extra
        from vcc.comparison c join vcc.request q on q.id = c.request_id`),
    ).toEqual([
      {
        kind: 'reconcile',
        reason: 'yearly check',
        requested_by: 'test:somebody',
        finished: true,
        how: 'extract',
        as_of: new Date(T),
        run_id: null,
        missing: 3,
        extra: 1,
      },
    ]);
  });

  it('repairs it all in one run on request, and finds nothing the next time', async () => {
    const lines = await seed();
    const { repaired, comparison } = await reconcile(lines, repairing());
    expect(comparison).toMatchObject({ missing: 3, changed: 2, extra: 1, stale: 1 });
    expect(repaired!.receipt).toMatchObject({ inserted: 3, updated: 2, stale: 1, unchanged: 40 });
    expect(await findings()).toEqual(SIX);
    const marked = await absent();
    expect(marked.E1).toEqual(new Date(T));
    expect(Object.keys(marked).filter((key) => marked[key] !== null)).toEqual(['E1']);
    const [feed] = await h.current.query(
      `select baseline_at, upper(coverage) = $1 as covers from vcc.feed where dataset = 'meters'`,
      [new Date(T + HOUR)],
    );
    expect(feed).toEqual({ baseline_at: new Date(T), covers: true });
    const requests = await h.current.query(
      `select q.kind, r.status, c.run_id = r.id as linked from vcc.comparison c
        join vcc.request q on q.id = c.request_id join vcc.run r on r.request_id = q.id`,
    );
    expect(requests).toEqual([{ kind: 'reconcile', status: 'done', linked: true }]);
    const again = await reconcile(lines);
    expect(again.comparison).toMatchObject({ missing: 0, changed: 0, extra: 0, stale: 1 });
  });

  it('tells nothing absent while a line was refused, since it may be that row', async () => {
    const lines = await seed();
    const { comparison, rejected } = await reconcile([...lines, 'E1|cut'], repairing());
    expect(rejected).toBe(1);
    expect(comparison).toMatchObject({ missing: 3, changed: 2, extra: null });
    expect((await absent()).E1).toBeNull();
    expect(await findings()).toEqual(SIX.filter(({ kind }) => kind !== 'extra'));
  });

  it('takes an extract that lacks too much for a part of one, unless somebody knows better', async () => {
    const lines = await seed();
    const half = lines.slice(20);
    await expect(reconcile(half, repairing())).rejects.toMatchObject({ code: 'TOO_MANY_ABSENT' });
    expect(Object.values(await absent()).filter((at) => at !== null)).toEqual([]);
    expect((await absent()).M1).toBeUndefined();
    await expect(reconcile(half, { repair: { maxPercent: 20 } })).rejects.toThrow(/lacks 21 of/);
    const { comparison } = await reconcile(half, repairing(60));
    expect(comparison.extra).toBe(21);
    expect(Object.values(await absent()).filter((at) => at !== null)).toHaveLength(21);
  });

  it('refuses a time that is not past, and two at once', async () => {
    await seed();
    await expect(reconcile([], { asOf: NOW })).rejects.toMatchObject({ code: 'CONFIG' });
    const feed = (await h.current.store.feeds.find(METERS))!;
    const looking = (await h.current.store.feeds.preview(feed.id, never)) as FeedStaging;
    await expect(reconcile([])).rejects.toMatchObject({ code: 'DATABASE_BUSY' });
    await looking.release();
  });
});

describe('a row that was absent', () => {
  const gone = async () => {
    await h.current.addOrgs(['WJ0105']);
    await load([meterLine('A'), meterLine('B')], T - DAY);
    await reconcile([meterLine('A')], repairing());
    expect(await absent()).toEqual({ A: null, B: new Date(T) });
  };

  it('is here again when a newer window brings it, be it the same or another', async () => {
    await gone();
    await load([meterLine('B')], T + HOUR);
    expect(await absent()).toEqual({ A: null, B: null });
    await gone2();
    await load([meterLine('B', { location: 'other' })], T + 3 * HOUR);
    expect(await absent()).toEqual({ A: null, B: null });
  });

  /** Marks it absent once more, by a newer extract. */
  async function gone2(): Promise<void> {
    await reconcile([meterLine('A')], { ...repairing(), asOf: T + 2 * HOUR });
    expect(await absent()).toEqual({ A: null, B: new Date(T + 2 * HOUR) });
  }

  it('stays absent when an older window is repeated', async () => {
    await gone();
    await load([meterLine('B')], T - HOUR);
    expect(await absent()).toEqual({ A: null, B: new Date(T) });
  });

  it('stays absent when a window that began before the extract brings it as it was', async () => {
    await gone();
    await load([meterLine('B')], T + HOUR, T - DAY - MINUTE);
    await load([meterLine('B')], T + 2 * HOUR, T - DAY - MINUTE);
    expect(await absent()).toEqual({ A: null, B: new Date(T) });
    // Of newer windows that brought it, nothing is held against what proves that it is there.
    await load([meterLine('B')], T + HOUR, T);
    expect(await absent()).toEqual({ A: null, B: null });
  });

  it('is here again by a later extract, however far the windows reached that brought it as it was', async () => {
    await gone();
    await load([meterLine('B')], T + 2 * HOUR, T - DAY - MINUTE);
    const later = { asOf: T + HOUR };
    const { comparison } = await reconcile([meterLine('A'), meterLine('B')], later);
    expect(comparison).toMatchObject({ missing: 0, changed: 1, stale: 0, extra: 0 });
    await reconcile([meterLine('A'), meterLine('B')], { ...later, ...repairing() });
    expect(await absent()).toEqual({ A: null, B: null });
  });

  it('is here again when a window across the extract brings a change that was not known', async () => {
    await gone();
    await load([meterLine('B', { location: 'other' })], T + HOUR, T - DAY - MINUTE);
    expect(await absent()).toEqual({ A: null, B: null });
  });

  it('is here again when a window that began after its last delivery brings it, changed or not', async () => {
    await gone();
    await load([meterLine('B')], T + HOUR, T - MINUTE);
    expect(await absent()).toEqual({ A: null, B: null });
  });

  it('is absent too if nobody knew it, where an older window brings it after all', async () => {
    await gone();
    await load([meterLine('C')], T - HOUR);
    await load([meterLine('D')], T);
    await load([meterLine('E')], T + HOUR);
    expect(await absent()).toEqual({ A: null, B: new Date(T), C: new Date(T), D: null, E: null });
    const { comparison } = await reconcile([meterLine('A')]);
    expect(comparison).toMatchObject({ missing: 0, changed: 0, extra: 1 });
    // An extract that told nothing absent says nothing of what it lacks.
    const later = { asOf: T + 2 * HOUR };
    await reconcile([meterLine('A'), 'D|cut'], { ...repairing(), ...later });
    await load([meterLine('F')], T + HOUR);
    expect(await absent()).toMatchObject({ F: null });
  });

  it('counts as changed in a later extract that has it, and is repaired by it', async () => {
    await gone();
    const later = { asOf: T + HOUR };
    const lines = [meterLine('A'), meterLine('B')];
    const { comparison } = await reconcile(lines, later);
    expect(comparison).toMatchObject({ changed: 1, missing: 0, extra: 0 });
    expect(await findings()).toEqual([
      { kind: 'changed', row_key: 'B', columns: ['absent_since'] },
    ]);
    await reconcile(lines, { ...later, ...repairing() });
    expect(await absent()).toEqual({ A: null, B: null });
  });

  it('is here again by a better extract of the same time', async () => {
    await h.current.addOrgs(['WJ0105']);
    await load([meterLine('A'), meterLine('B')], T);
    await reconcile([meterLine('A')], repairing());
    expect(await absent()).toEqual({ A: null, B: new Date(T) });
    await reconcile([meterLine('A'), meterLine('B')], repairing());
    expect(await absent()).toEqual({ A: null, B: null });
  });
});
