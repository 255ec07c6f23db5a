import { afterEach, describe, expect, it } from 'vitest';
import { DAY, HOUR, MINUTE } from '../../src/core/china-time.ts';
import { DATASET_NAMES } from '../../src/core/dataset.ts';
import { FatalError, MEANINGS, RetryableError } from '../../src/core/errors.ts';
import { span } from '../../src/core/interval.ts';
import { reach, recoverableUntil } from '../../src/core/window.ts';
import { readStatus } from '../../src/store/ledgers.ts';
import { openDatabase, openPool } from '../../src/store/pool.ts';
import { Store } from '../../src/store/store.ts';
import { openMetrics } from '../../src/web/metrics.ts';
import { startWeb, type Web } from '../../src/web/server.ts';
import { eventually } from '../support/eventually.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { APP_ID, useHarness } from '../support/sync-harness.ts';
import { WEB_SETTINGS } from '../support/web-settings.ts';

const ORGS = [
  { code: 'WJ0105', name: '吴江' },
  { code: 'NJ0101', name: '南京' },
];
const h = useHarness({ world: { orgs: ORGS, subscribersPerOrg: 20 }, platformAhead: 3_000 });

let web: Web | undefined;
afterEach(async () => {
  await web?.close();
  web = undefined;
});

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Family {
  readonly type: string;
  readonly samples: Sample[];
}

/** Reads Prometheus's text format; throws at a line that is none. */
function parse(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('# HELP ')) continue;
    const type = /^# TYPE (\w+) (counter|gauge|histogram|summary)$/.exec(line);
    if (type) {
      expect(families.has(type[1]!), `${type[1]} is there once`).toBe(false);
      families.set(type[1]!, { type: type[2]!, samples: [] });
      continue;
    }
    const sample = /^(\w+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? (\S+)$/.exec(line);
    const plain = /^(\w+)/.exec(line)?.[1] ?? '';
    const family = families.get(plain) ?? families.get(sample?.[1] ?? '');
    if (!sample || !family) throw new Error(`not a sample: ${line}`);
    const labels = Object.fromEntries(
      [...(sample[2] ?? '').matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name!, value!]),
    );
    const value = Number(sample[3]!.replace('Nan', 'NaN'));
    family.samples.push({ labels, value });
  }
  return families;
}

/** Scrapes the web role of a store, over HTTP. */
async function scrape(store: Store = h.current.store) {
  web ??= await startWeb({
    world: h.current.sync,
    db: store.db,
    backend: () => null,
    settings: WEB_SETTINGS,
  });
  const answer = await fetch(`${web.url}/metrics`);
  const text = await answer.text();
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  const families = parse(text);
  const samples = (name: string) => families.get(`vcc_sync_${name}`)?.samples;
  return { text, families, samples };
}

const FEED_METRICS = [
  'feed_lag_seconds',
  'feed_interval_seconds',
  'feed_gap_expiring_seconds',
  'feed_watermark_timestamp_seconds',
  'feed_complete_through_timestamp_seconds',
  'feed_gap_seconds',
  'feed_consecutive_failures',
  'feed_paused',
  'feed_missed_rows_total',
  'rejects_unresolved',
];

