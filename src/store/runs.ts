import { hostname } from 'node:os';
import { type ExpressionBuilder, type ExpressionWrapper, sql } from 'kysely';
import { InterruptedError } from '../core/errors.ts';
import type {
  DownloadFacts,
  Feed,
  FeedClaim,
  NextTurn,
  RunFailure,
  RunStart,
  WindowCommit,
} from '../sync/ports.ts';
import type { DB } from './database.ts';
import type { Database } from './pool.ts';
import { storeRejects } from './rejects.ts';
import { instant, NOW, toRange, toTimestamp } from './time.ts';

/** First half of the advisory lock of a feed; the second is the feed's id. */
export const FEED_LOCK = 0x7663;

/** How often a run shows life, in milliseconds. */
export const HEARTBEAT_EVERY = 15_000;

/** How long a run may show no life before its backend is ended. */
const HEARTBEAT_LIMIT = '1 minute';

/** Who writes a run: host and process. */
const WORKER = `${hostname()}:${process.pid}`;

/** Postgres's clock: this moment, also in the midst of a transaction. */
const THIS_MOMENT = sql<Date>`clock_timestamp()`;

/**
 * Records a run as `running`, from another connection than its own so that all see it at once.
 *
 * Whoever holds the feed's lock knows that an earlier run still marked `running` is dead: it is closed.
 *
 * @param backendPid backend of the connection that holds the feed's lock
 */
