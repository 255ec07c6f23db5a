import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, inject, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { readGroupings, readSamples, readSelectors, type Sample } from '../support/promql.ts';
import { useRedis } from '../support/redis.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { useService } from '../support/service-suite.ts';

const DEPLOY = new URL('../../deploy/', import.meta.url);
const RULES = new URL('prometheus/alerts.yml', DEPLOY);
const redis = useRedis();

/** Labels that Prometheus adds to every series it scrapes. */
const TARGET = ['job', 'instance'];

/** Every expression that the dashboard asks, its choices included. */
function dashboardExpressions(): string[] {
  const dashboard = JSON.parse(readFileSync(new URL('grafana/vcc-sync.json', DEPLOY), 'utf8'));
  const asked = dashboard.panels.flatMap(({ targets = [] }: { targets?: { expr: string }[] }) =>
    targets.map(({ expr }) => expr),
  );
  const chosen = dashboard.templating.list.flatMap(({ query }: { query: string }) => {
    const [, selector, label] = /^label_values\((.*), (\w+)\)$/.exec(query) ?? [];
    return selector === undefined ? [] : [`count by (${label}) (${selector})`];
  });
  return [...asked, ...chosen];
}

/** Every expression of the alert rules. */
function ruleExpressions(): string[] {
  const rules = readFileSync(RULES, 'utf8')
    .split(/^ {6}- alert: /m)
    .slice(1);
  return rules.map((rule) => {
    const [, inline, block] =
      /^ {8}expr: (?:\|\n((?: {10,}.*\n)+)|(.*)\n)/m.exec(rule)?.slice(0) ?? [];
    const expr = inline ?? block;
    if (expr === undefined) throw new Error(`a rule without expression: ${rule.split('\n')[0]}`);
    return expr;
  });
}

/** Every metric of ours that the README names in its tables, in alphabetical order. */
function readmeMetrics(): string[] {
  const readme = readFileSync(new URL('../README.md', DEPLOY), 'utf8');
  const [section] = readme.split('## Metrics and alerts\n')[1]!.split('\n## ');
  const rows = section!.split('\n').filter((line) => line.startsWith('| `'));
  const named = rows.flatMap((row) => [...row.split('|')[1]!.matchAll(/`(\w+)`/g)]);
  return named.map(([, name]) => `vcc_sync_${name}`).sort();
}

/** Every metric of ours in a scrape, in alphabetical order. */
function families(samples: readonly Sample[]): string[] {
  const ours = samples.filter(({ name }) => name.startsWith('vcc_sync_'));
  return [...new Set(ours.map(({ name }) => name.replace(/_(bucket|sum|count)$/, '')))].sort();
}

/** What an expression names that a scrape does not have. */
function lacking(expr: string, samples: readonly Sample[]): string[] {
  const selectors = readSelectors(expr);
  const faults = selectors.flatMap(({ metric, matchers }) => {
    const series = samples.filter(({ name }) => name === metric);
    if (series.length === 0) return [`${metric} is not there`];
    return matchers.flatMap(({ label, operator, value }) => {
      if (TARGET.includes(label)) return [];
      const values = series.map(({ labels }) => labels[label]);
      if (values.includes(undefined)) return [`${metric} has no label ${label}`];
      const wanted = value.startsWith('$') ? [] : operator === '=' ? [value] : value.split('|');
      return wanted
        .filter((one) => !values.includes(one))
        .map((one) => `${metric} has no ${label} ${one}`);
    });
  });
  const names = new Set(selectors.map(({ metric }) => metric));
  const labels = samples
    .filter(({ name }) => names.has(name))
    .flatMap((one) => Object.keys(one.labels));
  const groupings = readGroupings(expr)
    .filter((label) => !TARGET.includes(label) && !labels.includes(label))
    .map((label) => `nothing has the label ${label}`);
  if (selectors.length === 0) faults.push('no metric is asked for');
  return [...faults, ...groupings].map((fault) => `${fault}: ${expr}`);
}

async function ask(one: ServiceProcess, path: string): Promise<Response> {
  const { probes } = one.lines.find(({ msg }) => msg === 'service started')!;
  return fetch(`${probes}${path}`);
}

async function scrape(one: ServiceProcess): Promise<Sample[]> {
  return readSamples(await (await ask(one, '/metrics')).text());
}

/** Sum of the samples of a metric that have these labels. */
function sum(
  samples: readonly Sample[],
  name: string,
  wanted: Record<string, string> = {},
): number {
  const has = ({ labels }: Sample) =>
    Object.entries(wanted).every(([label, value]) => labels[label] === value);
  const found = samples.filter((sample) => sample.name === name && has(sample));
  if (found.length === 0) throw new Error(`${name} ${JSON.stringify(wanted)} is not there`);
  return found.reduce((total, { value }) => total + value, 0);
}

