import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HOUR, MINUTE, SECOND } from '../../src/core/china-time.ts';
import { DATASET_NAMES, type FeedName } from '../../src/core/dataset.ts';
import { balances } from '../../src/core/receipt.ts';
import { reach } from '../../src/core/window.ts';
import { CATALOGUE } from '../../src/datasets/catalogue.ts';
import type { Interfere } from '../../src/simulator/simulator.ts';
import { PROBE_EVERY } from '../../src/store/platform-state.ts';
import { recordRequests } from '../../src/store/requests.ts';
import { openTokenStore } from '../../src/store/session-tokens.ts';
import { Store } from '../../src/store/store.ts';
import { type CatchUpOutcome, catchUp } from '../../src/sync/catch-up.ts';
import { planTick } from '../../src/sync/plan.ts';
import type { Feed } from '../../src/sync/ports.ts';
import type { SyncWorld } from '../../src/sync/sync-window.ts';
import { createClient, type VccClient } from '../../src/vcc/client.ts';
import { clientSettings, type Harness, storedRows, useHarness } from '../support/sync-harness.ts';

const METERS = { dataset: 'meters', orgCode: 'WJ0105' } as const;
/** A world in which nothing happens but what a test makes happen. */
const STILL = { subscribersPerOrg: 0, changesPerDay: 0 };

/** What the simulator sends in place of tables; null: the tables themselves. */
let fault: ((response: ServerResponse) => void) | null = null;

const interfere: Interfere = (_, response, { record }) => {
  if (fault === null || record.dataset === null) return false;
  fault(response);
  return true;
};

afterEach(() => {
  fault = null;
});

async function feedOf(harness: Harness): Promise<Feed> {
  return (await harness.store.feeds.find(METERS))!;
}

interface RunRow {
  readonly id: number;
  readonly status: string;
  readonly error_code: string | null;
  readonly error_message: string | null;
  readonly lines: number;
  readonly rejected: number;
  readonly inserted: number;
  readonly finished_at: Date | null;
}

async function lastRun(harness: Harness): Promise<RunRow> {
  return (await harness.query<RunRow>('select * from vcc.run order by id desc limit 1'))[0]!;
}

/** Catches a feed up as a worker does: only if it is due. */
function serve(sync: SyncWorld, feed: FeedName): Promise<CatchUpOutcome> {
  return catchUp(sync, feed, { trigger: 'schedule' }, new AbortController().signal);
}

function work(harness: Harness): Promise<CatchUpOutcome> {
  return serve(harness.sync, METERS);
}

const HEADER = CATALOGUE.meters.columns.map(({ header }) => header).join('|');

/** A line of table meters. */
function meterLine(code: string, over: { org?: string; location?: string } = {}): string {
  return [code, '01', '01', '1', 'A', over.location ?? '', 'S1', '', '', over.org ?? 'WJ0105'].join(
    '|',
  );
}

function send(type: string, body: string, status = 200): (response: ServerResponse) => void {
  return (response) => {
    response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
    response.end(body);
  };
}

/** Sends a table of these lines. */
function table(lines: readonly string[], header = HEADER): (response: ServerResponse) => void {
  return send('text/plain;charset=UTF-8', [header, ...lines, ''].join('\n'));
}

/** Sends the beginning of a table of that many lines, then cuts the connection. */
function cutAfter(lines: number): (response: ServerResponse) => void {
  const body = [
    HEADER,
    ...Array.from({ length: lines }, (_, index) => meterLine(`CUT${index}`)),
    '',
  ];
  return (response) => {
    response.writeHead(200, { 'content-type': 'text/plain', 'content-length': 100_000_000 });
    response.write(body.join('\n'), () => response.destroy());
  };
}

interface RejectRow {
  readonly line_no: number;
  readonly reason: string;
  readonly row_key: string | null;
  readonly line: string;
  readonly run_id: number;
  readonly resolved_by_run: number | null;
  readonly first_seen: Date;
  readonly last_seen: Date;
  readonly resolved_at: Date | null;
}

