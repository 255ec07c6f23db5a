import { beforeEach, describe, expect, it } from 'vitest';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/core/china-time.ts';
import type { Interval } from '../../src/core/interval.ts';
import { reach } from '../../src/core/window.ts';
import { openRequestStore } from '../../src/store/requests.ts';
import type { FeedStaging, FeedStore } from '../../src/sync/ports.ts';
import {
  type PreviewOptions,
  type PreviewOutcome,
  previewWindows,
} from '../../src/sync/preview.ts';
import { requestResync } from '../../src/sync/resync.ts';
import { planResync } from '../../src/sync/resync-plan.ts';
import { eventually } from '../support/eventually.ts';
import { type Harness, useHarness } from '../support/sync-harness.ts';
import { tableContents } from '../support/table-contents.ts';

const harness = useHarness({ settings: { deep: { every: DAY, span: 0 } } });
const ORG = 'WJ0105';
const AS_IT_IS = { force: false, maxRejects: null };

let h: Harness;
beforeEach(async () => {
  h = harness.current;
  await h.addOrgs([ORG]);
});

function planOf(during: Interval, datasets: readonly 'meters'[] | 'all' = ['meters']) {
  const requests = openRequestStore(h.store.db);
  return planResync({ sync: h.sync, requests }, { orgCodes: [ORG], datasets, during });
}

async function preview(
  during: Interval,
  options: PreviewOptions = AS_IT_IS,
  signal = new AbortController().signal,
): Promise<PreviewOutcome[]> {
  const outcomes: PreviewOutcome[] = [];
  const { feeds } = await planOf(during);
  for await (const { outcome } of previewWindows(h.sync, feeds, options, signal)) {
    outcomes.push(outcome);
  }
  return outcomes;
}

/** Requests the interval for meters, loads it and answers the receipts of its runs. */
async function resync(during: Interval, force = false) {
  const wish = { orgCodes: [ORG], datasets: ['meters'] as const, during, force };
  const why = { maxRejects: null, reason: 'test', requestedBy: 'test' };
  const requests = openRequestStore(h.store.db);
  const [recorded] = await requestResync({ requests, clock: h.sync.clock }, { ...wish, ...why });
  const outcomes = await h.run('meters', ORG);
  const own = await h.query<{ id: number }>('select id from vcc.run where request_id = $1', [
    recorded!.id,
  ]);
  const ids = own.map(({ id }) => id);
  return outcomes.filter(({ runId }) => ids.includes(runId)).map(({ receipt }) => receipt);
}

const month = () => ({ from: reach(h.now), to: h.now });

describe('a preview', () => {
  it('counts what the run that follows does, on empty tables and on full ones', async () => {
    const during = { from: h.now - 10 * DAY, to: h.now - HOUR };
    for (const round of ['empty', 'full', 'a part altered']) {
      if (round === 'a part altered') {
        await h.query(`update vcc.meter set location = 'elsewhere' where meter_code in (
          select meter_code from vcc.meter order by meter_code limit 3)`);
        await h.query(`delete from vcc.meter where meter_code in (
          select meter_code from vcc.meter order by meter_code desc limit 2)`);
      }
      const [counted] = await preview(during);
      const [receipt] = await resync(during);
      expect(counted, round).toEqual({ state: 'counted', receipt, tooManyRejects: false });
      expect(receipt!.lines, round).toBeGreaterThan(5);
    }
  });

  it('touches no table, leaves the staging table empty and the catalogue as it was', async () => {
    await h.runAll();
    await h.query(`update vcc.meter set location = 'elsewhere'`);
    const catalogue = 'select count(*)::int as count from pg_class';
    const [first] = await preview(month());
    expect(first).toMatchObject({ state: 'counted', tooManyRejects: false });
    const before = [await tableContents(h.store.pool), await h.query(catalogue)];
    await preview(month(), { ...AS_IT_IS, force: true });
    expect([await tableContents(h.store.pool), await h.query(catalogue)]).toEqual(before);
    // What was left in the staging table would count again.
    expect((await preview(month()))[0]).toEqual(first);
  });

  it('tells stale rows from those that force would let through', async () => {
    await h.runAll();
    await h.query(`update vcc.meter set location = 'elsewhere'`);
    const old = { from: h.now - 20 * DAY, to: h.now - 5 * DAY };
    const [kept] = await preview(old);
    const [forced] = await preview(old, { ...AS_IT_IS, force: true });
    if (kept?.state !== 'counted' || forced?.state !== 'counted') throw new Error('not counted');
    expect(kept.receipt.stale).toBeGreaterThan(0);
    expect(forced.receipt).toMatchObject({ stale: 0, updated: kept.receipt.stale });
    expect(await resync(old, true)).toEqual([forced.receipt]);
  });

  it('says that a run would fail for its rejects, instead of failing', async () => {
    h.interfere = ({ url }, response) => {
      if (!url?.includes('/meter/download')) return false;
      const lines = [
        '表具编号|表具类型|型号|表向|状态|位置|气户编号|管理模式|厂商代码|组织机构编码',
      ];
      for (let line = 0; line < 30; line += 1) lines.push('too|few|fields');
      response.setHeader('date', new Date(h.now).toUTCString());
      response.end(lines.join('\n'));
      return true;
    };
    const during = { from: h.now - DAY, to: h.now - HOUR };
    expect(await preview(during)).toMatchObject([
      { state: 'counted', receipt: { lines: 30, rejected: 30 }, tooManyRejects: true },
    ]);
    expect(await preview(during, { force: false, maxRejects: 100 })).toMatchObject([
      { state: 'counted', tooManyRejects: false },
    ]);
  });

  it('runs beside a run of the same feed, and a run beside it', async () => {
    const feed = (await h.store.feeds.find({ dataset: 'meters', orgCode: ORG }))!;
    const { signal } = new AbortController();
    const claim = (await h.store.feeds.claim(feed.id, signal))!;
    expect(await preview(month())).toMatchObject([{ state: 'counted' }, { state: 'counted' }]);
    await claim.release();
    const looking = await stagingOf(h.store.feeds.preview(feed.id, signal));
    expect(await h.run('meters', ORG)).not.toEqual([]);
    await looking.release();
  });

  it('says so where another looks at the same feed', async () => {
    const feed = (await h.store.feeds.find({ dataset: 'meters', orgCode: ORG }))!;
    const other = await stagingOf(h.store.feeds.preview(feed.id, new AbortController().signal));
    const during = { from: h.now - DAY, to: h.now - HOUR };
    expect(await preview(during)).toEqual([{ state: 'busy' }]);
    await other.release();
    expect(await preview(during)).toMatchObject([{ state: 'counted' }]);
  });

  it('says so where as many look as may, rather than wait for them', async () => {
    const names = ['addresses', 'supply_points', 'subscribers', 'meters'] as const;
    const looking = await Promise.all(
      names.map(async (dataset) => {
        const feed = (await h.store.feeds.find({ dataset, orgCode: ORG }))!;
        return stagingOf(h.store.feeds.preview(feed.id, new AbortController().signal));
      }),
    );
    const during = { from: h.now - DAY, to: h.now - HOUR };
    expect(await preview(during)).toEqual([{ state: 'full' }]);
    await Promise.all(looking.map((one) => one.release()));
    expect(await preview(during)).toMatchObject([{ state: 'counted' }]);
  });

  it('goes on after a feed that is refused, and leaves the rest where the platform is away', async () => {
    const during = { from: h.now - DAY, to: h.now - HOUR };
    const statesOf = async () => {
      const states: string[] = [];
      const { feeds } = await planOf(during, 'all');
      const { signal } = new AbortController();
      for await (const { outcome } of previewWindows(h.sync, feeds, AS_IT_IS, signal)) {
        states.push(outcome.state);
      }
      return states;
    };
    h.interfere = ({ url }, response) => {
      if (!url?.includes('/addr/download')) return false;
      response.end('{"resultCode":"40003","resultMsg":"not granted"}');
      return true;
    };
    expect(await statesOf()).toEqual(['failed', 'counted', 'counted', 'counted']);
    h.interfere = ({ url }, response) => {
      if (!url?.includes('/suppypoint/download')) return false;
      response.statusCode = 503;
      response.end();
      return true;
    };
    expect(await statesOf()).toEqual(['counted', 'failed', 'left', 'left']);
  });
});

