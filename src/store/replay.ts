import { sql } from 'kysely';
import type { DatasetName } from '../core/dataset.ts';
import type { OpenReject, RejectStore, ReplayFilter } from '../sync/ports.ts';
import { guarded } from './database-error.ts';
import type { Database } from './pool.ts';
import { milliseconds } from './time.ts';

function openRejects(
  db: Database,
  { orgCode, dataset, reason, runId, id }: ReplayFilter,
): Promise<readonly OpenReject[]> {
  return db
    .selectFrom('vcc.reject as j')
    .innerJoin('vcc.feed as f', 'f.id', 'j.feed_id')
    .select(({ ref }) => [
      'j.id',
      'j.feed_id as feedId',
      'f.org_code as orgCode',
      'f.dataset',
      'j.header',
      milliseconds(ref('j.window_to')).as('windowTo'),
      'j.line_hash as hash',
      sql<string | null>`encode(sha256(convert_to(${ref('j.line')}, 'UTF8')), 'hex')`.as(
        'textHash',
      ),
    ])
    .where('j.resolved_at', 'is', null)
    .$if(orgCode !== undefined, (q) => q.where('f.org_code', '=', orgCode!))
    .$if(dataset !== undefined, (q) => q.where('f.dataset', '=', dataset!))
    .$if(reason !== undefined, (q) => q.where('j.reason', '=', reason!))
    .$if(id !== undefined, (q) => q.where('j.id', '=', id!))
    .$if(runId !== undefined, (q) => q.where('j.run_id', '=', runId!))
    .orderBy('j.id')
    .$narrowType<{ dataset: DatasetName }>()
    .execute();
}

async function textsOf(
  db: Database,
  ids: readonly number[],
): Promise<ReadonlyMap<number, string | null>> {
  const rows = await db
    .selectFrom('vcc.reject')
    .select(['id', 'line'])
    .where('id', '=', sql<number>`any(${[...ids]}::bigint[])`)
    .where('resolved_at', 'is', null)
    .execute();
  return new Map(rows.map(({ id, line }) => [id, line]));
}

/** Refused lines in Postgres, as the use case `replayRejects` needs them. */
export function openRejectStore(db: Database): RejectStore {
  return {
    open: (filter) => guarded(openRejects(db, filter)),
    texts: (ids) => guarded(textsOf(db, ids)),
  };
}