export async function startRun(
  db: Database,
  feed: Feed,
  run: RunStart,
  backendPid: number,
): Promise<number> {
  await interruptRuns(db).where('feed_id', '=', feed.id).execute();
  const { id } = await db
    .insertInto('vcc.run')
    .values({
      feed_id: feed.id,
      org_code: feed.orgCode,
      dataset: feed.dataset,
      trigger: run.trigger,
      request_id: run.requestId,
      window_from: toTimestamp(run.window.from),
      window_to: toTimestamp(run.window.to),
      requested_from: toTimestamp(run.requested.from),
      requested_to: toTimestamp(run.requested.to),
      backend_pid: backendPid,
      backend_start: sql<Date>`(select backend_start from pg_stat_activity where pid = ${backendPid})`,
      worker: WORKER,
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  return id;
}

/** Closes `running` runs that nobody carries any more; the caller's condition says which. */
function interruptRuns(db: Database) {
  const { code, message } = new InterruptedError('the process or its connection ended');
  return db
    .updateTable('vcc.run')
    .set({ status: 'interrupted', finished_at: NOW, error_code: code, error_message: message })
    .where('status', '=', 'running');
}

function downloadColumns({ seq, httpStatus, bytes, sha256, clockSkew }: DownloadFacts) {
  return { seq, http_status: httpStatus, bytes, sha256, clock_skew: clockSkew };
}

/** A feed under its lock, with the requests that its next turn was decided by. */
type Held = Pick<FeedClaim, 'feed' | 'requests'>;

const idOf = ({ id }: { readonly id: number }): number => id;

/** Closes a run as done and advances its feed, within the transaction that holds its rows. */
export async function finishRun(
  db: Database,
  runId: number,
  { feed: { id: feedId }, requests }: Held,
  { window, since, receipt, facts, ...next }: WindowCommit,
): Promise<void> {
  await db
    .updateTable('vcc.run')
    // Locks the feed's row for the statement below (see `nextDue`) without a round trip of its own.
    .from(selectLocked(db, feedId).as('held'))
    .set({
      status: 'done',
      finished_at: THIS_MOMENT,
      heartbeat_at: THIS_MOMENT,
      window_to: toTimestamp(window.to),
      ...downloadColumns(facts),
      ...receipt,
    })
    .where('vcc.run.id', '=', runId)
    .execute();
  await db
    .updateTable('vcc.feed')
    .set((eb) => ({
      coverage: sql<string>`${eb.ref('coverage')} + tstzmultirange(${toRange(window)}::tstzrange)`,
      since: eb.fn.coalesce('since', instant(since)),
      next_due_at: nextDue(eb, next.nextDueAt, requests.map(idOf)),
      consecutive_failures: 0,
      last_error_code: null,
      last_error: null,
    }))
    .where('id', '=', feedId)
    .execute();
  await finishRequests(db, next.finishedRequests);
}

/** Closes a turn with nothing to load. */
export async function settleFeed(
  db: Database,
  { feed: { id: feedId }, requests }: Held,
  next: NextTurn,
): Promise<void> {
  await finishRequests(db, next.finishedRequests);
  await selectLocked(db, feedId).execute();
  await db
    .updateTable('vcc.feed')
    .set((eb) => ({ next_due_at: nextDue(eb, next.nextDueAt, requests.map(idOf)) }))
    .where('id', '=', feedId)
    .execute();
}

/**
 * When a feed is due next: as decided, unless a request came meanwhile and made it due.
 *
 * The feed's row must be locked by an earlier statement, or a request that is just being recorded
 * would go unseen.
 */
function nextDue(
  eb: ExpressionBuilder<DB, 'vcc.feed'>,
  nextDueAt: number,
  knownRequests: readonly number[],
): ExpressionWrapper<DB, 'vcc.feed', Date> {
  const decided = instant(nextDueAt);
  const unknown = eb
    .selectFrom('vcc.request as q')
    .whereRef('q.feed_id', '=', 'vcc.feed.id')
    .where('q.finished_at', 'is', null)
    .where('q.id', '<>', sql<number>`all(${[...knownRequests]}::bigint[])`);
  return eb
    .case()
    .when(eb.exists(unknown))
    .then(eb.fn<Date>('least', ['next_due_at', decided]))
    .else(decided)
    .end();
}

/** Locks a feed's row; it has no columns. */
function selectLocked(db: Database, feedId: number) {
  return db.selectFrom('vcc.feed').where('id', '=', feedId).forUpdate();
}

/** Marks requests as finished. */
async function finishRequests(db: Database, ids: readonly number[]): Promise<void> {
  if (ids.length === 0) return;
  await db
    .updateTable('vcc.request')
    .set({ finished_at: NOW })
    .where('id', 'in', ids)
    .where('finished_at', 'is', null)
    .execute();
}

/** Closes a run as failed or interrupted and backs its feed off, in a transaction of its own. */
export async function failRun(db: Database, failure: RunFailure): Promise<void> {
  const { runId, feed, error, nextDueAt } = failure;
  await db.transaction().execute(async (trx) => {
    const { numUpdatedRows } = await trx
      .updateTable('vcc.run')
      .set({
        status: error instanceof InterruptedError ? 'interrupted' : 'failed',
        finished_at: NOW,
        ...downloadColumns(failure.facts),
        lines: failure.lines,
        rejected: failure.rejected,
        error_code: error.code,
        error_message: error.message,
      })
      .where('id', '=', runId)
      .where('status', '=', 'running')
      .executeTakeFirstOrThrow();
    // Someone has closed the run meanwhile and may have taken the feed over: it is no longer ours.
    if (numUpdatedRows === 0n) return;
    if (nextDueAt !== null) {
      await selectLocked(trx, feed.id).execute();
      await trx
        .updateTable('vcc.feed')
        .set((eb) => ({
          next_due_at: nextDue(eb, nextDueAt, failure.knownRequests),
          consecutive_failures: eb('consecutive_failures', '+', failure.counts ? 1 : 0),
          last_error_code: error.code,
          last_error: error.message,
        }))
        .where('id', '=', feed.id)
        .execute();
    }
    await storeRejects(trx, feed.id, runId, failure.rejects);
  });
}

/** Shows life for the runs of this process, from another connection than theirs. */
export async function beat(db: Database, runIds: readonly number[]): Promise<void> {
  if (runIds.length === 0) return;
  // A run that is just committing holds its row: skip it rather than wait.
  const free = db
    .selectFrom('vcc.run as r')
    .select('r.id')
    .where('r.id', 'in', runIds)
    .where('r.status', '=', 'running')
    .forUpdate()
    .skipLocked();
  await db
    .updateTable('vcc.run')
    .set({ heartbeat_at: THIS_MOMENT })
    .where('id', 'in', free)
    .execute();
}

/**
 * Ends the backends that hold a feed without a sign of life, and closes the runs whose backend is gone.
 *
 * A stopped process keeps its connection and so its feed's lock; its heartbeat tells (design invariant 5).
 *
 * @returns how many backends were ended
 */
export async function reapRuns(db: Database): Promise<number> {
  const holders = sql<{ pid: number; feed_id: number; backend_start: Date; xact_start: Date }>`(
    select l.pid, l.objid::int as feed_id, a.backend_start, a.xact_start
    from pg_locks l join pg_stat_activity a using (pid)
    where l.locktype = 'advisory' and l.granted and l.classid::int = ${FEED_LOCK} and l.objsubid = 2
      and l.database = (select oid from pg_database where datname = current_database()))`;
  const ended = await db
    .selectFrom(holders.as('h'))
    .leftJoin('vcc.run as r', (join) =>
      join
        .onRef('r.feed_id', '=', 'h.feed_id')
        .on('r.status', '=', 'running')
        .onRef('r.backend_pid', '=', 'h.pid')
        .onRef('r.backend_start', '=', 'h.backend_start'),
    )
    .select((eb) => eb.fn<boolean>('pg_terminate_backend', ['h.pid']).as('ended'))
    .where(
      (eb) => eb.fn.coalesce('r.heartbeat_at', 'h.xact_start'),
      '<',
      sql<Date>`now() - ${HEARTBEAT_LIMIT}::interval`,
    )
    .execute();
  await interruptRuns(db)
    .where(
      ({ ref }) => sql<boolean>`not exists (select from pg_stat_activity a
        where a.pid = ${ref('vcc.run.backend_pid')}
          and a.backend_start is not distinct from ${ref('vcc.run.backend_start')})`,
    )
    .execute();
  return ended.length;
}
