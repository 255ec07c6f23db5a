import type { DatasetName } from '../core/dataset.ts';
import type { RejectReason } from '../core/table/row.ts';
import type { Database } from './pool.ts';

/** How many refused lines of a feed are still unresolved, by why they were refused. */
export interface RejectCount {
  readonly feedId: number;
  readonly orgCode: string;
  readonly dataset: DatasetName;
  readonly reason: RejectReason;
  readonly count: number;
}

/** Counts the unresolved rejects of every feed that has any, or of one feed. */
export function countUnresolvedRejects(db: Database, feedId?: number): Promise<RejectCount[]> {
  const counted = db
    .selectFrom('vcc.reject as j')
    .select((eb) => ['j.feed_id', 'j.reason', eb.fn.countAll<number>().as('count')])
    .where('j.resolved_at', 'is', null)
    .$if(feedId !== undefined, (q) => q.where('j.feed_id', '=', feedId!))
    .groupBy(['j.feed_id', 'j.reason']);
  return db
    .selectFrom(counted.as('c'))
    .innerJoin('vcc.feed as f', 'f.id', 'c.feed_id')
    .select(['f.id as feedId', 'f.org_code as orgCode', 'f.dataset', 'c.reason', 'c.count'])
    .$narrowType<{ dataset: DatasetName; reason: RejectReason }>()
    .execute();
}
