import { sql } from 'kysely';
import type { DatasetName } from '../core/dataset.ts';
import type { FindingKind } from '../core/finding.ts';
import type { Database } from './pool.ts';

/** How many rows of a feed its newest comparison with the source found to differ, by how they do. */
export interface FindingCount extends Readonly<Record<FindingKind, number>> {
  readonly feedId: number;
  readonly orgCode: string;
  readonly dataset: DatasetName;
}

/**
 * Counts what the newest comparison of every feed has found and not repaired; an audit counts with all that
 * it has read.
 */
export function countFindings(db: Database): Promise<FindingCount[]> {
  const newest = db
    .selectFrom('vcc.comparison')
    .distinctOn('feed_id')
    .select(['feed_id', 'request_id'])
    .where('finished_at', 'is not', null)
    .orderBy('feed_id')
    .orderBy('id', 'desc');
  return db
    .selectFrom(newest.as('newest'))
    .innerJoin('vcc.comparison as c', 'c.request_id', 'newest.request_id')
    .innerJoin('vcc.feed as f', 'f.id', 'newest.feed_id')
    .select(({ ref }) => [
      'f.id as feedId',
      'f.org_code as orgCode',
      'f.dataset',
      sql<number>`coalesce(sum(${ref('c.missing')}) filter (where ${ref('c.run_id')} is null), 0)::bigint`.as(
        'missing',
      ),
      sql<number>`coalesce(sum(${ref('c.changed')}) filter (where ${ref('c.run_id')} is null), 0)::bigint`.as(
        'changed',
      ),
      sql<number>`coalesce(sum(${ref('c.extra')}) filter (where ${ref('c.run_id')} is null), 0)::bigint`.as(
        'extra',
      ),
    ])
    .groupBy('f.id')
    .$narrowType<{ dataset: DatasetName }>()
    .execute();
}
