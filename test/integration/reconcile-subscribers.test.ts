import { beforeEach, describe, expect, it } from 'vitest';
import { DAY, MINUTE, SECOND } from '../../src/core/china-time.ts';
import { reach } from '../../src/core/window.ts';
import { listComparisons } from '../../src/store/comparison-ledger.ts';
import { openRequestStore } from '../../src/store/requests.ts';
import { openSamples } from '../../src/store/samples.ts';
import {
  reconcileSubscribers,
  type SubscribersWish,
} from '../../src/sync/reconcile-subscribers.ts';
import { type Harness, useHarness } from '../support/sync-harness.ts';

const ORG = 'WJ0105';
const harness = useHarness({
  world: { subscribersPerOrg: 0, changesPerDay: 0 },
  settings: { deep: { every: DAY, span: 0 } },
});

let h: Harness;
beforeEach(async () => {
  h = harness.current;
  await h.addOrgs([ORG]);
});

const put = (code: string, at: number, over: Record<string, string> = {}, visibleAt = at) =>
  h.world.put(
    'subscribers',
    ORG,
    {
      subscriber_code: code,
      name: '张三',
      address_code: 'A1',
      address_detail: '3幢2单元301',
      subscriber_type: '1',
      state: 'A',
      mobile: '13612340001',
      ...over,
    },
    at,
    visibleAt,
  );

const code = (index: number) => `S${String(index).padStart(4, '0')}`;

/** So many subscribers, all of them loaded. */
async function fill(count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) put(code(index), h.now - 3 * DAY + index * 1000);
  await h.run('subscribers', ORG);
}

async function reconcile(
  over: Partial<SubscribersWish> = {},
  signal = new AbortController().signal,
) {
  const wish = {
    orgCode: ORG,
    sample: 200,
    afresh: false,
    reason: null,
    requestedBy: 'test',
    ...over,
  };
  const world = {
    sync: h.sync,
    source: h.client,
    requests: openRequestStore(h.store.db),
    samples: openSamples(h.store.db),
    wait: async (ms: number) => {
      h.now += ms;
    },
  };
  const outcome = await reconcileSubscribers(world, wish, () => {}, signal);
  const [comparison] = await listComparisons(h.store.db, { requestId: outcome.requestId });
  const findings = comparison!.findings.map(({ kind, rowKey, columns }) => [kind, rowKey, columns]);
  return { outcome, comparison: comparison!, findings };
}

const requestsOf = (path: string) =>
  h.simulator.requests.filter(({ path: asked }) => asked === path).length;

/** Three missing, two changed, one extra. */
async function seed(): Promise<void> {
  await h.query(`delete from vcc.subscriber where subscriber_code = any ($1)`, [
    [code(3), code(5), code(8)],
  ]);
  await h.query(
    `update vcc.subscriber set name = '李四', mobile = '13912349999' where subscriber_code = $1`,
    [code(10)],
  );
  await h.query(`update vcc.subscriber set state = 'B' where subscriber_code = $1`, [code(11)]);
  await h.query(
    `insert into vcc.subscriber (subscriber_code, name, org_code, first_seen_at, changed_at, synced_through, run_id)
    select 'X0999', name, org_code, first_seen_at, changed_at, synced_through, run_id
    from vcc.subscriber where subscriber_code = $1`,
    [code(0)],
  );
}

const SIX = [
  ['changed', code(10), ['name', 'mobile']],
  ['changed', code(11), ['state']],
  ['extra', 'X0999', null],
  ['missing', code(3), null],
  ['missing', code(5), null],
  ['missing', code(8), null],
];

