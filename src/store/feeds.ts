import type pg from 'pg';
import type { PoolClient } from 'pg';
import type { DatasetName, FeedName } from '../core/dataset.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { OpenRequest } from '../core/work.ts';
import type { Feed } from '../sync/ports.ts';
import { rangesAsJson, readRanges, toTimestamp } from './time.ts';

type Queryable = pg.Pool | PoolClient;
type Ranges = readonly (readonly [number | null, number])[];

interface FeedRow {
  id: number;
  dataset: DatasetName;
  org_code: string;
  area_code: string | null;
  active: boolean;
  every: number | null;
  since: number | null;
  coverage: Ranges;
  accepted: Ranges;
  next_due_at: number;
  consecutive_failures: number;
  last_error_code: ErrorCode | null;
}

const FEED = `select f.id, f.dataset, f.org_code, o.area_code,
    f.enabled and o.enabled and not f.paused as active,
    (extract(epoch from f.every) * 1000)::float8 as every,
    (extract(epoch from f.since) * 1000)::float8 as since,
    ${rangesAsJson('f.coverage')} as coverage,
    ${rangesAsJson('(select range_agg(a.during) from vcc.gap_acceptance a where a.feed_id = f.id)')} as accepted,
    (extract(epoch from f.next_due_at) * 1000)::float8 as next_due_at,
    f.consecutive_failures, f.last_error_code
  from vcc.feed f join vcc.org o using (org_code)`;

function readFeed(row: FeedRow): Feed {
  return {
    id: row.id,
    dataset: row.dataset,
    orgCode: row.org_code,
    areaCode: row.area_code,
    active: row.active,
    every: row.every,
    since: row.since,
    coverage: readRanges(row.coverage),
    accepted: readRanges(row.accepted),
    nextDueAt: row.next_due_at,
    consecutiveFailures: row.consecutive_failures,
    lastErrorCode: row.last_error_code,
  };
}

/** The feed of that name, or null if there is none. */
export async function findFeed(
  pool: pg.Pool,
  { dataset, orgCode }: FeedName,
): Promise<Feed | null> {
  const { rows } = await pool.query<FeedRow>(`${FEED} where f.org_code = $1 and f.dataset = $2`, [
    orgCode,
    dataset,
  ]);
  return rows[0] ? readFeed(rows[0]) : null;
}

/** All feeds, or those of one organisation or dataset, in order. */
export async function listFeeds(
  pool: pg.Pool,
  filter: { readonly orgCode?: string | undefined; readonly dataset?: string | undefined } = {},
): Promise<Feed[]> {
  const { rows } = await pool.query<FeedRow>(
    `${FEED} where ($1::text is null or f.org_code = $1) and ($2::text is null or f.dataset = $2)
      order by f.org_code, array_position(array['addresses','supply_points','subscribers','meters'], f.dataset)`,
    [filter.orgCode ?? null, filter.dataset ?? null],
  );
  return rows.map(readFeed);
}

/** The feed under its lock. */
export async function readClaimedFeed(client: PoolClient, feedId: number): Promise<Feed> {
  const { rows } = await client.query<FeedRow>(`${FEED} where f.id = $1`, [feedId]);
  return readFeed(rows[0]!);
}

/** Active feeds that are due, the longest due first. */
export async function dueFeeds(pool: pg.Pool, now: number, limit: number): Promise<FeedName[]> {
  const { rows } = await pool.query<{ dataset: DatasetName; orgCode: string }>(
    `select f.dataset, f.org_code as "orgCode"
      from vcc.feed f join vcc.org o using (org_code)
      where f.next_due_at <= $1 and f.enabled and not f.paused and o.enabled
      order by f.next_due_at limit $2`,
    [toTimestamp(now), limit],
  );
  return rows;
}

interface RequestRow {
  id: number;
  kind: OpenRequest['kind'];
  from: number;
  to: number;
  force: boolean;
  max_rejects: number | null;
  done: Ranges;
  failures: number;
}

/** A feed's open requests, oldest first, with the windows that committed runs have loaded for them. */
export async function openRequests(db: Queryable, feedId: number): Promise<OpenRequest[]> {
  const { rows } = await db.query<RequestRow>(
    `select q.id, q.kind, q.force, q.max_rejects,
        (extract(epoch from lower(q.during)) * 1000)::float8 as from,
        (extract(epoch from upper(q.during)) * 1000)::float8 as to,
        ${rangesAsJson(
          `(select range_agg(tstzrange(r.window_from, r.window_to)) from vcc.run r
            where r.request_id = q.id and r.status = 'done' and r.window_from < r.window_to)`,
        )} as done,
        (select count(*) from vcc.run r where r.request_id = q.id and r.status = 'failed' and not exists (
          select from vcc.run later where later.request_id = q.id and later.id > r.id and later.status = 'done')) as failures
      from vcc.request q where q.feed_id = $1 and q.finished_at is null order by q.id`,
    [feedId],
  );
  return rows.map((row) => ({
    id: row.id,
    kind: row.kind,
    during: { from: row.from, to: row.to },
    force: row.force,
    maxRejects: row.max_rejects,
    done: readRanges(row.done),
    failures: row.failures,
  }));
}

/** Organisations that have feeds of their own. */
export async function orgCodesWithFeeds(pool: pg.Pool): Promise<ReadonlySet<string>> {
  const { rows } = await pool.query<{ org_code: string }>('select distinct org_code from vcc.feed');
  return new Set(rows.map((row) => row.org_code));
}
