import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DAY, formatChinaTime, HOUR, MINUTE, SECOND } from '../../src/core/china-time.ts';
import { gaps } from '../../src/core/coverage.ts';
import type { Interval } from '../../src/core/interval.ts';
import { balances } from '../../src/core/receipt.ts';
import { reach, settledUntil } from '../../src/core/window.ts';
import type { Interfere } from '../../src/simulator/simulator.ts';
import { recordRequests } from '../../src/store/requests.ts';
import type { Feed } from '../../src/sync/ports.ts';
import type { WindowOutcome } from '../../src/sync/sync-window.ts';
import {
  type Harness,
  type HarnessOptions,
  openHarness,
  storedRows,
  useHarness,
} from '../support/sync-harness.ts';

/** Organisation of the running test; tests that share a harness have one each. */
let org = 'WJ0105';
const SETTLE = 30 * SECOND;
const GRACE = 30 * MINUTE;
/** Windows are laid out by what is missing alone: the recent past is not read again. */
const NO_DEEP = { deep: { every: DAY, span: 0 } };
/** A world in which nothing happens but what a test makes happen to meters. */
const STILL = { subscribersPerOrg: 0, changesPerDay: 0 };

/** Lets a meter have that location from `at` on. */
function put(
  harness: Harness,
  code: string,
  location: string,
  at: number,
  visibleAt?: number,
): void {
  const row = {
    meter_code: code,
    meter_type: '01',
    model: '01',
    inlet_side: '1',
    state: 'A',
    location,
    subscriber_code: '1400000001',
  };
  harness.world.put('meters', org, row, at, visibleAt);
}

async function feedOf(harness: Harness): Promise<Feed> {
  return (await harness.store.feeds.find({ dataset: 'meters', orgCode: org }))!;
}

async function watermark(harness: Harness): Promise<number> {
  return (await feedOf(harness)).coverage.at(-1)!.to;
}

/** Where the meters are, by code. */
async function locations(harness: Harness): Promise<Record<string, string | null>> {
  const rows = await storedRows(harness.store, 'meters', org);
  return Object.fromEntries(rows.map((row) => [row.meter_code!, row.location ?? null]));
}

/** Asserts that every field of every meter of the test's organisation agrees with the source. */
async function expectEqual(harness: Harness): Promise<void> {
  const source = [...harness.world.rows('meters', org, harness.now).values()];
  const codes = source.map((row) => row.meter_code!).sort((a, b) => (a < b ? -1 : 1));
  const byCode = new Map(source.map((row) => [row.meter_code!, row]));
  expect(await storedRows(harness.store, 'meters', org)).toEqual(
    codes.map((code) => byCode.get(code)),
  );
}

/**
 * One harness for all tests of a suite, since a database each would take most of the time; each test
 * has an organisation of its own in it, and moves the common clock on only.
 */
function shareHarness(options: HarnessOptions): { readonly current: Harness } {
  const orgs = Array.from({ length: 14 }, (_, index) => ({
    code: `ORG${index}`,
    name: `${index}`,
  }));
  let current: Harness | undefined;
  let next = 0;
  beforeAll(async () => {
    current = await openHarness({
      settings: NO_DEEP,
      ...options,
      world: { ...STILL, orgs, ...options.world },
    });
  });
  beforeEach(() => {
    org = orgs[next]!.code;
    next += 1;
  });
  afterAll(async () => {
    await current?.close();
    org = 'WJ0105';
  });
  return {
    get current() {
      if (!current) throw new Error('the harness is only there within a test');
      return current;
    },
  };
}

interface Bookkeeping {
  readonly changed_at: Date;
  readonly synced_through: Date;
  readonly run_id: number;
}

function bookkeeping(harness: Harness, code: string): Promise<Bookkeeping[]> {
  return harness.query<Bookkeeping>(
    'select changed_at, synced_through, run_id from vcc.meter where org_code = $1 and meter_code = $2',
    [org, code],
  );
}

interface Wish {
  readonly force?: boolean;
  readonly maxRejects?: number | null;
}