function suite(queue: () => Record<string, string>) {
  const service = useService({});
  const start = (role: string, over: Record<string, string> = {}) =>
    service.start({ PROBES_LISTEN: '127.0.0.1:0', ...queue(), ...over }, ['--role', role]);

  /** Everything that a dashboard may ask for: rejects, a gap that will expire, a paused feed. */
  beforeEach(async () => {
    await service.current.addOrgs(['WJ0105', 'NJ0101']);
  });

  it('counts in a worker without pages what its ledger says, and answers the probes', async () => {
    const { current: h } = service;
    const worker = await start('planner,worker', { SYNC_EVERY: '1h' });
    await service.expectEqualAfter(h.now);
    expect((await ask(worker, '/healthz')).status).toBe(200);
    expect(await (await ask(worker, '/readyz')).json()).toEqual({ status: 'ready', missing: [] });
    // Pages are for the role web alone, on a port of their own.
    expect((await ask(worker, '/')).status).toBe(404);
    await eventually(async () => {
      const samples = await scrape(worker);
      const [ledger] = await h.query<Record<string, number>>(
        `select count(*)::int as runs, sum(inserted)::int as inserted, sum(unchanged)::int as unchanged,
          sum(bytes)::int as bytes, sum(flagged)::int as flagged, count(distinct feed_id)::int as feeds
         from vcc.run where status = 'done'`,
      );
      expect(ledger!.feeds).toBe(8);
      expect({
        runs: sum(samples, 'vcc_sync_runs_total', { outcome: 'done' }),
        inserted: sum(samples, 'vcc_sync_rows_total', { outcome: 'inserted' }),
        unchanged: sum(samples, 'vcc_sync_rows_total', { outcome: 'unchanged' }),
        flagged: sum(samples, 'vcc_sync_rows_flagged_total'),
        bytes: sum(samples, 'vcc_sync_download_bytes_total'),
        feeds: ledger!.feeds,
      }).toEqual(ledger);
      expect(sum(samples, 'vcc_sync_run_duration_seconds_count')).toBe(ledger!.runs);
      expect(sum(samples, 'vcc_sync_download_duration_seconds_count')).toBe(ledger!.runs);
      expect(sum(samples, 'vcc_sync_platform_requests_total')).toBe(h.simulator.requests.length);
    });
    const samples = await scrape(worker);
    expect(sum(samples, 'vcc_sync_token_renewals_total')).toBe(1);
    expect(sum(samples, 'vcc_sync_runs_total', { outcome: 'failed' })).toBe(0);
    expect(sum(samples, 'vcc_sync_turns_total')).toBeGreaterThanOrEqual(8);
    expect(sum(samples, 'vcc_sync_planner_ticks_total')).toBeGreaterThan(0);
    // A turn is counted a moment before its job is done.
    await eventually(async () => {
      const later = await scrape(worker);
      expect(sum(later, 'vcc_sync_queue_jobs', { queue: 'sync', state: 'completed' })).toBe(
        sum(later, 'vcc_sync_turns_total'),
      );
    });
    // Runs keep their connections, as many as were needed at once.
    const open = sum(samples, 'vcc_sync_pool_connections', { pool: 'runs' });
    expect(open).toBeGreaterThan(0);
    expect(open).toBeLessThanOrEqual(4);
    expect(sum(samples, 'vcc_sync_pool_connections_max', { pool: 'runs' })).toBe(4);
    const { code } = await worker.stop();
    expect(code).toBe(0);
  });

  it('has every metric and label that the dashboard and the alerts ask for, with nothing left to chance', async () => {
    const { current: h } = service;
    await h.runAll();
    // A feed that is paused while a gap will expire, with a line refused, and was compared.
    await h.query(
      `update vcc.feed set paused = true, since = date_trunc('day', now()) - interval '29 days', coverage = coverage - tstzmultirange(tstzrange(
          date_trunc('day', now()) - interval '27 days', date_trunc('day', now()) - interval '26 days'))
        where org_code = 'WJ0105' and dataset = 'meters'`,
    );
    await h.query(
      `insert into vcc.reject (feed_id, run_id, line_no, reason, line_hash, line, window_to)
        select id, 1, 2, 'no_org', 'h', 'x', now() from vcc.feed where dataset = 'meters'`,
    );
    await h.query(
      `with q as (insert into vcc.request (feed_id, kind, requested_by, finished_at)
          select id, 'reconcile', 'test', now() from vcc.feed where dataset = 'meters' returning id, feed_id)
        insert into vcc.comparison (request_id, feed_id, kind, finished_at) select id, feed_id, 'extract', now() from q`,
    );
    const one = await start('planner,worker');
    const samples = await scrape(one);
    const rules = ruleExpressions();
    const dashboard = dashboardExpressions();
    expect(rules.length).toBeGreaterThan(10);
    expect(dashboard.length).toBeGreaterThan(30);
    expect([...rules, ...dashboard].flatMap((expr) => lacking(expr, samples))).toEqual([]);
    expect(readmeMetrics()).toEqual(families(samples));
    const { code } = await one.stop();
    expect(code).toBe(0);
  });
}

describe('a process of the service, its queue in Postgres', () => suite(() => ({})));
redis.describe('a process of the service, its queue in Redis', () =>
  suite(() => ({ REDIS_URL: inject('redisUrl') ?? '' })),
);

describe('the reading of expressions', () => {
  const samples = readSamples('# HELP a b\na{x="1",y="2"} 3\nb 1\nb_bucket{le="+Inf"} 4\n');

  it('finds metrics, labels and values that are not there', () => {
    const faults = (expr: string) => lacking(expr, samples).map((one) => one.split(':')[0]);
    expect(
      faults('sum by (job, x) (rate(a{x="1",y=~"2"}[5m])) > 2 unless b offset 1h == 1'),
    ).toEqual([]);
    expect(faults('sum by (le) (rate(b_bucket[5m]))')).toEqual([]);
    expect(faults('c > 1 or a')).toEqual(['c is not there']);
    expect(faults('max by (z) (a)')).toEqual(['nothing has the label z']);
    expect(faults('a{z="1"}')).toEqual(['a has no label z']);
    expect(faults('a{x="2"} and b')).toEqual(['a has no x 2']);
    expect(faults('a{y=~"2|3"}')).toEqual(['a has no y 3']);
    expect(faults('1 > 0')).toEqual(['no metric is asked for']);
  });
});