function rejects(harness: Harness): Promise<RejectRow[]> {
  return harness.query<RejectRow>('select * from vcc.reject order by line_no, id');
}

async function requestMeters(
  harness: Harness,
  hours: number,
  maxRejects: number | null,
): Promise<number> {
  const [recorded] = await recordRequests(harness.store.db, {
    feedIds: [(await feedOf(harness)).id],
    during: { from: harness.now - hours * HOUR, to: harness.now - HOUR },
    force: false,
    maxRejects,
    reason: 'test',
    requestedBy: 'test',
  });
  return recorded!.id;
}

describe.each(['then', 'now'] as const)('with old windows read as rows of %s', (reading) => {
  const h = useHarness({ simulator: { reading } });

  it('brings all four datasets from empty to equal, and keeps them so over 50 rounds of changes', async () => {
    const { current } = h;
    await current.addOrgs(['WJ0105']);
    const first = await current.runAll();
    expect(first.every(({ receipt }) => balances(receipt))).toBe(true);
    await current.expectEqual();
    for (let round = 0; round < 50; round += 1) {
      current.now += MINUTE;
      current.world.change(5, current.now);
      current.now += 31 * SECOND;
      await current.runAll();
      await current.expectEqual();
    }
  });
});

describe('a download that fails', () => {
  const h = useHarness({ simulator: { interfere } });

  const SOON = 3_750;
  const SLOW = 45 * SECOND;
  const CEILING = 45 * MINUTE;
  const faults: [string, (response: ServerResponse) => void, string, number][] = [
    ['is an HTML page', send('text/html', '<html>|表具编号| secret</html>'), 'NOT_A_TABLE', SOON],
    ['is empty', send('text/plain', ''), 'NOT_A_TABLE', SOON],
    [
      'is a success without a table',
      send('application/json', '{"resultCode":"0"}'),
      'NOT_A_TABLE',
      SOON,
    ],
    [
      'is an error in JSON',
      send('application/json', '{"resultCode":"99001","resultMsg":"no"}'),
      'PLATFORM_ERROR',
      SLOW,
    ],
    ['is cut in its first lines', cutAfter(3), 'TRUNCATED', SOON],
    ['is cut after a thousand lines', cutAfter(1_000), 'TRUNCATED', SOON],
    ['is a server error', send('text/html', 'secret', 503), 'SOURCE_UNAVAILABLE', SOON],
    ['is refused for good', send('text/html', 'secret', 404), 'REQUEST_REFUSED', CEILING],
    [
      'lacks a required column',
      table([], HEADER.replace('表具编号', '编号')),
      'HEADER_MISMATCH',
      CEILING,
    ],
    ['names a column twice', table([], `${HEADER}|位置`), 'HEADER_MISMATCH', CEILING],
  ];

  it.each(faults)(
    'because it %s leaves everything as it was, backs off, and is cured by the next try',
    async (_, sent, code, delay) => {
      const { current } = h;
      await current.addOrgs(['WJ0105']);
      await work(current);
      current.world.change(30, current.now);
      current.now += HOUR;
      const before = await feedOf(current);
      const rows = await current.query('select * from vcc.meter order by meter_code');
      fault = sent;

      await expect(work(current)).rejects.toMatchObject({ code });

      expect(await feedOf(current)).toEqual({
        ...before,
        failedAfter: expect.any(Number),
        nextDueAt: current.now + delay,
        consecutiveFailures: 1,
        lastErrorCode: code,
      });
      expect(await current.query('select * from vcc.meter order by meter_code')).toEqual(rows);
      const run = await lastRun(current);
      expect(run).toMatchObject({
        status: 'failed',
        error_code: code,
        finished_at: expect.any(Date),
      });
      expect(run.error_message).not.toMatch(/secret|CUT/);
      expect(current.log.lines.at(-1)).toMatchObject({
        message: 'window failed',
        facts: { dataset: 'meters', org: 'WJ0105', code },
      });

      const asked = current.simulator.requests.length;
      current.now += delay - 1;
      expect(await work(current)).toBe('not-due');
      expect(current.simulator.requests).toHaveLength(asked);
      current.now += 1;
      fault = null;
      expect(await work(current)).toBe('caught-up');
      expect(await feedOf(current)).toMatchObject({ consecutiveFailures: 0, lastErrorCode: null });
      current.now += HOUR;
      await current.runAll();
      await current.expectEqual(['meters']);
    },
  );

  it('again and again is tried later and later, up to the ceiling, for ever', async () => {
    const { current } = h;
    await current.addOrgs(['WJ0105']);
    fault = send('text/html', '<html>');
    const delays: number[] = [];
    for (let round = 0; round < 14; round += 1) {
      await expect(work(current)).rejects.toMatchObject({ code: 'NOT_A_TABLE' });
      const { nextDueAt, consecutiveFailures } = await feedOf(current);
      expect(consecutiveFailures).toBe(round + 1);
      delays.push(nextDueAt - current.now);
      current.now = nextDueAt;
    }
    delays.forEach((delay, index) => {
      expect(delay).toBe(0.75 * Math.min(HOUR, 5 * SECOND * 2 ** index));
    });
  });

  it('because it is cut again and again asks for half the window each time, down to an hour, and gets all in the end', async () => {
    const { current } = h;
    await current.addOrgs(['WJ0105']);
    fault = cutAfter(1);
    for (let round = 0; round < 14; round += 1) {
      await expect(current.run('meters', 'WJ0105')).rejects.toMatchObject({ code: 'TRUNCATED' });
    }
    const spans = await current.query<{ seconds: number }>(
      'select extract(epoch from window_to - window_from)::int as seconds from vcc.run order by id',
    );
    const [longest] = spans.map(({ seconds }) => seconds) as [number];
    expect(longest).toBe(28 * 86_400 - 120);
    spans.forEach(({ seconds }, index) => {
      expect(seconds).toBe(Math.max(3_600, Math.floor(longest / 2 ** Math.max(0, index - 1))));
    });
    expect(spans.at(-1)!.seconds).toBe(3_600);
    fault = null;
    const outcomes = await current.run('meters', 'WJ0105');
    const start = reach(current.now);
    expect(outcomes[0]!.window).toEqual({ from: start, to: start + HOUR });
    await current.expectEqual(['meters']);
  });

  it('because it stalls in the middle is given back at once when the process is to stop', async () => {
    const { current } = h;
    await current.addOrgs(['WJ0105']);
    const stop = new AbortController();
    const lines = Array.from({ length: 5_000 }, (_, index) => meterLine(`M${index}`));
    fault = (response) => {
      response.writeHead(200, { 'content-type': 'text/plain', 'content-length': 100_000_000 });
      response.write([HEADER, ...lines, ''].join('\n'));
    };
    const before = await feedOf(current);
    let stopped = 0;
    const sync: SyncWorld = {
      ...current.sync,
      // By now its rows are on their way into the database, and more are waited for.
      onProgress: ({ lines: read }) => {
        if (read <= 1_000 || stop.signal.aborted) return;
        stopped = Date.now();
        stop.abort();
      },
    };
    await expect(catchUp(sync, METERS, { trigger: 'schedule' }, stop.signal)).rejects.toMatchObject(
      {
        code: 'INTERRUPTED',
      },
    );
    expect(Date.now() - stopped).toBeLessThan(5_000);
    expect(await lastRun(current)).toMatchObject({
      status: 'interrupted',
      error_code: 'INTERRUPTED',
    });
    expect(await feedOf(current)).toEqual(before);
    fault = null;
    expect(await work(current)).toBe('caught-up');
    await current.expectEqual(['meters']);
  });
});