/** Records a request for meters and answers its id. */
async function request(harness: Harness, during: Interval, wish: Wish = {}): Promise<number> {
  const { id } = await feedOf(harness);
  const [recorded] = await recordRequests(harness.store.db, {
    feedIds: [id],
    during,
    force: wish.force ?? false,
    maxRejects: wish.maxRejects ?? null,
    reason: 'test',
    requestedBy: 'test',
  });
  return recorded!.id;
}

/** Requests an interval of meters and loads it; answers what its windows did, added up. */
async function resync(harness: Harness, during: Interval, wish: Wish = {}) {
  const id = await request(harness, during, wish);
  const outcomes = await harness.run('meters', org);
  const runs = await runsOf(harness, id);
  const own = outcomes.filter(({ runId }) => runs.some((run) => run.id === runId));
  expect(own.every(({ receipt }) => balances(receipt))).toBe(true);
  const total = (pick: (outcome: WindowOutcome) => number) =>
    own.reduce((sum, outcome) => sum + pick(outcome), 0);
  return {
    lines: total(({ receipt }) => receipt.lines),
    inserted: total(({ receipt }) => receipt.inserted),
    updated: total(({ receipt }) => receipt.updated),
    unchanged: total(({ receipt }) => receipt.unchanged),
    stale: total(({ receipt }) => receipt.stale),
  };
}

interface RunRow {
  readonly id: number;
  readonly window_from: Date;
  readonly window_to: Date;
  readonly status: string;
}

function runsOf(harness: Harness, requestId: number): Promise<RunRow[]> {
  return harness.query<RunRow>(
    'select id, window_from, window_to, status from vcc.run where request_id = $1 order by id',
    [requestId],
  );
}

async function isFinished(harness: Harness, id: number): Promise<Date | null> {
  const [found] = await harness.query<{ finished_at: Date | null }>(
    'select finished_at from vcc.request where id = $1',
    [id],
  );
  return found!.finished_at;
}