describe('comparing subscribers with the platform', () => {
  it('names all that differ where the list is short enough to be read whole', async () => {
    await fill(130);
    await seed();
    const { outcome, comparison, findings } = await reconcile();
    expect(findings).toEqual(SIX);
    expect(comparison).toMatchObject({
      sourceRows: 130,
      ownRows: 128,
      missing: 3,
      changed: 2,
      extra: 1,
    });
    expect(outcome).toMatchObject({ listed: 130, asked: 1, isWhole: true, isOwnWhole: true });
    expect(outcome).toMatchObject({ isConfirmed: true, hasBaseline: false, listRefused: null });
    const [during] = comparison.findings
      .filter(({ kind }) => kind === 'missing')
      .map((one) => one.during);
    expect(during!.from).toBe(reach(h.now));
    expect(await h.query('select from vcc.compared_key')).toEqual([]);
    expect(await h.query('select kind, finished_at is null as open from vcc.request')).toEqual([
      { kind: 'reconcile', open: false },
    ]);
  });

  it('reads on where the platform gives shorter pages than it was asked for', async () => {
    await fill(40);
    await seed();
    h.interfere = ({ url }, response) => {
      const query = new URL(url ?? '', 'http://x').searchParams;
      if (query.get('pageSize') !== '100') return false;
      const from = (Number(query.get('pageIndex')) - 1) * 15;
      const rows = [...h.world.rows('subscribers', ORG, h.now).keys()].sort();
      const datas = rows.slice(from, from + 15).map((subsCode) => ({ subsCode, state: 'A' }));
      response.setHeader('date', new Date(h.now).toUTCString());
      response.end(JSON.stringify({ total: rows.length, datas }));
      return true;
    };
    const { outcome, comparison } = await reconcile({ sample: 5 });
    expect(outcome).toMatchObject({ listed: 40, isWhole: true });
    expect(comparison).toMatchObject({ missing: 3, extra: 1 });
    const short = await reconcile({ sample: 2 });
    expect(short.outcome).toMatchObject({ listed: 30, isWhole: false, isDrawn: false });
  });

  it('finds nothing in a copy that is right, for all that is masked', async () => {
    put('S9', h.now - 2 * DAY, {
      name: '王',
      address_detail: '',
      mobile: '',
      telephone: '0512-1',
    });
    await fill(40);
    const { comparison, findings } = await reconcile();
    expect(findings).toEqual([]);
    expect(comparison).toMatchObject({ compared: 41, missing: 0, changed: 0, extra: 0 });
  });

  it('draws places in the list and rows of the table where that is long, the same number of each', async () => {
    await fill(250);
    // The list's draw is S0196 and S0074, that of the table S0044 and S0225.
    await h.query('delete from vcc.subscriber where subscriber_code = any ($1)', [
      [code(196), code(3)],
    ]);
    await h.query(`update vcc.subscriber set state = 'B' where subscriber_code = any ($1)`, [
      [code(74), code(44), code(5)],
    ]);
    const { outcome, comparison, findings } = await reconcile({ sample: 2 });
    expect(outcome).toMatchObject({
      listed: 2,
      asked: 2,
      isWhole: false,
      isDrawn: true,
      isOwnWhole: false,
    });
    expect(comparison).toMatchObject({ compared: 4, sourceRows: 250 });
    expect(findings).toEqual([
      ['changed', code(44), ['state']],
      ['changed', code(74), ['state']],
      ['missing', code(196), null],
    ]);
  });

  it('believes nothing that is only a change of just now', async () => {
    await fill(30);
    h.now += 5 * MINUTE;
    put('NEW', h.now - MINUTE);
    put(code(4), h.now - MINUTE, { state: 'B' });
    const { findings, outcome } = await reconcile();
    expect(findings).toEqual([]);
    expect(outcome.isConfirmed).toBe(true);
    expect(await h.query(`select from vcc.subscriber where subscriber_code = 'NEW'`)).toHaveLength(
      1,
    );
  });

  it('nor one of the very second in which it was compared, since that has settled by then', async () => {
    await fill(30);
    h.now += 5 * MINUTE + 400;
    put('NEW', h.now);
    put(code(4), h.now - 2000, { state: 'B' });
    const began = h.now;
    const { findings, outcome } = await reconcile();
    expect(findings).toEqual([]);
    expect(outcome.isConfirmed).toBe(true);
    expect(h.now - began).toBe(h.sync.settings.settle + SECOND);
  });

  it('waits for nothing where nothing differs', async () => {
    await fill(10);
    const began = h.now;
    expect((await reconcile()).outcome.isConfirmed).toBe(true);
    expect(h.now).toBe(began);
  });

  it('says so where the feed can not be had, and ends all the same', async () => {
    await fill(30);
    await seed();
    h.now += 5 * MINUTE;
    h.interfere = ({ url }, response) => {
      if (!url?.includes('/subs/download')) return false;
      response.end('{"resultCode":"40003","resultMsg":"not granted"}');
      return true;
    };
    const { outcome, findings } = await reconcile();
    expect(outcome.isConfirmed).toBe(false);
    expect(findings).toEqual(SIX);
  });

  it('says so where more differs than is kept of it, and so can be looked at again', async () => {
    const samples = openSamples(h.store.db);
    const { id: feedId } = (await h.sync.feeds.find({ dataset: 'subscribers', orgCode: ORG }))!;
    const by = { feedId, during: null, reason: null, requestedBy: 'test' };
    const sample = await samples.plan({ kind: 'reconcile', ...by }, 5000, 1);
    const keys = Array.from({ length: 1050 }, (_, index) => code(index));
    const findings = keys.map((rowKey) => ({ kind: 'missing', rowKey, columns: null }) as const);
    const note = (pagesRead: number, ...page: [number, number]) =>
      samples.note(sample, {
        keys: keys.slice(...page),
        pagesRead,
        findings: findings.slice(...page),
      });
    await note(1, 0, 950);
    expect(await samples.suspects(sample, 5000)).toHaveLength(950);
    await note(2, 950, 1050);
    expect(await samples.suspects(sample, 5000)).toBeNull();
    const [comparison] = await listComparisons(h.store.db, { requestId: sample.requestId });
    expect(comparison!.missing).toBe(1050);
    expect(comparison!.findings.map(({ rowKey }) => rowKey)).toEqual(keys.slice(0, 1000));
  });

  it('says so where a paused feed keeps it from looking again', async () => {
    await fill(30);
    await seed();
    await h.query(`update vcc.feed set paused = true where dataset = 'subscribers'`);
    const { outcome, findings } = await reconcile();
    expect(outcome.isConfirmed).toBe(false);
    expect(findings).toEqual(SIX);
  });

  it('counts a row that an extract lacked as changed, where the platform still lists it', async () => {
    await fill(10);
    await h.query(`update vcc.subscriber set absent_since = now() where subscriber_code = $1`, [
      code(2),
    ]);
    const { findings, comparison } = await reconcile();
    expect(findings).toEqual([['changed', code(2), ['absent_since']]]);
    expect(comparison.ownRows).toBe(9);
  });

  it('names a row that the platform has under another organisation, unless it is there', async () => {
    await fill(10);
    for (const key of [code(2), code(3)]) put(key, h.now + MINUTE, { org_code: 'WX0510' });
    h.now += 5 * MINUTE;
    await h.query(`update vcc.subscriber set org_code = 'WX0510' where subscriber_code = $1`, [
      code(3),
    ]);
    const { findings } = await reconcile();
    expect(findings).toEqual([['changed', code(2), ['org_code']]]);
  });

  /** Lets the platform refuse calls. */
  function refuse(...paths: string[]): void {
    h.interfere = ({ url }, response) => {
      if (!paths.some((path) => url?.includes(path))) return false;
      response.end('{"resultCode":"40003","resultMsg":"not granted"}');
      return true;
    };
  }

  it('tells by code that there is none, whichever row is asked for first', async () => {
    await fill(1);
    await h.query(
      `insert into vcc.subscriber (subscriber_code, org_code, first_seen_at, changed_at, synced_through, run_id)
      select 'X' || number, org_code, first_seen_at, changed_at, synced_through - interval '1 day', run_id
      from vcc.subscriber, generate_series(1, 12) as number`,
    );
    refuse('/subs/querySubs');
    const { comparison } = await reconcile();
    expect(comparison).toMatchObject({ compared: 13, extra: 12, changed: 0 });
  });

  it('believes no refusal by code where nobody can be found by it', async () => {
    await fill(3);
    refuse('/subs/querySubs', '/subs/getSubsByCode');
    await expect(reconcile()).rejects.toMatchObject({ code: 'PLATFORM_ERROR' });
  });

  /** Refuses 3007, and answers 3005 so after as many good answers. */
  function turn(after: number, answer: string): { asked: number } {
    const calls = { asked: 0 };
    h.interfere = ({ url }, response) => {
      const isByCode = url?.includes('/subs/getSubsByCode') ?? false;
      if (isByCode) calls.asked += 1;
      if (!url?.includes('/subs/querySubs') && !(isByCode && calls.asked > after)) return false;
      response.end(isByCode ? answer : '{"resultCode":"40003","resultMsg":"not granted"}');
      return true;
    };
    return calls;
  }

  it('believes no refusal by code once nobody is found any more, and goes on after it', async () => {
    await fill(30);
    turn(20, '{"resultCode":"50001","resultMsg":"maintenance"}');
    await expect(reconcile()).rejects.toMatchObject({ code: 'PLATFORM_ERROR' });
    expect(await h.query('select from vcc.finding')).toEqual([]);
    refuse('/subs/querySubs');
    const { outcome, comparison } = await reconcile();
    expect(outcome).toMatchObject({ resumed: true, asked: 30 });
    expect(comparison).toMatchObject({ compared: 30, extra: 0 });
  });

  it('does not take a subscriber itself, found the second time, for a proof that there is none', async () => {
    await fill(1);
    await h.query(`update vcc.feed set paused = true where dataset = 'subscribers'`);
    let asked = 0;
    h.interfere = ({ url }, response) => {
      if (url?.includes('/subs/getSubsByCode')) asked += 1;
      else if (!url?.includes('/subs/querySubs')) return false;
      if (asked > 1) return false;
      response.end('{"resultCode":"50001","resultMsg":"maintenance"}');
      return true;
    };
    await expect(reconcile()).rejects.toMatchObject({ code: 'PLATFORM_ERROR' });
  });

  it('takes an answer by code in another form for no answer, though others are found', async () => {
    await fill(30);
    const other = JSON.stringify({ subsCode: code(999) });
    const calls = turn(20, other);
    await expect(reconcile()).rejects.toThrow('3005 was answered in another form');
    expect(calls.asked).toBe(21);
  });

  it('asks for rows by their code (3005) where the list is not granted', async () => {
    await fill(20);
    await seed();
    refuse('/subs/querySubs');
    const { outcome, comparison, findings } = await reconcile();
    expect(outcome.listRefused).toMatchObject({ code: 'PLATFORM_ERROR' });
    expect(outcome).toMatchObject({ listed: 0, asked: 18 });
    expect(comparison.sourceRows).toBeNull();
    expect(findings).toEqual(SIX.filter(([kind]) => kind !== 'missing'));
  });
});