describe('refused lines', () => {
  const h = useHarness({ world: STILL, simulator: { interfere } });

  beforeEach(async () => {
    await h.current.addOrgs(['WJ0105']);
    await work(h.current);
    h.current.now += HOUR;
  });

  /** Lets the next window bring these lines, and loads it. */
  async function receive(lines: readonly string[], header?: string) {
    fault = table(lines, header);
    h.current.now += HOUR;
    const [outcome] = await h.current.run('meters', 'WJ0105');
    expect(balances(outcome!.receipt)).toBe(true);
    return outcome!.receipt;
  }

  it('too many of them fail the run: the data is not touched, the lines are kept for people', async () => {
    const { current } = h;
    const good = Array.from({ length: 30 }, (_, index) => meterLine(`M${index}`));
    const bad = Array.from({ length: 1_500 }, (_, index) => `torn ${index}|line`);
    fault = table([...good, ...bad]);
    const before = await feedOf(current);
    await expect(work(current)).rejects.toMatchObject({
      code: 'TOO_MANY_REJECTS',
      message: '1500 of 1530 lines were refused (field_count 1500)',
    });
    expect(await storedRows(current.store, 'meters', 'WJ0105')).toEqual([]);
    expect(await feedOf(current)).toMatchObject({
      coverage: before.coverage,
      lastErrorCode: 'TOO_MANY_REJECTS',
      nextDueAt: current.now + 45 * MINUTE,
    });
    const run = await lastRun(current);
    expect(run).toMatchObject({ status: 'failed', lines: 1_530, rejected: 1_500, inserted: 0 });
    const kept = await rejects(current);
    expect(kept).toHaveLength(1_000);
    expect(kept[0]).toMatchObject({
      line_no: 32,
      line: 'torn 0|line',
      reason: 'field_count',
      run_id: run.id,
    });
    expect(kept.at(-1)).toMatchObject({ line_no: 1_031 });
  });

  it('are overruled by a request that says how many it bears', async () => {
    const { current } = h;
    const good = Array.from({ length: 30 }, (_, index) => meterLine(`M${index}`));
    const bad = Array.from({ length: 30 }, (_, index) => `torn ${index}|line`);
    fault = table([...good, ...bad]);
    const strict = await requestMeters(current, 6, 49);
    await expect(current.run('meters', 'WJ0105')).rejects.toMatchObject({
      code: 'TOO_MANY_REJECTS',
    });
    await current.query('update vcc.request set finished_at = now() where id = $1', [strict]);
    await requestMeters(current, 6, 50);
    fault = table([...good, ...bad]);
    await expect(current.run('meters', 'WJ0105')).rejects.toMatchObject({
      code: 'TOO_MANY_REJECTS',
    });
    const [done] = await current.query<RunRow>(
      `select * from vcc.run where status = 'done' order by id desc limit 1`,
    );
    expect(done).toMatchObject({ lines: 60, rejected: 30, inserted: 30, trigger: 'request' });
    expect(await storedRows(current.store, 'meters', 'WJ0105')).toHaveLength(30);
  });

  it('few of them let the rest through', async () => {
    const receipt = await receive([
      meterLine('M1'),
      ...Array.from({ length: 19 }, (_, n) => `torn ${n}`),
    ]);
    expect(receipt).toMatchObject({ lines: 20, rejected: 19, accepted: 1, inserted: 1 });
  });

  it('are kept once per feed and content, with the first and the last time', async () => {
    const { current } = h;
    await receive(['torn', meterLine('M1'), 'torn']);
    const [first] = await rejects(current);
    const receipt = await receive([meterLine('M2'), 'torn']);
    expect(receipt).toMatchObject({ lines: 2, rejected: 1 });
    const [again, ...more] = await rejects(current);
    expect(more).toEqual([]);
    expect(again).toMatchObject({ line_no: 3, first_seen: first!.first_seen, resolved_at: null });
    expect(again!.run_id).toBeGreaterThan(first!.run_id);
    expect(again!.last_seen.getTime()).toBeGreaterThan(first!.last_seen.getTime());
  });

  it('are resolved when a good line of their key arrives, and open again when they are seen again', async () => {
    const { current } = h;
    await receive([meterLine('M1', { org: '' }), meterLine('M2', { org: '' })]);
    expect(
      (await rejects(current)).map((one) => [one.row_key, one.reason, one.resolved_at]),
    ).toEqual([
      ['M1', 'no_org', null],
      ['M2', 'no_org', null],
    ]);
    await receive([meterLine('M1')]);
    const { id } = await lastRun(current);
    expect((await rejects(current)).map((one) => one.resolved_by_run)).toEqual([id, null]);
    await receive([meterLine('M1', { org: '' })]);
    expect((await rejects(current)).map((one) => [one.row_key, one.resolved_at])).toEqual([
      ['M1', null],
      ['M2', null],
    ]);
  });

  it('of one and the same file stay open beside a good line of their key', async () => {
    await receive([meterLine('M1', { org: '' }), meterLine('M1')]);
    expect(await rejects(h.current)).toMatchObject([{ row_key: 'M1', resolved_at: null }]);
  });

  it('of another organisation are not resolved by a row of ours that has the same key', async () => {
    await receive([meterLine('M1', { org: 'OTHER' })]);
    await receive([meterLine('M1')]);
    expect(await rejects(h.current)).toMatchObject([{ reason: 'other_org', resolved_at: null }]);
  });

  it('of another organisation are not stored', async () => {
    const receipt = await receive([meterLine('M1', { org: 'OTHER' }), meterLine('M2')]);
    expect(receipt).toMatchObject({ lines: 2, rejected: 1, inserted: 1 });
    expect(await h.current.query('select org_code, meter_code from vcc.meter')).toEqual([
      { org_code: 'WJ0105', meter_code: 'M2' },
    ]);
    expect(await rejects(h.current)).toMatchObject([
      { reason: 'other_org', row_key: 'M1', line_no: 2 },
    ]);
  });

  it('superseded by a later line of their key are kept as resolved and counted as duplicate', async () => {
    const early = meterLine('M1', { location: 'early' });
    const receipt = await receive([
      early,
      meterLine('M1', { location: 'late' }),
      meterLine('M1', { location: 'late' }),
    ]);
    expect(receipt).toMatchObject({
      lines: 3,
      accepted: 3,
      inserted: 1,
      duplicate: 2,
      rejected: 0,
    });
    expect(await storedRows(h.current.store, 'meters', 'WJ0105')).toMatchObject([
      { location: 'late' },
    ]);
    const { id } = await lastRun(h.current);
    expect(await rejects(h.current)).toMatchObject([
      { reason: 'superseded', line: early, line_no: 2, row_key: 'M1', resolved_by_run: id },
    ]);
  });
});