describe.each([
  ['then', 'inclusive'],
  ['then', 'half-open'],
  ['now', 'inclusive'],
  ['now', 'half-open'],
] as const)('with old windows read as rows of %s and bounds %s', (reading, bounds) => {
  const h = shareHarness({ simulator: { reading, bounds } });

  it("rows that change exactly on a window's edge, or a second beside it, arrive", async () => {
    const { current } = h;
    await current.addOrgs([org]);
    await current.run('meters', org);
    for (let round = 0; round < 10; round += 1) {
      const edge = await watermark(current);
      for (const beside of [-1, 0, 1]) {
        const at = edge + beside * SECOND;
        put(current, `new ${round} ${beside}`, 'x', at);
        put(current, `same ${beside}`, `round ${round}`, at);
      }
      current.now += 10 * MINUTE;
      await current.run('meters', org);
      await expectEqual(current);
    }
    expect(Object.keys(await locations(current))).toHaveLength(33);
  });

  it('rows that come late by less than the overlap arrive', async () => {
    const { current } = h;
    await current.addOrgs([org]);
    await current.run('meters', org);
    for (let round = 0; round < 10; round += 1) {
      // The window up to half a minute ago has just been loaded without them.
      put(current, `late ${round}`, 'x', current.now - 118 * SECOND, current.now + SECOND);
      put(current, `later ${round}`, 'x', current.now - 89 * SECOND, current.now + 30 * SECOND);
      const before = await locations(current);
      current.now += (1 + round) * MINUTE;
      await current.run('meters', org);
      await expectEqual(current);
      expect(Object.keys(await locations(current))).toHaveLength(Object.keys(before).length + 2);
    }
  });

  it('a row that comes late by more than the overlap is missed until a re-sync covers it', async () => {
    const { current } = h;
    await current.addOrgs([org]);
    await current.run('meters', org);
    const at = current.now - 300 * SECOND;
    put(current, 'late', 'x', at, current.now + SECOND);
    for (let round = 0; round < 3; round += 1) {
      current.now += 15 * MINUTE;
      await current.run('meters', org);
    }
    expect(await locations(current)).toEqual({});
    expect(await resync(current, { from: at - MINUTE, to: at + MINUTE })).toMatchObject({
      inserted: 1,
    });
    await expectEqual(current);
  });

  it('an older window repeated after a newer one changes nothing newer', async () => {
    const { current } = h;
    await current.addOrgs([org]);
    await current.run('meters', org);
    const old = current.now;
    put(current, 'M', 'old', old);
    put(current, 'only old', 'x', old);
    current.now += HOUR;
    await current.run('meters', org);
    put(current, 'M', 'new', current.now);
    current.now += HOUR;
    await current.run('meters', org);
    const before = await bookkeeping(current, 'M');

    const done = await resync(current, { from: old - 10 * MINUTE, to: old + 10 * MINUTE });

    expect(done).toEqual(
      reading === 'then'
        ? { lines: 2, inserted: 0, updated: 0, unchanged: 1, stale: 1 }
        : { lines: 2, inserted: 0, updated: 0, unchanged: 2, stale: 0 },
    );
    expect(await bookkeeping(current, 'M')).toEqual(before);
    await expectEqual(current);
  });

  it('a window repeated finds every row unchanged and leaves changed_at alone', async () => {
    const { current } = h;
    await current.addOrgs([org]);
    await current.run('meters', org);
    const from = await watermark(current);
    for (let index = 0; index < 20; index += 1)
      put(current, `M${index}`, 'x', current.now + index * MINUTE);
    current.now += HOUR;
    await current.run('meters', org);
    const to = await watermark(current);
    const everything = 'select * from vcc.meter where org_code = $1 order by meter_code';
    const before = await current.query(everything, [org]);
    for (let round = 0; round < 3; round += 1) {
      const done = await resync(current, { from, to });
      expect(done).toEqual({ lines: 20, inserted: 0, updated: 0, unchanged: 20, stale: 0 });
    }
    expect(await current.query(everything, [org])).toEqual(before);
  });

  it('a row that went A, B, A never falls back to B when the middle window is repeated', async () => {
    const { current } = h;
    await current.addOrgs([org]);
    await current.run('meters', org);
    const times: number[] = [];
    for (const location of ['A', 'B', 'A']) {
      times.push(current.now);
      put(current, 'M', location, current.now);
      current.now += HOUR;
      await current.run('meters', org);
    }
    for (const at of [times[1]!, times[0]!, times[2]!, times[1]!]) {
      await resync(current, { from: at - 10 * MINUTE, to: at + 10 * MINUTE });
      expect(await locations(current)).toEqual({ M: 'A' });
    }
  });

  it('a row damaged by hand is mended by a re-sync of its window', async () => {
    const { current } = h;
    await current.addOrgs([org]);
    await current.run('meters', org);
    const from = await watermark(current);
    const at = current.now + 10 * MINUTE;
    put(current, 'M', 'right', at);
    put(current, 'whole', 'right', at);
    current.now += HOUR;
    await current.run('meters', org);
    const to = await watermark(current);
    current.now += HOUR;
    await current.run('meters', org);
    await current.query(
      `update vcc.meter set location = 'spoilt', state = null where org_code = $1 and meter_code = 'M'`,
      [org],
    );
    expect(await resync(current, { from, to })).toMatchObject({
      updated: 1,
      unchanged: 1,
      stale: 0,
    });
    await expectEqual(current);
  });

  it('a re-sync of less than its window says that the row is stale, and force overrules', async () => {
    const { current } = h;
    await current.addOrgs([org]);
    await current.run('meters', org);
    const at = current.now + 10 * MINUTE;
    put(current, 'M', 'right', at);
    current.now += HOUR;
    await current.run('meters', org);
    const through = (await bookkeeping(current, 'M'))[0]!.synced_through;
    await current.query(`update vcc.meter set location = 'spoilt' where org_code = $1`, [org]);
    const part = { from: at - MINUTE, to: at + MINUTE };
    expect(await resync(current, part)).toMatchObject({ updated: 0, stale: 1 });
    expect(await locations(current)).toEqual({ M: 'spoilt' });
    expect(await resync(current, part, { force: true })).toMatchObject({ updated: 1, stale: 0 });
    await expectEqual(current);
    expect((await bookkeeping(current, 'M'))[0]!.synced_through).toEqual(through);
  });
});

