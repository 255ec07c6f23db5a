import { hostname } from 'node:os';
import type pg from 'pg';
import type { PoolClient } from 'pg';
import { InterruptedError } from '../core/errors.ts';
import type { Feed, NextTurn, RunFailure, RunStart, WindowCommit } from '../sync/ports.ts';
import { storeRejects } from './rejects.ts';
import { toRange, toTimestamp } from './time.ts';

/** First half of the advisory lock of a feed; the second is the feed's id. */
export const FEED_LOCK = 0x7663;

/** How often a run shows life, in milliseconds. */
export const HEARTBEAT_EVERY = 15_000;

/** How long a run may show no life before its backend is ended. */
const HEARTBEAT_LIMIT = '1 minute';

/** Who writes a run: host and process. */
const WORKER = `${hostname()}:${process.pid}`;

/**
 * Records a run as `running`, from another connection than its own so that all see it at once.
 *
 * Whoever holds the feed's lock knows that an earlier run still marked `running` is dead: it is closed.
 *
 * @param backendPid backend of the connection that holds the feed's lock
 */
export async function startRun(
  pool: pg.Pool,
  feed: Feed,
  run: RunStart,
  backendPid: number,
): Promise<number> {
  await closeDeadRuns(pool, feed.id);
  const { rows } = await pool.query<{ id: number }>(
    `insert into vcc.run (feed_id, org_code, dataset, trigger, request_id, window_from, window_to,
        requested_from, requested_to, backend_pid, backend_start, worker)
      values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
        (select backend_start from pg_stat_activity where pid = $10), $11)
      returning id`,
    [
      feed.id,
      feed.orgCode,
      feed.dataset,
      run.trigger,
      run.requestId,
      toTimestamp(run.window.from),
      toTimestamp(run.window.to),
      toTimestamp(run.requested.from),
      toTimestamp(run.requested.to),
      backendPid,
      WORKER,
    ],
  );
  return rows[0]!.id;
}

async function closeDeadRuns(pool: pg.Pool, feedId: number): Promise<void> {
  const { code, message } = new InterruptedError('the process or its connection ended');
  await pool.query(
    `update vcc.run set status = 'interrupted', finished_at = now(), error_code = $2, error_message = $3
      where feed_id = $1 and status = 'running'`,
    [feedId, code, message],
  );
}

/** Closes a run as done and advances its feed, within the transaction that holds its rows. */
export async function finishRun(
  client: PoolClient,
  runId: number,
  feedId: number,
  { window, since, receipt, facts, ...next }: WindowCommit,
): Promise<void> {
  await client.query(
    `update vcc.run set status = 'done', finished_at = clock_timestamp(), heartbeat_at = clock_timestamp(),
        window_to = $2, seq = $3, http_status = $4, bytes = $5, sha256 = $6, clock_skew = $7,
        lines = $8, accepted = $9, rejected = $10, inserted = $11, updated = $12, unchanged = $13,
        stale = $14, duplicate = $15, flagged = $16
      from (select from vcc.feed where id = $17 for update) as held
      where run.id = $1`,
    [
      runId,
      toTimestamp(window.to),
      facts.seq,
      facts.httpStatus,
      facts.bytes,
      facts.sha256,
      facts.clockSkew,
      receipt.lines,
      receipt.accepted,
      receipt.rejected,
      receipt.inserted,
      receipt.updated,
      receipt.unchanged,
      receipt.stale,
      receipt.duplicate,
      receipt.flagged,
      feedId,
    ],
  );
  await client.query(
    `update vcc.feed set coverage = coverage + tstzmultirange($2::tstzrange), since = coalesce(since, $3),
        next_due_at = ${nextDue('$4', '$5')},
        consecutive_failures = 0, last_error_code = null, last_error = null
      where id = $1`,
    [feedId, toRange(window), toTimestamp(since), toTimestamp(next.nextDueAt), next.knownRequests],
  );
  await finishRequests(client, next.finishedRequests);
}

/** Closes a turn with nothing to load. */
export async function settleFeed(
  client: PoolClient,
  feedId: number,
  next: NextTurn,
): Promise<void> {
  await finishRequests(client, next.finishedRequests);
  await lockFeed(client, feedId);
  await client.query(`update vcc.feed set next_due_at = ${nextDue('$2', '$3')} where id = $1`, [
    feedId,
    toTimestamp(next.nextDueAt),
    next.knownRequests,
  ]);
}

