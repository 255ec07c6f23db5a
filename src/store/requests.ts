import { sql } from 'kysely';
import type { DatasetName } from '../core/dataset.ts';
import type { Interval } from '../core/interval.ts';
import type { KnownFeed, NewRequests, RecordedRequest } from '../core/request.ts';
import { guarded } from './database-error.ts';
import { lockedById } from './feeds.ts';
import { feedsOfOrg } from './orgs.ts';
import type { Database } from './pool.ts';
import { milliseconds, NOW, toRange } from './time.ts';

/**
 * Records one request a feed and makes those feeds due now, in one statement and so one transaction
 * (design invariant 6).
 */
export function recordRequests(
  db: Database,
  { feedIds, during, force, maxRejects, reason, requestedBy }: NewRequests,
): Promise<RecordedRequest[]> {
  return db
    .with('woken', (cte) =>
      cte
        .updateTable('vcc.feed')
        .set((eb) => ({ next_due_at: eb.fn('least', ['next_due_at', NOW]) }))
        .where('id', '=', lockedById(feedIds))
        .returning('id'),
    )
    .insertInto('vcc.request')
    .columns(['feed_id', 'kind', 'during', 'force', 'max_rejects', 'reason', 'requested_by'])
    .expression((eb) =>
      eb
        .selectFrom('woken')
        .select(({ val }) => [
          'id',
          sql.lit('resync').as('kind'),
          sql<string>`${toRange(during)}::tstzrange`.as('during'),
          val(force).as('force'),
          val(maxRejects).as('max_rejects'),
          val(reason).as('reason'),
          val(requestedBy).as('requested_by'),
        ])
        .orderBy(({ ref }) => sql`array_position(${[...feedIds]}::int[], ${ref('id')})`),
    )
    .returning(['id', 'feed_id as feedId'])
    .execute();
}

/** A request as people look at it; times in milliseconds. */
export interface RequestRow {
  readonly id: number;
  readonly orgCode: string;
  readonly dataset: DatasetName;
  readonly during: Interval;
  readonly force: boolean;
  readonly maxRejects: number | null;
  readonly reason: string | null;
  readonly requestedBy: string;
  readonly requestedAt: number;
  /** Null while it is open. */
  readonly finishedAt: number | null;
}

/** Requests by their ids, the oldest first; those that are not there are left out. */
export async function readRequests(db: Database, ids: readonly number[]): Promise<RequestRow[]> {
  const rows = await db
    .selectFrom('vcc.request as q')
    .innerJoin('vcc.feed as f', 'f.id', 'q.feed_id')
    .select(({ ref }) => [
      'q.id',
      'f.org_code as orgCode',
      'f.dataset',
      milliseconds(sql<Date>`lower(${ref('q.during')})`).as('from'),
      milliseconds(sql<Date>`upper(${ref('q.during')})`).as('to'),
      'q.force',
      'q.max_rejects as maxRejects',
      'q.reason',
      'q.requested_by as requestedBy',
      milliseconds(ref('q.requested_at')).as('requestedAt'),
      milliseconds(ref('q.finished_at')).as('finishedAt'),
    ])
    .where('q.id', '=', sql<number>`any(${[...ids]}::bigint[])`)
    .orderBy('q.id')
    .$narrowType<{ dataset: DatasetName }>()
    .execute();
  return rows.map(({ from, to, ...row }) => ({ ...row, during: { from, to } }));
}

/** Requests in Postgres, as the use case `requestResync` needs them. */
export function openRequestStore(db: Database): {
  feedsOf(orgCode: string): Promise<readonly KnownFeed[] | null>;
  record(requests: NewRequests): Promise<readonly RecordedRequest[]>;
} {
  return {
    feedsOf: (orgCode) => guarded(feedsOfOrg(db, orgCode)),
    record: (requests) => guarded(recordRequests(db, requests)),
  };
}