describe('with old windows read as rows of then', () => {
  const h = shareHarness({});

  it('force brings even older content back, and the next window that delivers the row mends it', async () => {
    const { current } = h;
    await current.addOrgs([org]);
    await current.run('meters', org);
    const old = current.now;
    put(current, 'M', 'old', old);
    current.now += HOUR;
    await current.run('meters', org);
    const newer = current.now;
    put(current, 'M', 'new', newer);
    current.now += HOUR;
    await current.run('meters', org);
    const window = (at: number) => ({ from: at - 10 * MINUTE, to: at + 10 * MINUTE });
    expect(await resync(current, window(old), { force: true })).toMatchObject({ updated: 1 });
    expect(await locations(current)).toEqual({ M: 'old' });
    expect(await resync(current, window(newer), { force: true })).toMatchObject({ updated: 1 });
    await expectEqual(current);
  });
});

describe.each(['then', 'now'] as const)(
  'whatever past windows are repeated (rows of %s)',
  (reading) => {
    const h = useHarness({ simulator: { reading }, world: { changesPerDay: 60 } });

    it('in whatever order, the copy stays equal to the source', async () => {
      const { current } = h;
      await current.addOrgs([org]);
      const birth = current.now;
      await current.runAll();
      for (let round = 0; round < 12; round += 1) {
        for (let change = 0; change < 6; change += 1) {
          current.now += 7 * MINUTE;
          current.world.change(5, current.now);
          // One row goes to and fro all the time.
          put(current, 'to and fro', (round + change) % 2 ? 'A' : 'B', current.now);
        }
        current.now += 31 * SECOND;
        await current.runAll();
      }
      await current.expectEqual();
      const end = await watermark(current);
      const seconds = (end - birth) / SECOND;
      const before = await current.query('select meter_code, changed_at from vcc.meter order by 1');
      const interval = fc.tuple(
        fc.integer({ min: -DAY / SECOND, max: seconds - 1 }),
        fc.integer({ min: 1, max: 7_200 }),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(interval, { minLength: 1, maxLength: 4 }), async (wishes) => {
          for (const [start, length] of wishes) {
            const from = birth + start * SECOND;
            await request(current, { from, to: Math.min(from + length * SECOND, end) });
          }
          const outcomes = await current.run('meters', org);
          expect(outcomes.length).toBeGreaterThanOrEqual(wishes.length);
          expect(outcomes.map(({ receipt }) => receipt.updated + receipt.inserted)).toEqual(
            outcomes.map(() => 0),
          );
          await expectEqual(current);
        }),
        { numRuns: 25 },
      );
      expect(
        await current.query('select meter_code, changed_at from vcc.meter order by 1'),
      ).toEqual(before);
    });
  },
);

async function gapsOf(harness: Harness) {
  const until = settledUntil(harness.now, SETTLE);
  return gaps(await feedOf(harness), until, harness.now, GRACE);
}

describe('a feed asleep', () => {
  const h = shareHarness({});

  it.each([
    '2026-10-20T04:00:00Z',
    '2027-03-29T04:00:00Z',
    '2027-03-30T04:00:00Z',
    '2027-03-31T04:00:00Z',
    '2027-03-31T15:59:59Z',
    '2027-03-31T16:00:00Z',
    '2028-03-29T04:00:00Z',
    '2028-03-30T04:00:00Z',
    '2028-03-31T04:00:00Z',
    '2026-12-31T15:59:59Z',
    '2026-12-31T16:00:00Z',
    '2027-01-01T04:00:00Z',
    '2027-01-31T04:00:00Z',
  ])(
    'for 40 days until %s gets the reachable month, the rest is one expired gap',
    async (woken) => {
      const wake = Date.parse(woken);
      const { current: harness } = h;
      // Each case has a feed of its own, so the clock may go back to where that one begins.
      harness.now = wake - 40 * DAY;
      const asked = harness.simulator.requests.length;
      await harness.addOrgs([org]);
      await harness.run('meters', org);
      const asleep = await watermark(harness);
      harness.now = wake;
      const horizon = reach(wake);
      put(harness, 'too old', 'x', asleep + DAY);
      put(harness, 'just too old', 'x', horizon - SECOND);
      put(harness, 'just in reach', 'x', horizon);
      put(harness, 'in the middle', 'x', wake - 14 * DAY);
      put(harness, 'new', 'x', wake - MINUTE);

      const outcomes = await harness.run('meters', org);

      expect(Object.keys(await locations(harness))).toEqual([
        'in the middle',
        'just in reach',
        'new',
      ]);
      expect(await gapsOf(harness)).toEqual([
        { from: asleep, to: horizon, state: 'expired', recoverableUntil: null },
      ]);
      expect((await feedOf(harness)).coverage.at(-1)).toEqual({ from: horizon, to: wake - SETTLE });
      expect(outcomes[0]!.window.from).toBe(horizon);
      expect(
        harness.simulator.requests.slice(asked).filter(({ result }) => result !== 'ok'),
      ).toEqual([]);
      expect(await harness.run('meters', org)).toEqual([]);
    },
  );
});