/**
 * SQL for when a feed is due next: as decided, unless a request came meanwhile and made it due.
 *
 * The feed's row must be locked by an earlier statement, or a request that is just being recorded
 * would go unseen.
 */
function nextDue(decided: string, knownRequests: string): string {
  return `case when exists (select from vcc.request q where q.feed_id = feed.id and q.finished_at is null
          and q.id <> all(${knownRequests}::bigint[]))
        then least(next_due_at, ${decided}::timestamptz) else ${decided}::timestamptz end`;
}

async function lockFeed(client: PoolClient, feedId: number): Promise<void> {
  await client.query('select from vcc.feed where id = $1 for update', [feedId]);
}

/** Marks requests as finished. */
async function finishRequests(client: PoolClient, ids: readonly number[]): Promise<void> {
  if (ids.length === 0) return;
  await client.query(
    'update vcc.request set finished_at = now() where id = any($1) and finished_at is null',
    [ids],
  );
}

/** Closes a run as failed or interrupted and backs its feed off, in a transaction of its own. */
export async function failRun(pool: pg.Pool, failure: RunFailure): Promise<void> {
  const { runId, feed, error, facts, nextDueAt } = failure;
  const interrupted = error instanceof InterruptedError;
  const client = await pool.connect();
  try {
    await client.query('begin');
    await client.query(
      `update vcc.run set status = $2, finished_at = now(), seq = $3, http_status = $4, bytes = $5,
          sha256 = $6, clock_skew = $7, lines = $8, rejected = $9, error_code = $10, error_message = $11
        where id = $1 and status = 'running'`,
      [
        runId,
        interrupted ? 'interrupted' : 'failed',
        facts.seq,
        facts.httpStatus,
        facts.bytes,
        facts.sha256,
        facts.clockSkew,
        failure.lines,
        failure.rejected,
        error.code,
        error.message,
      ],
    );
    if (nextDueAt !== null) {
      await lockFeed(client, feed.id);
      await client.query(
        `update vcc.feed set next_due_at = ${nextDue('$2', '$5')},
            consecutive_failures = consecutive_failures + 1, last_error_code = $3, last_error = $4
          where id = $1`,
        [feed.id, toTimestamp(nextDueAt), error.code, error.message, failure.knownRequests],
      );
    }
    await storeRejects(client, feed.id, runId, failure.rejects);
    await client.query('commit');
    client.release();
  } catch (cause) {
    client.release(true);
    throw cause;
  }
}

/** Shows life for the runs of this process, from another connection than theirs. */
export async function beat(pool: pg.Pool, runIds: readonly number[]): Promise<void> {
  if (runIds.length === 0) return;
  // A run that is just committing holds its row: skip it rather than wait.
  await pool.query(
    `update vcc.run set heartbeat_at = clock_timestamp() where id in (
        select id from vcc.run where id = any($1) and status = 'running' for update skip locked)`,
    [runIds],
  );
}

/**
 * Ends the backends that hold a feed without a sign of life, and closes the runs whose backend is gone.
 *
 * A stopped process keeps its connection and so its feed's lock; its heartbeat tells (design invariant 5).
 *
 * @returns how many backends were ended
 */
export async function reapRuns(pool: pg.Pool): Promise<number> {
  const { rowCount } = await pool.query(
    `with holder as (
        select l.pid, l.objid::int as feed_id, a.backend_start, a.xact_start
        from pg_locks l join pg_stat_activity a using (pid)
        where l.locktype = 'advisory' and l.granted and l.classid::int = $1 and l.objsubid = 2
          and l.database = (select oid from pg_database where datname = current_database())
      )
      select pg_terminate_backend(h.pid) from holder h
      left join vcc.run r on r.feed_id = h.feed_id and r.status = 'running'
        and r.backend_pid = h.pid and r.backend_start = h.backend_start
      where coalesce(r.heartbeat_at, h.xact_start) < now() - interval '${HEARTBEAT_LIMIT}'`,
    [FEED_LOCK],
  );
  const { code, message } = new InterruptedError('the process or its connection ended');
  await pool.query(
    `update vcc.run set status = 'interrupted', finished_at = now(), error_code = $1, error_message = $2
      where status = 'running' and not exists (select from pg_stat_activity a
        where a.pid = run.backend_pid and a.backend_start = run.backend_start)`,
    [code, message],
  );
  return rowCount ?? 0;
}