describe('/metrics', () => {
  it('tells of every feed what `status` tells, and of the whole what holds it up', async () => {
    const { current } = h;
    await current.addOrgs(['WJ0105', 'NJ0101'], reach(current.now) - 2 * DAY);
    await current.runAll();
    current.now += 2 * HOUR;
    await current.query(
      `update vcc.feed set missed = 1000 * id, consecutive_failures = id - 1, paused = (id = 2)`,
    );
    await current.sync.platformState.block(
      new RetryableError('SOURCE_UNAVAILABLE', 'away'),
      current.now,
    );
    const status = await readStatus(current.store.db, current.sync.settings, current.now, {
      appId: APP_ID,
    });
    expect(status.feeds).toHaveLength(8);
    const { samples, families } = await scrape();
    const told = (name: string, read: (feed: (typeof status.feeds)[number]) => number) =>
      expect(samples(name), name).toEqual(
        status.feeds.map((feed) => ({
          labels: { org: feed.orgCode, dataset: feed.dataset },
          value: read(feed),
        })),
      );
    told('feed_lag_seconds', (feed) => feed.lag! / 1000);
    told('feed_watermark_timestamp_seconds', (feed) => feed.watermark! / 1000);
    told('feed_complete_through_timestamp_seconds', (feed) => feed.completeThrough! / 1000);
    told('feed_consecutive_failures', (feed) => feed.feedId - 1);
    told('feed_missed_rows_total', (feed) => 1000 * feed.feedId);
    told('feed_interval_seconds', () => 15 * 60);
    told('feed_paused', (feed) => (feed.feedId === 2 ? 1 : 0));
    expect(samples('feed_gap_seconds')).toEqual(
      status.feeds.flatMap(({ orgCode: org, dataset, gaps }) =>
        (['open', 'expired'] as const).map((state) => ({
          labels: { org, dataset, state },
          value: span(gaps.filter((gap) => gap.state === state)) / 1000,
        })),
      ),
    );
    // The promise began two days before the platform's reach, and two hours have passed since.
    const gap = (state: string) =>
      samples('feed_gap_seconds')!.find(({ labels }) => labels.state === state)!.value;
    expect(gap('expired')).toBe((2 * DAY) / 1000);
    expect(gap('open')).toBeGreaterThan(HOUR / 1000);
    // What lacks is new: nothing is lost within three days.
    told('feed_gap_expiring_seconds', () => 0);
    told('feed_gap_recoverable_until_timestamp_seconds', (feed) => {
      const [open] = feed.gaps.filter(({ state }) => state === 'open');
      return recoverableUntil(open!.from) / 1000;
    });
    expect(samples('feeds')).toEqual(
      ['in step', 'late', 'failing', 'gap', 'paused', 'disabled', 'new', 'running'].map(
        (state) => ({
          labels: { state },
          value: status.feeds.filter((feed) => feed.state === state).length,
        }),
      ),
    );
    const whole = (name: string) => samples(name)?.map(({ value }) => value);
    expect(whole('queue_blocked')).toEqual([1]);
    expect(whole('clock_skew_seconds')).toEqual([3]);
    expect(whole('runs_running')).toEqual([0]);
    expect(whole('database_up')).toEqual([1]);
    expect(families.get('vcc_sync_feed_missed_rows_total')!.type).toBe('counter');
    expect(families.get('process_cpu_seconds_total')!.samples[0]!.value).toBeGreaterThan(0);
    expect(families.has('nodejs_eventloop_lag_seconds')).toBe(true);

    await current.sync.platformState.unblock();
    expect((await scrape()).samples('queue_blocked')).toEqual([{ labels: {}, value: 0 }]);
  });

  it('warns of missing time that drops out of reach within three days, and of no other', async () => {
    const { current } = h;
    await current.addOrgs(['WJ0105'], reach(current.now));
    await current.runAll();
    const from = reach(current.now);
    // Of the first gap, one day is lost within three days; of the second, nothing.
    const gaps = [
      { from: from + 2 * DAY, to: from + 4 * DAY },
      { from: from + 10 * DAY, to: from + 11 * DAY },
    ];
    for (const gap of gaps) {
      await current.query(
        `update vcc.feed set coverage = coverage - tstzmultirange(tstzrange($1, $2))
          where dataset = 'meters'`,
        [new Date(gap.from), new Date(gap.to)],
      );
    }
    const { samples } = await scrape();
    const told = (name: string) =>
      samples(name)!
        .filter(({ labels }) => labels.dataset === 'meters')
        .map(({ value }) => value * 1000);
    expect(told('feed_gap_expiring_seconds')).toEqual([
      reach(current.now + 3 * DAY) - gaps[0]!.from,
    ]);
    expect(told('feed_gap_expiring_seconds')).toEqual([DAY]);
    expect(told('feed_gap_recoverable_until_timestamp_seconds')).toEqual([
      recoverableUntil(gaps[0]!.from),
    ]);
    expect(samples('feed_gap_recoverable_until_timestamp_seconds')).toHaveLength(1);
  });

  it('says for which reason the queue waits as a whole', async () => {
    const { current } = h;
    const reasons = async () =>
      (await scrape())
        .samples('queue_blocked_by')!
        .filter(({ value }) => value === 1)
        .map(({ labels }) => labels.code);
    expect(await reasons()).toEqual([]);
    const refused = new FatalError('CREDENTIALS', 'getToken was refused');
    await current.sync.platformState.block(refused, current.now);
    expect(await reasons()).toEqual(['CREDENTIALS']);
    await current.sync.platformState.unblock();
    expect(await reasons()).toEqual([]);
  });

  it('counts unresolved rejects as the table has them, and a series goes with its last one', async () => {
    const { current } = h;
    await current.addOrgs(['WJ0105']);
    await current.query(
      `insert into vcc.reject (feed_id, run_id, line_no, reason, line_hash, line, window_to, resolved_at)
        select f.id, 1, g, (array['nul', 'no_key', 'field_count'])[1 + g % 3], g::text, 'x', '2026-01-02Z',
          case when g % 5 = 0 then now() end
        from vcc.feed f, generate_series(1, 40) g where f.dataset in ('meters', 'addresses')`,
    );
    const counted = async () =>
      (
        await current.query<{ dataset: string; reason: string; value: number }>(
          `select dataset, reason, count(*) as value from vcc.reject j join vcc.feed f on f.id = feed_id
            where resolved_at is null group by 1, 2 order by 1, 2`,
        )
      ).map(({ value, ...labels }) => ({ labels: { org: 'WJ0105', ...labels }, value }));
    const scraped = async () =>
      [...(await scrape()).samples('rejects_unresolved')!].sort((a, b) =>
        JSON.stringify(a) < JSON.stringify(b) ? -1 : 1,
      );
    expect(await scraped()).toEqual(await counted());
    expect(await scraped()).toHaveLength(6);
    await current.query(`update vcc.reject set resolved_at = now() where reason = 'nul'`);
    expect(await scraped()).toEqual(await counted());
    expect(await scraped()).toHaveLength(4);
  });

  it('counts what the newest comparison of a feed has found, all windows of an audit together', async () => {
    const { current } = h;
    await current.addOrgs(['WJ0105']);
    await current.query(
      `insert into vcc.request (feed_id, kind, during, requested_by)
        select f.id, 'audit', '[2026-01-01Z,2026-01-02Z)', 'test'
        from vcc.feed f, generate_series(1, 2) where dataset = 'meters'`,
    );
    await current.query(
      `insert into vcc.comparison (request_id, feed_id, kind, during, finished_at, missing, changed, extra)
        select id, feed_id, 'window', '[2026-01-01Z,2026-01-02Z)', now(), id, 10, null
        from vcc.request, generate_series(1, 3) order by id`,
    );
    const [newest] = await current.query<{ id: number }>('select max(id) as id from vcc.request');
    const told = (await scrape()).samples('feed_findings')!;
    const labels = { org: 'WJ0105', dataset: 'meters' };
    expect(told).toEqual([
      { labels: { ...labels, kind: 'missing' }, value: 3 * newest!.id },
      { labels: { ...labels, kind: 'changed' }, value: 30 },
      { labels: { ...labels, kind: 'extra' }, value: 0 },
    ]);
    await current.query('update vcc.comparison set run_id = 1');
    const repaired = (await scrape()).samples('feed_findings')!;
    expect(repaired.map(({ value }) => value)).toEqual([0, 0, 0]);
  });

  it('labels nothing but feeds that are enabled, states and reasons, and quotes no data', async () => {
    const { current } = h;
    await current.addOrgs(['WJ0105', 'NJ0101']);
    await current.runAll();
    await current.query(`update vcc.org set name = '吴江港华' where org_code = 'WJ0105'`);
    await current.query(`update vcc.org set enabled = false where org_code = 'NJ0101'`);
    await current.query(
      `insert into vcc.reject (feed_id, run_id, line_no, reason, row_key, line_hash, line, window_to)
        select id, 1, 2, 'no_org', '李四', 'h', '20001|张三|13800138000', '2026-01-02Z' from vcc.feed`,
    );
    await current.query(`update vcc.feed set last_error_code = 'INTERNAL', last_error = '王五'`);
    const { text, families, samples } = await scrape();
    for (const [name, { samples: all }] of families) {
      if (!name.startsWith('vcc_sync_')) continue;
      for (const { labels } of all) {
        const { org, dataset, state, reason, code, ...rest } = labels;
        if (code !== undefined) expect(Object.keys(MEANINGS)).toContain(code);
        expect(rest, name).toEqual({});
        if (org !== undefined) expect(org).toBe('WJ0105');
        if (dataset !== undefined) expect(DATASET_NAMES).toContain(dataset);
        if (state !== undefined) expect(state).toMatch(/^[a-z ]+$/);
        if (reason !== undefined) expect(reason).toBe('no_org');
      }
    }
    for (const name of FEED_METRICS) {
      expect(samples(name)!.length, name).toBe(name === 'feed_gap_seconds' ? 8 : 4);
    }
    expect(samples('feeds')!.find(({ labels }) => labels.state === 'disabled')!.value).toBe(4);
    expect(text).not.toMatch(/\p{Script=Han}|13800138000|20001/u);
  });

  it('shows a feed that has loaded nothing as new, without a lag', async () => {
    await h.current.addOrgs(['WJ0105']);
    const { samples } = await scrape();
    expect(samples('feed_lag_seconds')).toEqual([]);
    expect(samples('feed_watermark_timestamp_seconds')).toEqual([]);
    expect(samples('feeds')).toContainEqual({ labels: { state: 'new' }, value: 4 });
    expect(samples('feed_missed_rows_total')!.map(({ value }) => value)).toEqual([0, 0, 0, 0]);
  });

  it('answers with the metrics of the process while the database is away', async () => {
    const away = new Store('postgres://postgres@127.0.0.1:1/away', { runs: 1 });
    try {
      const { families, samples } = await scrape(away);
      expect(samples('database_up')).toEqual([{ labels: {}, value: 0 }]);
      expect([...families.keys()].filter((name) => name.startsWith('vcc_sync_'))).toEqual([
        'vcc_sync_database_up',
      ]);
      expect(families.has('process_resident_memory_bytes')).toBe(true);
    } finally {
      await away.close();
    }
  });

  it('waits for a silent database no longer than its limit, asks it once, and comes back', async () => {
    const { current } = h;
    const { hostname, port } = new URL(current.databaseUrl);
    const proxy = await startFaultProxy({ target: { host: hostname, port: Number(port || 5432) } });
    const pool = openPool(proxy.url(current.databaseUrl), { max: 2, name: 'vcc-sync test' });
    try {
      let asked = 0;
      const metrics = openMetrics({
        limit: 500,
        async read() {
          asked += 1;
          const status = await readStatus(openDatabase(pool), { every: MINUTE, settle: 0 }, 0);
          return { status, rejects: [], findings: [], skew: 0, every: MINUTE };
        },
      });
      const expectUp = async (up: number) =>
        expect(await metrics.scrape()).toContain(`vcc_sync_database_up ${up}\n`);
      await eventually(() => expectUp(1));
      asked = 0;
      proxy.blackHole(true);
      await Promise.all([expectUp(0), expectUp(0)]);
      await expectUp(0);
      expect(asked).toBe(1);
      await proxy.restore();
      await eventually(() => expectUp(1));
    } finally {
      await proxy.close();
      await pool.end();
    }
  });
});