describe('reach', () => {
  const opened: Harness[] = [];
  afterEach(async () => {
    for (const harness of opened.splice(0)) await harness.close();
  });
  async function open(options: HarnessOptions): Promise<Harness> {
    const harness = await openHarness({ world: STILL, ...options });
    opened.push(harness);
    return harness;
  }

  it('a feed without a beginning begins at reach with its first commit, and has no gap', async () => {
    const harness = await open({});
    await harness.addOrgs([org]);
    expect((await feedOf(harness)).since).toBeNull();
    await harness.run('meters', org);
    expect((await feedOf(harness)).since).toBe(reach(harness.now));
    expect(await gapsOf(harness)).toEqual([]);
    harness.now += 2 * DAY;
    await harness.run('meters', org);
    expect((await feedOf(harness)).since).toBe(reach(harness.now - 2 * DAY));
  });

  it('a feed whose first run fails has no beginning yet', async () => {
    const harness = await open({ simulator: { interfere: notATable } });
    await harness.addOrgs([org]);
    await expect(harness.run('meters', org)).rejects.toMatchObject({ code: 'NOT_A_TABLE' });
    expect(await feedOf(harness)).toMatchObject({ since: null, coverage: [] });
  });

  it('a beginning before reach is an expired gap up to reach', async () => {
    const harness = await open({});
    const since = reach(harness.now) - 10 * DAY;
    await harness.addOrgs([org], since);
    await harness.run('meters', org);
    expect(await gapsOf(harness)).toEqual([
      { from: since, to: reach(harness.now), state: 'expired', recoverableUntil: null },
    ]);
  });

  it('a beginning after reach is kept to: nothing before it is asked for', async () => {
    const harness = await open({});
    const since = harness.now - 2 * DAY;
    await harness.addOrgs([org], since);
    const outcomes = await harness.run('meters', org);
    expect(outcomes.map(({ window }) => window)).toEqual([
      { from: since, to: harness.now - SETTLE },
    ]);
    expect(await gapsOf(harness)).toEqual([]);
  });

  it('windows with their overlap never ask for more than 28 days, nor for what is before reach', async () => {
    const harness = await open({ settings: { maxWindow: 60 * DAY } });
    await harness.addOrgs([org]);
    const outcomes = await harness.run('meters', org);
    expect(outcomes.length).toBeGreaterThan(1);
    const asked = await harness.query<{ days: number; early: boolean }>(
      `select extract(epoch from max(requested_to - requested_from)) / 86400 as days,
        min(requested_from) < $1 as early from vcc.run`,
      [new Date(reach(harness.now))],
    );
    expect(asked[0]!.early).toBe(false);
    expect(Number(asked[0]!.days)).toBeLessThanOrEqual(28);
  });
});

const notATable: Interfere = (_, response, { record }) => {
  if (!record.dataset) return false;
  response.setHeader('content-type', 'text/html');
  response.end('<html>maintenance</html>');
  return true;
};