describe('columns', () => {
  const h = useHarness({ world: STILL, simulator: { interfere } });

  beforeEach(async () => {
    await h.current.addOrgs(['WJ0105']);
    await work(h.current);
  });

  async function receive(header: string, line: string) {
    fault = table([line], header);
    h.current.now += HOUR;
    const [outcome] = await h.current.run('meters', 'WJ0105');
    return outcome!.receipt;
  }

  const meter = () => h.current.query('select location, state, flags, extra from vcc.meter');

  it('that the document does not name go into extra, and their change is a change', async () => {
    await receive(`${HEADER}|备注`, `${meterLine('M1')}|高层`);
    expect(await meter()).toEqual([
      { location: null, state: 'A', flags: null, extra: { 备注: '高层' } },
    ]);
    expect(await receive(`备注|${HEADER}`, `低层|${meterLine('M1')}`)).toMatchObject({
      updated: 1,
    });
    expect(await meter()).toMatchObject([{ extra: { 备注: '低层' } }]);
    expect(await receive(`${HEADER}|备注`, `${meterLine('M1')}|低层`)).toMatchObject({
      unchanged: 1,
    });
  });

  it('that may be absent leave what is stored alone when they are, and the row says so', async () => {
    await receive(HEADER, meterLine('M1', { location: '厨房' }));
    const header = HEADER.replace('|位置', '');
    const line = meterLine('M1').split('|').toSpliced(5, 1).join('|');
    expect(await receive(header, line)).toMatchObject({ unchanged: 1, flagged: 1 });
    expect(await meter()).toMatchObject([{ location: '厨房', flags: ['location:absent'] }]);
    expect(await receive(header, line.replace('|A|', '|X|'))).toMatchObject({
      updated: 1,
      flagged: 1,
    });
    expect(await meter()).toMatchObject([
      { location: '厨房', state: 'X', flags: ['location:absent'] },
    ]);
    expect(await receive(HEADER, meterLine('M1'))).toMatchObject({ updated: 1, flagged: 0 });
    expect(await meter()).toMatchObject([{ location: null, state: 'A', flags: null }]);
  });

  it('with values that the document does not allow are stored and flagged', async () => {
    const line = meterLine('M1', { location: '很长'.repeat(40) }).replace('|A|', '|Z|');
    expect(await receive(HEADER, line)).toMatchObject({ inserted: 1, flagged: 1, rejected: 0 });
    expect(await meter()).toMatchObject([
      { location: '很长'.repeat(40), state: 'Z', flags: ['state:code', 'location:length'] },
    ]);
  });
});

