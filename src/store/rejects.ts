import { sql } from 'kysely';
import type { Reject } from '../core/table/row.ts';
import type { Database } from './pool.ts';
import { instant, NOW } from './time.ts';

// biome-ignore format: in the order of the statement below
const COLUMNS = [
  'feed_id', 'run_id', 'line_no', 'reason', 'row_key', 'line_hash', 'line', 'resolved_at', 'resolved_by_run',
] as const;

/**
 * Keeps refused lines, once per feed and content; one seen again is open again.
 *
 * A superseded line is kept as resolved: the later line of its key has taken its place.
 */
export async function storeRejects(
  db: Database,
  feedId: number,
  runId: number,
  rejects: readonly Reject[],
): Promise<void> {
  const distinct = [...new Map(rejects.map((reject) => [reject.hash, reject])).values()];
  if (distinct.length === 0) return;
  await db
    .insertInto('vcc.reject')
    .columns(COLUMNS)
    // Arrays: a parameter a column, however many lines there are.
    .expression(sql`select ${feedId}, ${runId}, refused.*,
        case when reason = 'superseded' then now() end,
        case when reason = 'superseded' then ${runId}::bigint end
      from unnest(${distinct.map((one) => one.lineNo)}::bigint[],
          ${distinct.map((one) => one.reason)}::text[], ${distinct.map((one) => one.rowKey)}::text[],
          ${distinct.map((one) => one.hash)}::text[], ${distinct.map((one) => one.line)}::text[])
        as refused (line_no, reason, row_key, line_hash, line)`)
    .onConflict((conflict) =>
      conflict.columns(['feed_id', 'line_hash']).doUpdateSet((eb) => ({
        run_id: eb.ref('excluded.run_id'),
        line_no: eb.ref('excluded.line_no'),
        reason: eb.ref('excluded.reason'),
        row_key: eb.ref('excluded.row_key'),
        line: eb.ref('excluded.line'),
        last_seen: NOW,
        resolved_at: eb.ref('excluded.resolved_at'),
        resolved_by_run: eb.ref('excluded.resolved_by_run'),
      })),
    )
    .execute();
}

/** What `resolveRejects` goes by. */
export interface Resolution {
  readonly feedId: number;
  readonly runId: number;
  /** The connection's staging table and the key column in it. */
  readonly stage: string;
  readonly key: string;
  /** Milliseconds. */
  readonly windowTo: number;
}

/**
 * Resolves the feed's refused lines whose key has now arrived in a good line of a window that is not
 * older than theirs; not those of another organisation, whose keys are its own. Call it before this run's own rejects are stored.
 */
export async function resolveRejects(
  db: Database,
  { feedId, runId, stage, key, windowTo }: Resolution,
): Promise<void> {
  await db
    .updateTable('vcc.reject as j')
    .set({ resolved_at: NOW, resolved_by_run: runId })
    .where('j.feed_id', '=', feedId)
    .where('j.resolved_at', 'is', null)
    .where('j.row_key', 'is not', null)
    .where('j.reason', '<>', 'other_org')
    .where(
      ({ ref }) => sql<boolean>`exists (
        select from ${sql.table(stage)} s where ${sql.ref(`s.${key}`)} = ${ref('j.row_key')})`,
    )
    .where(({ exists, selectFrom }) =>
      exists(
        selectFrom('vcc.run as r')
          .whereRef('r.id', '=', 'j.run_id')
          .where('r.window_to', '<=', instant(windowTo)),
      ),
    )
    .execute();
}
