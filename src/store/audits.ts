import { sql } from 'kysely';
import type { ErrorCode } from '../core/errors.ts';
import type { Interval, IntervalSet } from '../core/interval.ts';
import type { Comparison, ComparisonRequest } from '../sync/ports.ts';
import { countersOf, recordRequest, storeFindings } from './comparisons.ts';
import { guarded } from './database-error.ts';
import type { Database } from './pool.ts';
import { instant, milliseconds, NOW, toRange, toTimestamp } from './time.ts';

interface OpenWindow {
  readonly id: number;
  readonly during: Interval;
}

interface OpenAudit {
  readonly requestId: number;
  readonly windows: readonly OpenWindow[];
}

/** The windows of an audit that are still to be read, oldest first. */
async function windowsToRead(db: Database, requestId: number): Promise<OpenWindow[]> {
  const rows = await db
    .selectFrom('vcc.comparison')
    .select(({ ref }) => [
      'id',
      milliseconds(sql<Date>`lower(${ref('during')})`).as('from'),
      milliseconds(sql<Date>`upper(${ref('during')})`).as('to'),
    ])
    .where('request_id', '=', requestId)
    .where('finished_at', 'is', null)
    .orderBy('during')
    .execute();
  return rows.map(({ id, ...during }) => ({ id, during }));
}

async function openAudit(db: Database, feedId: number): Promise<OpenAudit | null> {
  const request = await db
    .selectFrom('vcc.request')
    .select('id')
    .where('feed_id', '=', feedId)
    .where('kind', '=', 'audit')
    .where('finished_at', 'is', null)
    .orderBy('id', 'desc')
    .executeTakeFirst();
  return request ? { requestId: request.id, windows: await windowsToRead(db, request.id) } : null;
}

function planAudit(
  db: Database,
  request: ComparisonRequest,
  windows: IntervalSet,
): Promise<OpenAudit> {
  return db.transaction().execute(async (trx) => {
    const requestId = await recordRequest(trx, request, false);
    const rows = windows.map((during) => ({
      request_id: requestId,
      feed_id: request.feedId,
      kind: 'window',
      during: toRange(during),
    }));
    await trx.insertInto('vcc.comparison').values(rows).execute();
    return { requestId, windows: await windowsToRead(trx, requestId) };
  });
}

/** Records a window's comparison, unless another process has done so meanwhile. */
function finishWindow(db: Database, id: number, comparison: Comparison): Promise<void> {
  return db.transaction().execute(async (trx) => {
    const { numUpdatedRows } = await trx
      .updateTable('vcc.comparison')
      .set({
        as_of: toTimestamp(comparison.asOf),
        finished_at: NOW,
        ...countersOf(comparison),
      })
      .where('id', '=', id)
      .where('finished_at', 'is', null)
      .executeTakeFirstOrThrow();
    if (numUpdatedRows === 1n) await storeFindings(trx, id, comparison.findings);
  });
}

async function refuseWindow(db: Database, id: number, code: ErrorCode): Promise<void> {
  await db
    .updateTable('vcc.comparison')
    .set({ finished_at: NOW, error_code: code })
    .where('id', '=', id)
    .where('finished_at', 'is', null)
    .execute();
}

function closeAudit(db: Database, requestId: number): Promise<void> {
  return db.transaction().execute(async (trx) => {
    await trx
      .deleteFrom('vcc.comparison')
      .where('request_id', '=', requestId)
      .where('finished_at', 'is', null)
      .execute();
    await trx
      .updateTable('vcc.request')
      .set({ finished_at: NOW })
      .where('id', '=', requestId)
      .where('finished_at', 'is', null)
      .execute();
  });
}

async function lastAsked(db: Database, feedId: number, during: Interval): Promise<number | null> {
  const { at } = await db
    .selectFrom('vcc.run')
    .select(({ ref }) =>
      milliseconds(
        sql<Date | null>`max(${ref('started_at')} + make_interval(secs => coalesce(${ref('clock_skew')}, 0)))`,
      ).as('at'),
    )
    .where('feed_id', '=', feedId)
    .where('status', '=', 'done')
    .where('requested_from', '<=', instant(during.from))
    .where('requested_to', '>=', instant(during.to))
    .executeTakeFirstOrThrow();
  return at;
}

/** Audits in Postgres, as the use case `auditFeed` needs them. */
export function openAudits(db: Database): {
  open(feedId: number): Promise<OpenAudit | null>;
  plan(request: ComparisonRequest, windows: IntervalSet): Promise<OpenAudit>;
  finish(window: OpenWindow, comparison: Comparison): Promise<void>;
  refuse(window: OpenWindow, code: ErrorCode): Promise<void>;
  close(requestId: number): Promise<void>;
  lastAsked(feedId: number, during: Interval): Promise<number | null>;
} {
  return {
    open: (feedId) => guarded(openAudit(db, feedId)),
    plan: (request, windows) => guarded(planAudit(db, request, windows)),
    finish: ({ id }, comparison) => guarded(finishWindow(db, id, comparison)),
    refuse: ({ id }, code) => guarded(refuseWindow(db, id, code)),
    close: (requestId) => guarded(closeAudit(db, requestId)),
    lastAsked: (feedId, during) => guarded(lastAsked(db, feedId, during)),
  };
}