describe('rows of other organisations, where they are accepted,', () => {
  const h = useHarness({
    world: STILL,
    simulator: { interfere },
    settings: { otherOrgs: 'accept' },
  });

  it('are stored under their own, unless that one has feeds of its own', async () => {
    const { current } = h;
    await current.addOrgs(['WJ0105']);
    await current.query(`insert into vcc.org (org_code) values ('FED')`);
    await current.query(`insert into vcc.feed (org_code, dataset) values ('FED', 'addresses')`);
    const lines = ['WJ0105', 'OTHER', 'FED'].map((org) => meterLine('M1', { org }));
    fault = table(lines);
    await expect(work(current)).resolves.toBe('caught-up');
    expect(await current.query('select org_code, meter_code from vcc.meter order by 1')).toEqual([
      { org_code: 'OTHER', meter_code: 'M1' },
      { org_code: 'WJ0105', meter_code: 'M1' },
    ]);
    expect(await rejects(current)).toMatchObject([
      { reason: 'other_org', row_key: 'M1', line: lines[2] },
    ]);
  });
});

const TWO_ORGS = [
  { code: 'WJ0105', name: '吴江' },
  { code: 'WJ0106', name: '吴江二' },
];
const EIGHT: readonly FeedName[] = TWO_ORGS.flatMap(({ code: orgCode }) =>
  DATASET_NAMES.map((dataset) => ({ dataset, orgCode })),
);

