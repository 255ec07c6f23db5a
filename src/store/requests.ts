import { sql } from 'kysely';
import type { KnownFeed, NewRequests, RecordedRequest } from '../core/request.ts';
import { guarded } from './database-error.ts';
import { feedsOfOrg } from './orgs.ts';
import type { Database } from './pool.ts';
import { NOW, toRange } from './time.ts';

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
        .where('id', '=', sql<number>`any(${[...feedIds]})`)
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
