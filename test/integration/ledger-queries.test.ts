import { Kysely, PostgresDialect } from 'kysely';
import { beforeAll, describe, expect, it } from 'vitest';
import { DAY } from '../../src/core/china-time.ts';
import { hourlyChanges, lastFailures, runningRuns } from '../../src/store/activity.ts';
import type { DB } from '../../src/store/database.ts';
import { listFeedRequests } from '../../src/store/feed-requests.ts';
import { listRuns } from '../../src/store/ledgers.ts';
import type { Database } from '../../src/store/pool.ts';
import { countUnresolvedRejects } from '../../src/store/reject-counts.ts';
import { countRejects, listRejects } from '../../src/store/reject-ledger.ts';
import { useDatabase } from '../support/database.ts';

const FILL = `
  insert into vcc.org (org_code) select 'ORG' || g from generate_series(1, 100) g;
  insert into vcc.feed (org_code, dataset)
    select org_code, dataset from vcc.org, unnest(array['addresses', 'supply_points', 'subscribers', 'meters']) dataset;
  insert into vcc.request (feed_id, kind, during, requested_by, finished_at)
    select 1 + g % 400, 'deep', '[2026-01-01Z,2026-01-02Z)', 'test', now() from generate_series(1, 10000) g;
  insert into vcc.run (feed_id, org_code, dataset, trigger, request_id, window_from, window_to, status, finished_at,
      inserted, accepted, lines, worker)
    select id, org_code, dataset, 'schedule', g, '2026-01-01Z', '2026-01-02Z',
      case when g % 1000 = 0 then 'failed' else 'done' end, now() - (10000 - g) * interval '1 hour', n, n, n, 'test'
    from generate_series(1, 10000) g join vcc.feed on id = 1 + g % 400, lateral (select (g % 10 = 0)::int as n) n;
  insert into vcc.reject (feed_id, run_id, line_no, reason, line_hash, line, window_to, last_seen, resolved_at)
    select 1 + g % 400, g, g, 'nul', g::text, repeat('x', 80), '2026-01-02Z', now() - g * interval '2 minutes',
      case when g % 10 > 0 then now() end
    from generate_series(1, 10000) g`;

describe('what people look at in long ledgers', () => {
  const database = useDatabase();
  let db: Database;
  const asked: { readonly sql: string; readonly parameters: readonly unknown[] }[] = [];

  beforeAll(async () => {
    await database.pool.query(FILL);
    await database.pool.query('vacuum analyze');
    db = new Kysely<DB>({
      dialect: new PostgresDialect({ pool: database.pool }),
      log: ({ query }) => void asked.push(query),
    });
  });

  /** Asks, and answers how Postgres goes about it. */
  async function planOf(ask: () => Promise<unknown>): Promise<string> {
    asked.length = 0;
    await ask();
    const [query] = asked;
    const { rows } = await database.pool.query<{ 'QUERY PLAN': string }>(
      `explain (costs off) ${query!.sql}`,
      [...query!.parameters],
    );
    return rows.map((row) => row['QUERY PLAN']).join('\n');
  }

  const feed = { orgCode: 'ORG3', dataset: 'meters' } as const;
  it.each<[string, string, (db: Database) => Promise<unknown>]>([
    ['the hours of two days', 'run_thinning_idx', (on) => hourlyChanges(on, Date.now() - 2 * DAY)],
    ['runs under way', 'run_running_key', (on) => runningRuns(on, 50)],
    ['what failed last', 'run_unfinished_idx', (on) => lastFailures(on, 10)],
    ['failed runs', 'run_unfinished_idx', (on) => listRuns(on, { status: 'failed', limit: 50 })],
    ['runs of a feed', 'run_feed_id_idx', (on) => listRuns(on, { ...feed, limit: 50 })],
    ['runs of nobody', 'run_feed_id_idx', (on) => listRuns(on, { orgCode: 'NONE', limit: 50 })],
    ['requests of a feed', 'request_feed_id_idx', (on) => listFeedRequests(on, 3, 50)],
    ['open rejects in numbers', 'reject_open_idx', (on) => countUnresolvedRejects(on)],
    ['the page of rejects', 'reject_open_idx', (on) => countRejects(on, { state: 'open' })],
    [
      'rejects of a feed',
      'reject_open_idx',
      (on) => listRejects(on, { ...feed, state: 'open', limit: 20 }),
    ],
    [
      'the newest rejects',
      'reject_last_seen_idx',
      (on) => listRejects(on, { state: 'open', limit: 100 }),
    ],
    [
      'rejects of a run',
      'reject_run_id_idx',
      (on) => listRejects(on, { runId: 7, state: 'open', limit: 100 }),
    ],
  ])('finds %s by the index %s', async (_what, index, ask) => {
    const plan = await planOf(() => ask(db));
    expect(plan).toMatch(new RegExp(`using ${index} on|on ${index}`));
    expect(plan).not.toMatch(/Seq Scan on (run|reject|request)\b/);
  });
});