/** Catches eight feeds up at once, and answers how each ended: its outcome, or its error's code. */
function workAll(sync: SyncWorld, feeds: readonly FeedName[] = EIGHT): Promise<string[]> {
  return Promise.all(feeds.map((feed) => serve(sync, feed).catch((error) => error.code as string)));
}

describe('credentials that the platform refuses', () => {
  const h = useHarness({ client: { baseKey: 'f'.repeat(32) }, runs: 8, world: { orgs: TWO_ORGS } });
  let corrected: VccClient | undefined;
  afterEach(async () => {
    await corrected?.close();
  });

  it('stop the queue as a whole with one line, are probed by one feed at a time, and cost no feed anything', async () => {
    const { current } = h;
    await current.addOrgs(TWO_ORGS.map(({ code }) => code));
    const feeds = () =>
      current.query(
        'select id, next_due_at, consecutive_failures, last_error_code from vcc.feed order by id',
      );
    const before = await feeds();
    const stopped = () =>
      current.log.lines.filter(({ message }) => message === 'the queue waits as a whole');

    const first = await workAll(current.sync);

    expect(first).toContain('CREDENTIALS');
    expect(new Set(first)).toEqual(
      new Set(first.includes('held') ? ['CREDENTIALS', 'held'] : ['CREDENTIALS']),
    );
    expect(stopped()).toHaveLength(1);
    expect(JSON.stringify(current.log.lines)).not.toContain('f'.repeat(32));
    expect(await feeds()).toEqual(before);
    expect(await planTick(current.sync)).toEqual([]);
    const asked = current.simulator.requests.length;
    expect(await workAll(current.sync)).toEqual(EIGHT.map(() => 'held'));
    expect(current.simulator.requests).toHaveLength(asked);

    for (let round = 1; round <= 3; round += 1) {
      current.now += PROBE_EVERY;
      // All may be woken, one may ask.
      expect(await planTick(current.sync)).toHaveLength(8);
      const probed = await workAll(current.sync);
      expect(probed.filter((outcome) => outcome === 'CREDENTIALS')).toHaveLength(1);
      expect(probed.filter((outcome) => outcome === 'held')).toHaveLength(7);
      expect(current.simulator.requests).toHaveLength(asked + round);
    }
    expect(stopped()).toHaveLength(1);
    expect(await feeds()).toEqual(before);

    corrected = createClient(clientSettings(current.simulator.url), {
      tokens: openTokenStore(current.store.db),
      pacer: null,
      clock: () => current.now,
      log: () => {},
    });
    const sync: SyncWorld = { ...current.sync, platform: corrected };
    expect(await planTick(sync)).toEqual([]);
    current.now += PROBE_EVERY;
    const woken = await workAll(sync, await planTick(sync));
    expect(woken).toContain('caught-up');
    const held = woken.filter((outcome) => outcome !== 'caught-up');
    expect(held).toEqual(held.map(() => 'held'));
    const again = current.log.lines.filter(({ message }) => message.includes('the queue goes on'));
    expect(again).toHaveLength(1);
    const rest = await planTick(sync);
    expect(rest).toHaveLength(held.length);
    expect(await workAll(sync, rest)).toEqual(rest.map(() => 'caught-up'));
    await current.expectEqual();
  });
});