describe('a comparison of subscribers that is interrupted', () => {
  it('goes on where it was, by the same draw, and asks for nothing twice', async () => {
    await fill(250);
    await seed();
    const whole = await reconcile({ sample: 3 });
    const stopping = new AbortController();
    let asked = 0;
    h.interfere = ({ url }) => {
      if (url?.includes('/subs/querySubs')) asked += 1;
      if (asked > 4) stopping.abort();
      return false;
    };
    // Pages 1 to 3 are the list's; from then on rows are asked for by key.
    await expect(reconcile({ sample: 3, afresh: true }, stopping.signal)).rejects.toMatchObject({
      code: 'INTERRUPTED',
    });
    h.interfere = null;
    const before = requestsOf('/subs/querySubs');
    const { outcome, findings } = await reconcile({ sample: 100 });
    expect(outcome).toMatchObject({ resumed: true, isWhole: true, listed: 250, sample: 3 });
    expect(findings).toEqual(whole.findings);
    // One extra was left to be asked for, and all six to be looked at again.
    expect(requestsOf('/subs/querySubs') - before).toBeLessThan(10);
    expect(await h.query(`select from vcc.request where finished_at is null`)).toEqual([]);
  });

  it('is given up without a trace when one is begun afresh', async () => {
    await fill(20);
    h.interfere = (_, response) => {
      response.statusCode = 503;
      response.end();
      return true;
    };
    await expect(reconcile()).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
    h.interfere = null;
    const { outcome } = await reconcile({ afresh: true });
    expect(outcome.resumed).toBe(false);
    expect(await h.query('select from vcc.comparison')).toHaveLength(1);
    expect(await h.query(`select from vcc.request where finished_at is null`)).toEqual([]);
  });
});

