import type pg from 'pg';
import type { KnownFeed, NewRequests, RecordedRequest } from '../core/request.ts';
import { databaseError } from './database-error.ts';
import { feedsOfOrg } from './orgs.ts';
import { toRange } from './time.ts';

/**
 * Records one request a feed and makes those feeds due now, in one statement and so one transaction
 * (design invariant 6).
 */
export async function recordRequests(
  pool: pg.Pool,
  { feedIds, during, force, maxRejects, reason, requestedBy }: NewRequests,
): Promise<RecordedRequest[]> {
  const { rows } = await pool.query<{ id: number; feedId: number }>(
    `with woken as (
        update vcc.feed set next_due_at = least(next_due_at, now()) where id = any($1) returning id)
      insert into vcc.request (feed_id, kind, during, force, max_rejects, reason, requested_by)
      select id, 'resync', $2::tstzrange, $3, $4, $5, $6 from woken order by array_position($1::int[], id)
      returning id, feed_id as "feedId"`,
    [feedIds, toRange(during), force, maxRejects, reason, requestedBy],
  );
  return rows;
}

/** Requests in Postgres, as the use case `requestResync` needs them. */
export function openRequestStore(pool: pg.Pool): {
  feedsOf(orgCode: string): Promise<readonly KnownFeed[] | null>;
  record(requests: NewRequests): Promise<readonly RecordedRequest[]>;
} {
  const guard = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw databaseError(error);
    }
  };
  return {
    feedsOf: (orgCode) => guard(feedsOfOrg(pool, orgCode)),
    record: (requests) => guard(recordRequests(pool, requests)),
  };
}