describe('a request', () => {
  let fault: Interfere | null = null;
  const h = shareHarness({
    simulator: { interfere: (...call) => fault?.(...call) ?? false },
  });
  afterEach(() => {
    fault = null;
  });

  async function synced(): Promise<Harness> {
    const { current } = h;
    await current.addOrgs([org]);
    await current.run('meters', org);
    return current;
  }

  it('is finished exactly once, however often the feed runs afterwards', async () => {
    const current = await synced();
    const during = { from: current.now - 3 * DAY, to: current.now - DAY };
    const id = await request(current, during);
    await current.run('meters', org);
    const finished = await isFinished(current, id);
    expect(finished).not.toBeNull();
    current.now += HOUR;
    await current.run('meters', org);
    await current.run('meters', org);
    expect(await isFinished(current, id)).toEqual(finished);
    expect(await runsOf(current, id)).toEqual([
      {
        id: expect.any(Number),
        status: 'done',
        window_from: new Date(during.from),
        window_to: new Date(during.to),
      },
    ]);
  });

  it('survives a failure and is finished by the next good run', async () => {
    const current = await synced();
    const id = await request(current, { from: current.now - DAY, to: current.now - HOUR });
    fault = notATable;
    await expect(current.run('meters', org)).rejects.toMatchObject({ code: 'NOT_A_TABLE' });
    expect(await isFinished(current, id)).toBeNull();
    fault = null;
    await current.run('meters', org);
    expect(await isFinished(current, id)).not.toBeNull();
    expect((await runsOf(current, id)).map(({ status }) => status)).toEqual(['failed', 'done']);
  });

  it('longer than a window is loaded piece by piece, each second once', async () => {
    const current = await synced();
    const during = { from: reach(current.now), to: current.now - HOUR };
    const id = await request(current, during);
    await current.run('meters', org);
    const runs = await runsOf(current, id);
    expect(runs.length).toBeGreaterThan(1);
    expect(runs[0]!.window_from.getTime()).toBe(during.from);
    expect(runs.at(-1)!.window_to.getTime()).toBe(during.to);
    const joints = runs.slice(1).map((run, index) => [run.window_from, runs[index]!.window_to]);
    for (const [from, to] of joints) expect(from).toEqual(to);
    expect(await isFinished(current, id)).not.toBeNull();
  });

  it('partly beyond reach is finished with the part that can be had', async () => {
    const current = await synced();
    const horizon = reach(current.now);
    const id = await request(current, { from: horizon - 5 * DAY, to: horizon + 2 * DAY });
    await current.run('meters', org);
    expect(await isFinished(current, id)).not.toBeNull();
    expect(await runsOf(current, id)).toMatchObject([
      { window_from: new Date(horizon), window_to: new Date(horizon + 2 * DAY) },
    ]);
  });

  it('wholly beyond reach is finished without a run', async () => {
    const current = await synced();
    const horizon = reach(current.now);
    const id = await request(current, { from: horizon - 5 * DAY, to: horizon });
    await current.run('meters', org);
    expect(await isFinished(current, id)).not.toBeNull();
    expect(await runsOf(current, id)).toEqual([]);
  });

  it('up to the present waits for the settle time before it is finished', async () => {
    const current = await synced();
    const id = await request(current, { from: current.now - HOUR, to: current.now });
    await current.run('meters', org);
    expect(await isFinished(current, id)).toBeNull();
    current.now += SETTLE;
    await current.run('meters', org);
    expect(await isFinished(current, id)).not.toBeNull();
  });

  it('goes before missing windows, the oldest request first', async () => {
    const current = await synced();
    const edge = await watermark(current);
    current.now += HOUR;
    const wishes = [
      { from: current.now - 3 * DAY, to: current.now - 2 * DAY },
      { from: current.now - 9 * DAY, to: current.now - 8 * DAY },
    ];
    for (const wish of wishes) await request(current, wish);
    const outcomes = await current.run('meters', org);
    expect(outcomes.map(({ window }) => window)).toEqual([
      ...wishes,
      { from: edge, to: current.now - SETTLE },
    ]);
  });

  it('that fails is tried once a slot, behind the missing windows, and the feed stays in step', async () => {
    const current = await synced();
    const bad = { from: current.now - 9 * DAY, to: current.now - 8 * DAY };
    const id = await request(current, bad);
    fault = (call, response, prepared) =>
      prepared.record.to === formatChinaTime(bad.to) && notATable(call, response, prepared);
    await expect(current.run('meters', org)).rejects.toMatchObject({ code: 'NOT_A_TABLE' });
    for (let round = 0; round < 3; round += 1) {
      put(current, `M${round}`, 'x', current.now);
      current.now += 15 * MINUTE;
      await expect(current.run('meters', org)).rejects.toMatchObject({ code: 'NOT_A_TABLE' });
      await expectEqual(current);
      const { nextDueAt } = await feedOf(current);
      expect(nextDueAt).toBeGreaterThan(current.now);
      expect(nextDueAt).toBeLessThanOrEqual(current.now + 15 * MINUTE);
    }
    expect(await isFinished(current, id)).toBeNull();
    fault = null;
    // By then another window is missing, as at every slot.
    current.now += 15 * MINUTE;
    await current.run('meters', org);
    expect(await isFinished(current, id)).not.toBeNull();
  });

  it('for a feed that never ran does not take the month before it away', async () => {
    const { current } = h;
    await current.addOrgs([org]);
    put(current, 'early', 'x', reach(current.now) + DAY);
    put(current, 'wanted', 'x', current.now - 90 * MINUTE);
    const id = await request(current, { from: current.now - 2 * HOUR, to: current.now - HOUR });
    await current.run('meters', org);
    await current.run('meters', org);
    expect(await isFinished(current, id)).not.toBeNull();
    expect((await feedOf(current)).since).toBe(reach(current.now));
    await expectEqual(current);
  });
});