describe('a preview that takes too long', () => {
  /** A platform that never answers a download; tells how many it was asked for. */
  function stall() {
    let asked = 0;
    let gone = 0;
    h.interfere = ({ url }, response) => {
      if (!url?.includes('/download')) return false;
      asked += 1;
      response.on('close', () => {
        gone += 1;
      });
      return true;
    };
    return { asked: () => asked, gone: () => gone };
  }

  const holders = () =>
    h.query(`select l.pid from pg_locks l where l.locktype = 'advisory' and l.classid = 30310
      and l.database = (select oid from pg_database where datname = current_database())`);

  it('leaves what it has not looked at when its time is up', async () => {
    const platform = stall();
    expect(await preview(month(), { ...AS_IT_IS, limit: 2_000 })).toEqual([
      { state: 'left' },
      { state: 'left' },
    ]);
    expect(platform.asked()).toBe(1);
    await eventually(() => expect(platform.gone()).toBe(1));
    expect(await holders()).toEqual([]);
  });

  it('ends at once when it is stopped, download and lock with it', async () => {
    const platform = stall();
    const stopping = new AbortController();
    const answer = preview(month(), AS_IT_IS, stopping.signal).catch((error) => error);
    await eventually(() => expect(platform.asked()).toBe(1));
    expect(await holders()).toHaveLength(1);
    stopping.abort();
    expect(await answer).toMatchObject({ code: 'INTERRUPTED' });
    await eventually(() => expect(platform.gone()).toBe(1));
    expect(await holders()).toEqual([]);
  });
});

describe('the plan of a re-sync', () => {
  it('parts what is out of reach and what is still to come from what can be had', async () => {
    const earliest = reach(h.now);
    const plan = await planOf({ from: earliest - DAY, to: h.now + HOUR });
    expect(plan).toMatchObject({
      gone: { from: earliest - DAY, to: earliest },
      obtainable: { from: earliest, to: h.now },
      future: { from: h.now, to: h.now + HOUR },
    });
    const [feed] = plan.feeds;
    const longest = 28 * DAY - 2 * MINUTE;
    expect(feed!.windows).toEqual([
      { from: earliest, to: earliest + longest },
      { from: earliest + longest, to: h.now - 30 * SECOND },
    ]);
  });

  it('lays out the windows that its runs then load', async () => {
    const during = { from: reach(h.now), to: h.now - HOUR };
    const { feeds } = await planOf(during);
    await resync(during);
    const loaded = await h.query<{ window_from: Date; window_to: Date }>(
      'select window_from, window_to from vcc.run where request_id is not null order by id',
    );
    expect(
      loaded.map((run) => ({ from: run.window_from.getTime(), to: run.window_to.getTime() })),
    ).toEqual(feeds[0]!.windows);
  });
});

/** A staging that was opened, and not refused. */
async function stagingOf(opened: ReturnType<FeedStore['preview']>): Promise<FeedStaging> {
  const staging = await opened;
  if (typeof staging === 'string') throw new Error(`another preview is in the way: ${staging}`);
  return staging;
}