describe('a session token refused in the middle', () => {
  const h = useHarness({ runs: 8, world: { orgs: TWO_ORGS }, simulator: { latency: 20 } });

  it('costs one renewal for eight workers in two processes, and no failure', async () => {
    const { current } = h;
    await current.addOrgs(TWO_ORGS.map(({ code }) => code));
    const elsewhere = new Store(current.databaseUrl, { runs: 8 });
    const second = createClient(clientSettings(current.simulator.url), {
      tokens: openTokenStore(elsewhere.db),
      pacer: null,
      clock: () => current.now,
      log: () => {},
    });
    const other: SyncWorld = { ...current.sync, platform: second, feeds: elsewhere.feeds };
    const both = async () =>
      [
        ...(await Promise.all([
          workAll(current.sync, EIGHT.slice(0, 4)),
          workAll(other, EIGHT.slice(4)),
        ])),
      ].flat();
    expect(await both()).toEqual(EIGHT.map(() => 'caught-up'));
    expect(current.simulator.tokensIssued).toBe(1);
    for (let round = 1; round <= 5; round += 1) {
      current.world.change(20, current.now);
      current.now += 16 * MINUTE;
      current.simulator.expireToken();
      expect(await both()).toEqual(EIGHT.map(() => 'caught-up'));
      expect(current.simulator.tokensIssued).toBe(1 + round);
      await current.expectEqual();
    }
    expect(await current.query(`select from vcc.run where status <> 'done'`)).toEqual([]);
    await second.close();
    await elsewhere.close();
  });
});
