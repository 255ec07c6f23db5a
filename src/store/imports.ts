import { sql } from 'kysely';
import type { OwnRequest } from '../core/import.ts';
import type { ImportCommit } from '../sync/ports.ts';
import { recordRepair } from './comparisons.ts';
import type { Database } from './pool.ts';
import { instant, NOW, toRange } from './time.ts';

/** Requests of which a run brings the rows along; they end with their run. */
export const OWN_KINDS: readonly OwnRequest['kind'][] = ['import', 'replay', 'reconcile'];

/** Writes down who brings rows, when and why. */
export async function recordOwnRequest(
  db: Database,
  feedId: number,
  { kind, during, maxRejects, reason, requestedBy }: OwnRequest,
): Promise<number> {
  const { id } = await db
    .insertInto('vcc.request')
    .values({
      feed_id: feedId,
      kind,
      during: during && toRange(during),
      max_rejects: maxRejects,
      reason,
      requested_by: requestedBy,
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  return id;
}

/** Ends the request of an import's or replay's run. */
export async function finishOwnRequest(db: Database, runId: number): Promise<void> {
  await db
    .updateTable('vcc.request')
    .set({ finished_at: NOW })
    .where('kind', 'in', OWN_KINDS)
    .where('finished_at', 'is', null)
    .where('id', '=', (eb) => eb.selectFrom('vcc.run').select('request_id').where('id', '=', runId))
    .execute();
}

/** Notes that what an extract lacks is absent as of its time: older windows bring nothing of it back. */
async function noteExtract(db: Database, feedId: number, asOf: number): Promise<void> {
  await db
    .updateTable('vcc.feed')
    .set((eb) => ({ extract_at: eb.fn<Date>('greatest', ['extract_at', instant(asOf)]) }))
    .where('id', '=', feedId)
    .execute();
}

/** Gives a feed what rows got by other means cover, and resolves the lines that went in, by id. */
export async function advanceByImport(
  db: Database,
  feedId: number,
  runId: number,
  { covers, since, baselineAt, resolved, comparison }: Omit<ImportCommit, 'window'>,
): Promise<void> {
  if (covers !== null) {
    await db
      .updateTable('vcc.feed')
      .set((eb) => ({
        coverage: sql<string>`${eb.ref('coverage')} + tstzmultirange(${toRange(covers)}::tstzrange)`,
        // These functions pass over a null.
        since:
          baselineAt === null
            ? eb.fn.coalesce('since', since === null ? sql<null>`null` : instant(since))
            : eb.fn('least', ['since', instant(baselineAt)]),
        ...(baselineAt !== null && {
          baseline_at: eb.fn<Date>('greatest', ['baseline_at', instant(baselineAt)]),
        }),
      }))
      .where('id', '=', feedId)
      .execute();
  }
  if (comparison) {
    await recordRepair(db, feedId, runId, comparison);
    if (comparison.extra !== null) await noteExtract(db, feedId, comparison.asOf);
  }
  await finishOwnRequest(db, runId);
  if (resolved.length === 0) return;
  await db
    .updateTable('vcc.reject')
    .set({ resolved_at: NOW, resolved_by_run: runId })
    .where('feed_id', '=', feedId)
    .where('id', '=', sql<number>`any(${[...resolved]}::bigint[])`)
    .where('resolved_at', 'is', null)
    .execute();
}
