import { sql } from 'kysely';
import type { PoolClient } from 'pg';
import type { Dataset } from '../core/dataset.ts';
import { keepKey } from '../core/line-mask.ts';
import type { Reject, SeenReject } from '../core/table/row.ts';
import type { Database } from './pool.ts';
import { STAGING } from './staging.ts';
import { NOW, toTimestamp } from './time.ts';

// biome-ignore format: in the order of the statement below
const COLUMNS = [
  'feed_id', 'run_id', 'line_no', 'reason', 'row_key', 'line_hash', 'line', 'window_to', 'header', 'resolved_at', 'resolved_by_run',
] as const;

/** Refused lines of one table, and its header line; null if it is the document's own. */
export interface RefusedLines {
  readonly rejects: readonly Reject[];
  /** Those whose text is kept already. */
  readonly seen: readonly SeenReject[];
  readonly header: string | null;
}

/**
 * Keeps refused lines, once per feed and content; one seen again is open again.
 *
 * A superseded line is kept as resolved: the later line of its key has taken its place. Call it when
 * the run's row tells its window's end.
 */
export async function storeRejects(
  db: Database,
  feedId: number,
  runId: number,
  { rejects, seen, header }: RefusedLines,
): Promise<void> {
  await noteSeen(db, feedId, runId, { seen, header });
  const distinct = [...new Map(rejects.map((reject) => [reject.hash, reject])).values()];
  if (distinct.length === 0) return;
  await db
    .insertInto('vcc.reject')
    .columns(COLUMNS)
    // Arrays: a parameter a column, however many lines there are.
    .expression(sql`select ${feedId}, ${runId}, refused.*,
        (select window_to from vcc.run where id = ${runId}), ${header}::text,
        case when reason = 'superseded' then now() end,
        case when reason = 'superseded' then ${runId}::bigint end
      from unnest(${distinct.map((one) => one.lineNo)}::bigint[],
          ${distinct.map((one) => one.reason)}::text[], ${distinct.map((one) => keepKey(one.rowKey))}::text[],
          ${distinct.map((one) => one.hash)}::text[], ${distinct.map((one) => one.line)}::text[])
        as refused (line_no, reason, row_key, line_hash, line)`)
    .onConflict((conflict) =>
      conflict.columns(['feed_id', 'line_hash']).doUpdateSet((eb) => ({
        run_id: eb.ref('excluded.run_id'),
        line_no: eb.ref('excluded.line_no'),
        reason: eb.ref('excluded.reason'),
        row_key: eb.ref('excluded.row_key'),
        line: eb.ref('excluded.line'),
        // A line that an older window brings again is no older for that.
        window_to: eb.fn('greatest', ['vcc.reject.window_to', 'excluded.window_to']),
        header: eb.ref('excluded.header'),
        last_seen: NOW,
        resolved_at: eb.ref('excluded.resolved_at'),
        resolved_by_run: eb.ref('excluded.resolved_by_run'),
      })),
    )
    .execute();
}

/** Notes that refused lines came again: they are open again, and their text is kept on. */
async function noteSeen(
  db: Database,
  feedId: number,
  runId: number,
  { seen, header }: Omit<RefusedLines, 'rejects'>,
): Promise<void> {
  if (seen.length === 0) return;
  await sql`update vcc.reject as j set run_id = ${runId}, line_no = again.line_no, reason = again.reason,
      window_to = greatest(j.window_to, (select window_to from vcc.run where id = ${runId})), header = ${header}::text,
      last_seen = now(), resolved_at = null, resolved_by_run = null
    from unnest(${seen.map((one) => one.hash)}::text[], ${seen.map((one) => one.lineNo)}::bigint[],
      ${seen.map((one) => one.reason)}::text[]) as again (line_hash, line_no, reason)
    where j.feed_id = ${feedId} and j.line_hash = again.line_hash`.execute(db);
}

/** Which of these hashes are those of refused lines whose text the feed still keeps. */
export async function knownRejects(
  db: Database,
  feedId: number,
  hashes: readonly string[],
): Promise<ReadonlySet<string>> {
  const known = await db
    .selectFrom('vcc.reject')
    .select('line_hash')
    .where('feed_id', '=', feedId)
    .where('line_hash', '=', sql<string>`any(${[...hashes]}::text[])`)
    .where('line', 'is not', null)
    .execute();
  return new Set(known.map((row) => row.line_hash));
}

/** What `resolveRejects` goes by. */
export interface Resolution {
  readonly feedId: number;
  readonly runId: number;
  /** Milliseconds. */
  readonly windowTo: number;
  /** Puts those of its rows into the staging table that are not there yet. */
  readonly stage: () => Promise<void>;
  /** Where the run has put rows that were never staged; null if there are none. */
  readonly straight: { readonly dataset: Dataset; readonly orgCode: string } | null;
}

/**
 * Resolves the feed's refused lines whose key has now arrived in a good line of a window that is not
 * older than theirs; not those of another organisation, whose keys are its own. Call it before this
 * run's own rejects are stored.
 */
export async function resolveRejects(
  client: PoolClient,
  { feedId, runId, windowTo, stage, straight }: Resolution,
): Promise<void> {
  const { rows } = await client.query({
    name: 'has open rejects',
    text: 'select from vcc.reject where feed_id = $1 and resolved_at is null limit 1',
    values: [feedId],
  });
  if (rows.length === 0) return;
  await stage();
  // Neither planned for few rows nor by a plan that was kept: there may be many on either side.
  await client.query('set local enable_hashjoin to default');
  const resolve = (arrived: string, values: readonly unknown[] = []) =>
    client.query(
      `update vcc.reject j set resolved_at = now(), resolved_by_run = $2
        where j.feed_id = $1 and j.resolved_at is null and j.row_key is not null
          and j.reason <> 'other_org' and j.window_to <= $3 and exists (${arrived})`,
      [feedId, runId, toTimestamp(windowTo), ...values],
    );
  await resolve(`select from ${STAGING} s where s.row_key = j.row_key`);
  if (straight === null) return;
  const { dataset, orgCode } = straight;
  await resolve(
    `select from vcc.${dataset.table} t
      where t.${dataset.key} = j.row_key and t.org_code = $4 and t.run_id = $2`,
    [orgCode],
  );
}