describe.each([
  ['ten minutes behind', -10 * MINUTE],
  ['ten minutes ahead', 10 * MINUTE],
])("with the platform's clock %s", (_, platformAhead) => {
  const h = useHarness({ platformAhead });

  it('nothing is lost, and coverage never passes its Date less the settle time', async () => {
    const { current } = h;
    await current.addOrgs([org]);
    const limit = () => settledUntil(current.now + platformAhead, SETTLE);
    for (let round = 0; round < 12; round += 1) {
      const platformNow = current.now + platformAhead;
      current.world.change(5, platformNow);
      put(current, `edge ${round}`, 'x', limit());
      put(current, `M${round}`, 'x', platformNow);
      current.now += 31 * SECOND;
      await current.runAll();
      const ends = await current.query<{ upper: Date }>('select upper(coverage) from vcc.feed');
      expect(ends).toHaveLength(4);
      for (const { upper } of ends) expect(upper.getTime()).toBeLessThanOrEqual(limit());
      const [{ late }] = (await current.query<{ late: number }>(
        'select count(*) as late from vcc.meter where synced_through > $1',
        [new Date(limit())],
      )) as [{ late: number }];
      expect(late).toBe(0);
      // The first answer tells the difference; from the second run on it is reckoned with.
      if (round > 0) await current.expectEqual();
    }
    const skews = await current.query('select distinct clock_skew from vcc.run');
    expect(skews).toEqual([{ clock_skew: platformAhead / SECOND }]);
    expect(await current.query(`select from vcc.run where status <> 'done'`)).toEqual([]);
  });
});

describe('without a Date in the answers', () => {
  // Our own clock is wrong by five minutes; that of Postgres is not.
  const h = useHarness({
    now: Math.floor(Date.now() / SECOND) * SECOND + 5 * MINUTE,
    simulator: { dateHeader: 'none' },
  });

  it("Postgres's clock rules", async () => {
    const { current } = h;
    await current.addOrgs([org]);
    const before = Date.now();
    await current.run('meters', org);
    expect(await watermark(current)).toBeGreaterThanOrEqual(settledUntil(before, SETTLE) - SECOND);
    expect(await watermark(current)).toBeLessThanOrEqual(settledUntil(Date.now(), SETTLE) + SECOND);
    expect(await current.query('select distinct clock_skew from vcc.run')).toEqual([
      { clock_skew: null },
    ]);
  });

  it('a feed with a request is due now', async () => {
    const { current } = h;
    await current.addOrgs([org]);
    await current.runAll();
    await current.query(`update vcc.feed set next_due_at = now() + interval '1 hour'`);
    expect(await current.store.feeds.due(current.now, 10)).toEqual([]);
    await request(current, { from: current.now - DAY, to: current.now - HOUR });
    expect(await current.store.feeds.due(current.now, 10)).toEqual([
      { dataset: 'meters', orgCode: org },
    ]);
  });
});