describe('two comparisons of the same subscribers', () => {
  it('are not under way at once, even if one is to begin afresh; the next one may begin after', async () => {
    await fill(5);
    const { id } = (await h.sync.feeds.find({ dataset: 'subscribers', orgCode: ORG }))!;
    const before = requestsOf('/subs/querySubs');
    await openSamples(h.store.db).alone(id, async () => {
      for (const afresh of [false, true]) {
        const refused = reconcile({ afresh });
        await expect(refused).rejects.toThrow(
          'another comparison of these subscribers is under way',
        );
        await expect(refused).rejects.toMatchObject({ code: 'DATABASE_BUSY' });
      }
    });
    expect(requestsOf('/subs/querySubs')).toBe(before);
    expect(await h.query('select from vcc.comparison')).toEqual([]);
    const { comparison } = await reconcile();
    expect(comparison.compared).toBe(5);
  });

  it('do not add to one that has ended or was given up', async () => {
    const samples = openSamples(h.store.db);
    const { id: feedId } = (await h.sync.feeds.find({ dataset: 'subscribers', orgCode: ORG }))!;
    const by = { feedId, during: null, reason: null, requestedBy: 'test' };
    const finding = { kind: 'extra', rowKey: 'X1', columns: null } as const;
    for (const end of ['finish', 'abandon'] as const) {
      const sample = await samples.plan({ kind: 'reconcile', ...by }, 5, 1);
      await samples[end](sample, h.now);
      const late = [
        samples.note(sample, { keys: ['X1'], pagesRead: null, findings: [finding] }),
        samples.correct(sample, 'X1', finding),
        samples.finish(sample, h.now),
      ];
      for (const work of await Promise.allSettled(late)) {
        expect(work).toMatchObject({ status: 'rejected', reason: { code: 'DATABASE_BUSY' } });
      }
    }
    expect(await h.query('select compared, extra from vcc.comparison')).toEqual([
      { compared: 0, extra: 0 },
    ]);
    expect(await h.query('select from vcc.finding')).toEqual([]);
  });
});
