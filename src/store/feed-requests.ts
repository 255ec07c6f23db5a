import { sql } from 'kysely';
import type { OwnRequest } from '../core/import.ts';
import type { Interval } from '../core/interval.ts';
import type { OpenRequest } from '../core/work.ts';
import type { Database } from './pool.ts';
import { milliseconds } from './time.ts';

/** A request of one feed, and what came of it; times in milliseconds. */
export interface FeedRequest {
  readonly id: number;
  readonly kind: OpenRequest['kind'] | OwnRequest['kind'] | 'audit';
  /** Null: it covers nothing, as a replay does. */
  readonly during: Interval | null;
  readonly force: boolean;
  readonly reason: string | null;
  readonly requestedBy: string;
  readonly requestedAt: number;
  /** Null while it is open. */
  readonly finishedAt: number | null;
  /** Its runs that are still in the ledger, and what they did. */
  readonly runs: number;
  readonly failed: number;
  readonly inserted: number;
  readonly updated: number;
}

/** The requests of a feed: first those that are open, then the newest. */
export async function listFeedRequests(
  db: Database,
  feedId: number,
  limit: number,
): Promise<FeedRequest[]> {
  const runs = db
    .selectFrom('vcc.run as r')
    .select((eb) => [
      eb.fn.countAll<number>().as('runs'),
      eb.fn.countAll<number>().filterWhere('r.status', '=', 'failed').as('failed'),
      sql<number>`coalesce(sum(${eb.ref('r.inserted')}), 0)::bigint`.as('inserted'),
      sql<number>`coalesce(sum(${eb.ref('r.updated')}), 0)::bigint`.as('updated'),
    ])
    .whereRef('r.request_id', '=', sql.ref('q.id'));
  const newest = db
    .selectFrom('vcc.request')
    .selectAll()
    .where('feed_id', '=', feedId)
    .orderBy(({ ref }) => sql`${ref('finished_at')} is not null`)
    .orderBy('id', 'desc')
    .limit(limit);
  const rows = await db
    .selectFrom(newest.as('q'))
    .innerJoinLateral(runs.as('sum'), (join) => join.onTrue())
    .select(({ ref }) => [
      'q.id',
      'q.kind',
      sql<boolean>`${ref('q.during')} is not null`.as('covers'),
      milliseconds(sql<Date | null>`lower(${ref('q.during')})`).as('from'),
      milliseconds(sql<Date>`upper(${ref('q.during')})`).as('to'),
      'q.force',
      'q.reason',
      'q.requested_by as requestedBy',
      milliseconds(ref('q.requested_at')).as('requestedAt'),
      milliseconds(ref('q.finished_at')).as('finishedAt'),
      'sum.runs',
      'sum.failed',
      'sum.inserted',
      'sum.updated',
    ])
    .orderBy(({ ref }) => sql`${ref('q.finished_at')} is not null`)
    .orderBy('q.id', 'desc')
    .$narrowType<{ kind: FeedRequest['kind'] }>()
    .execute();
  return rows.map(({ covers, from, to, ...row }) => ({
    ...row,
    during: covers ? { from: from ?? -Infinity, to } : null,
  }));
}
