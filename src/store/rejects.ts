import type pg from 'pg';
import type { PoolClient } from 'pg';
import type { Reject } from '../core/table/row.ts';

type Queryable = pg.Pool | PoolClient;

/**
 * Keeps refused lines, once per feed and content; one seen again is open again.
 *
 * A superseded line is kept as resolved: the later line of its key has taken its place.
 */
export async function storeRejects(
  db: Queryable,
  feedId: number,
  runId: number,
  rejects: readonly Reject[],
): Promise<void> {
  const distinct = [...new Map(rejects.map((reject) => [reject.hash, reject])).values()];
  if (distinct.length === 0) return;
  await db.query(
    `insert into vcc.reject (feed_id, run_id, line_no, reason, row_key, line_hash, line, resolved_at, resolved_by_run)
      select $1, $2, line_no, reason, row_key, line_hash, line,
        case when reason = 'superseded' then now() end, case when reason = 'superseded' then $2::bigint end
      from unnest($3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[])
        as refused (line_no, reason, row_key, line_hash, line)
      on conflict (feed_id, line_hash) do update set run_id = excluded.run_id, line_no = excluded.line_no,
        reason = excluded.reason, row_key = excluded.row_key, line = excluded.line, last_seen = now(),
        resolved_at = excluded.resolved_at, resolved_by_run = excluded.resolved_by_run`,
    [
      feedId,
      runId,
      distinct.map((one) => one.lineNo),
      distinct.map((one) => one.reason),
      distinct.map((one) => one.rowKey),
      distinct.map((one) => one.hash),
      distinct.map((one) => one.line),
    ],
  );
}

/**
 * Resolves the feed's refused lines whose key has now arrived in a good line of a window that is not
 * older than theirs; not those of another organisation, whose keys are its own. Call it before this run's own rejects are stored.
 */
export async function resolveRejects(
  client: PoolClient,
  options: { feedId: number; runId: number; stage: string; key: string; windowTo: string },
): Promise<void> {
  const { feedId, runId, stage, key, windowTo } = options;
  await client.query(
    `update vcc.reject set resolved_at = now(), resolved_by_run = $2
      where feed_id = $1 and resolved_at is null and row_key is not null
        and reason <> 'other_org'
        and exists (select from ${stage} s where s.${key} = reject.row_key)
        and exists (select from vcc.run where run.id = reject.run_id and run.window_to <= $3)`,
    [feedId, runId, windowTo],
  );
}
