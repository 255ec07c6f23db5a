import type { Notice } from '../core/push.ts';
import { guarded } from './database-error.ts';
import { lockedInOrder } from './feeds.ts';
import type { Database } from './pool.ts';
import { instant } from './time.ts';

/** Notices in Postgres, as the use case `takeNotice` needs them. */
export function openNoticeStore(db: Database): {
  take(notice: Notice, changedAt: number, dueAt: number): Promise<boolean>;
} {
  return {
    take: (notice, changedAt, dueAt) => guarded(takeNotice(db, notice, changedAt, dueAt)),
  };
}

/**
 * Remembers a notice and makes its feeds due, in one transaction; false if it came before.
 *
 * A feed that fails keeps its distance: whoever sends notices must not undo that.
 */
function takeNotice(
  db: Database,
  { seq, interfaceCode, dataset, orgCode }: Notice,
  changedAt: number,
  dueAt: number,
): Promise<boolean> {
  return db.transaction().execute(async (trx) => {
    const { numInsertedOrUpdatedRows } = await trx
      .insertInto('vcc.push_notice')
      .values({ seq, interface: interfaceCode, org_code: orgCode })
      .onConflict((known) => known.column('seq').doNothing())
      .executeTakeFirstOrThrow();
    if (numInsertedOrUpdatedRows !== 1n) return false;
    if (dataset === null) return true;
    await trx
      .updateTable('vcc.feed')
      .set((eb) => ({
        notified_at: eb.fn<Date>('greatest', ['notified_at', instant(changedAt)]),
        next_due_at: eb
          .case()
          .when('consecutive_failures', '=', 0)
          .then(eb.fn<Date>('least', ['next_due_at', instant(dueAt)]))
          .else(eb.ref('next_due_at'))
          .end(),
      }))
      .where(
        'id',
        '=',
        lockedInOrder((feeds) =>
          feeds
            .where('dataset', '=', dataset)
            .$if(orgCode !== null, (query) => query.where('org_code', '=', orgCode)),
        ),
      )
      .execute();
    return true;
  });
}
