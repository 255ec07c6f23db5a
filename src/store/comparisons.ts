import { sql } from 'kysely';
import { keepKey } from '../core/line-mask.ts';
import type { Comparison, ComparisonRequest } from '../sync/ports.ts';
import { guarded } from './database-error.ts';
import type { Database } from './pool.ts';
import { NOW, toRange, toTimestamp } from './time.ts';

/** Writes a request for a comparison down; answers its id. */
export async function recordRequest(
  db: Database,
  { kind, feedId, during, reason, requestedBy }: ComparisonRequest,
  finished: boolean,
): Promise<number> {
  const { id } = await db
    .insertInto('vcc.request')
    .values({
      kind,
      feed_id: feedId,
      during: during && toRange(during),
      reason,
      requested_by: requestedBy,
      finished_at: finished ? NOW : null,
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  return id;
}

/** Writes a comparison down that ended as it began; answers its id. */
export async function recordComparison(
  db: Database,
  owner: { readonly feedId: number; readonly requestId: number; readonly runId: number | null },
  comparison: Comparison,
): Promise<number> {
  const { id } = await db
    .insertInto('vcc.comparison')
    .values({
      request_id: owner.requestId,
      feed_id: owner.feedId,
      run_id: owner.runId,
      kind: comparison.kind,
      during: comparison.during && toRange(comparison.during),
      as_of: toTimestamp(comparison.asOf),
      finished_at: NOW,
      ...countersOf(comparison),
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  await storeFindings(db, id, comparison.findings);
  return id;
}

/** Writes down what a run has repaired, along with its commit. */
export async function recordRepair(
  db: Database,
  feedId: number,
  runId: number,
  comparison: Comparison,
): Promise<void> {
  const { request_id: requestId } = await db
    .selectFrom('vcc.run')
    .select('request_id')
    .where('id', '=', runId)
    .executeTakeFirstOrThrow();
  await recordComparison(db, { feedId, requestId: requestId!, runId }, comparison);
}

/** The counters of a comparison as columns. */
export function countersOf(comparison: Comparison) {
  const { sourceRows, ownRows, compared, missing, changed, extra, stale } = comparison;
  return {
    source_rows: sourceRows,
    own_rows: ownRows,
    compared,
    missing,
    changed,
    extra,
    stale,
  };
}

/** Keeps findings of a comparison, a parameter a column. */
export async function storeFindings(
  db: Database,
  comparisonId: number,
  kept: Comparison['findings'],
): Promise<void> {
  if (kept.length === 0) return;
  await db
    .insertInto('vcc.finding')
    .columns(['comparison_id', 'kind', 'row_key', 'columns', 'during', 'late'])
    .expression(sql`select ${comparisonId}::bigint, kind, row_key, string_to_array(columns, ','),
        during::tstzrange, make_interval(secs => late)
      from unnest(${kept.map((one) => one.kind)}::text[], ${kept.map((one) => keepKey(one.rowKey))}::text[],
          ${kept.map((one) => one.columns?.join(',') ?? null)}::text[],
          ${kept.map((one) => (one.during ? toRange(one.during) : null))}::text[],
          ${kept.map((one) => (one.late === undefined ? null : one.late / 1000))}::float8[])
        as found (kind, row_key, columns, during, late)`)
    .execute();
}

/** Comparisons in Postgres, as the use cases need them. */
export function openComparisons(db: Database): {
  record(request: ComparisonRequest, comparison: Comparison): Promise<number>;
} {
  return {
    record: (request, comparison) =>
      guarded(
        db.transaction().execute(async (trx) => {
          const requestId = await recordRequest(trx, request, true);
          const { feedId } = request;
          await recordComparison(trx, { feedId, requestId, runId: null }, comparison);
          return requestId;
        }),
      ),
  };
}
