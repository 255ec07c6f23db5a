import { hostname } from 'node:os';
import { type ExpressionBuilder, type ExpressionWrapper, type RawBuilder, sql } from 'kysely';
import { InterruptedError, RetryableError } from '../core/errors.ts';
import type { Interval } from '../core/interval.ts';
import type {
  DownloadFacts,
  Feed,
  FeedClaim,
  NextTurn,
  RunCommit,
  RunFailure,
  RunStart,
  WindowCommit,
} from '../sync/ports.ts';
import type { Backend } from './backend.ts';
import type { DB } from './database.ts';
import { LOADED_KINDS } from './feeds.ts';
import { interruptRuns } from './heartbeat.ts';
import { finishOwnRequest, recordOwnRequest } from './imports.ts';
import type { Database } from './pool.ts';
import { storeRejects } from './rejects.ts';
import { instant, NOW, THIS_MOMENT, toRange, toTimestamp } from './time.ts';

/** Who writes a run: host and process. */
const WORKER = `${hostname()}:${process.pid}`;

/**
 * Records a run as `running`, from another connection than its own so that all see it at once.
 * Whoever holds the feed's lock knows that an earlier run still marked `running` is dead: it is closed.
 *
 * @param backend that of the connection that holds the feed's lock
 */
export async function startRun(
  db: Database,
  feed: Feed,
  run: RunStart,
  backend: Backend,
): Promise<number> {
  const clear = () => interruptRuns(db, (eb) => eb('feed_id', '=', feed.id));
  const { own } = run;
  if (own) {
    await clear();
    return db.transaction().execute(async (trx) => {
      const requestId = await recordOwnRequest(trx, feed.id, own);
      const inserted = insertRun(trx, feed, { ...run, requestId }, backend);
      return (await inserted.executeTakeFirstOrThrow()).id;
    });
  }
  const started = insertRun(db, feed, run, backend);
  const first = await started.executeTakeFirst();
  if (first !== undefined) return first.id;
  await clear();
  return (await started.executeTakeFirstOrThrow()).id;
}

/** Inserts a run, unless one of the feed is still marked `running`. */
function insertRun(db: Database, feed: Feed, run: RunStart, backend: Backend) {
  return (
    db
      .insertInto('vcc.run')
      .values({
        feed_id: feed.id,
        org_code: feed.orgCode,
        dataset: feed.dataset,
        trigger: run.trigger,
        request_id: run.requestId,
        window_from: toTimestamp(run.window.from),
        window_to: toTimestamp(run.window.to),
        requested_from: run.requested && toTimestamp(run.requested.from),
        requested_to: run.requested && toTimestamp(run.requested.to),
        backend_pid: backend.pid,
        backend_start: sql<Date>`${backend.start}::timestamptz`,
        worker: WORKER,
      })
      .onConflict((running) =>
        running.column('feed_id').where('status', '=', sql.lit('running')).doNothing(),
      )
      // Not worth waiting for the disk: a crash that loses this sign of life ends the run as well.
      .returning(['id', sql`set_config('synchronous_commit', 'off', true)`.as('waits')])
  );
}

function downloadColumns({ seq, httpStatus, bytes, sha256, clockSkew }: DownloadFacts) {
  return { seq, http_status: httpStatus, bytes, sha256, clock_skew: clockSkew };
}

/** A feed under its lock, with the requests that its next turn was decided by. */
type Held = Pick<FeedClaim, 'feed' | 'requests'>;

const idOf = ({ id }: { readonly id: number }): number => id;

/** Closes a run as done, within the transaction that holds its rows. */
export async function closeRun(
  db: Database,
  runId: number,
  feedId: number,
  { window, receipt, facts }: RunCommit,
): Promise<void> {
  const { numUpdatedRows } = await db
    .updateTable('vcc.run')
    // Locks the feed's row for the statement that follows (see `nextDue`) without a round trip of its own.
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
    .where('vcc.run.feed_id', '=', feedId)
    .where('vcc.run.status', '=', 'running')
    .executeTakeFirstOrThrow();
  if (numUpdatedRows === 1n) return;
  throw new RetryableError('DATABASE_BUSY', 'the run was closed by another process meanwhile');
}

/** Advances the feed of a run behind the statement that closes it, in the same transaction. */
export async function advanceFeed(
  db: Database,
  { feed: { id: feedId }, requests }: Held,
  { window, since, missed, ...next }: WindowCommit,
): Promise<void> {
  await db
    .updateTable('vcc.feed')
    .set((eb) => ({
      coverage: sql<string>`${eb.ref('coverage')} + tstzmultirange(${toRange(window)}::tstzrange)`,
      since: eb.fn.coalesce('since', instant(since)),
      next_due_at: nextTurn(eb, next, requests.map(idOf), window),
      next_deep_at: nextDeep(eb, next),
      missed: eb('missed', '+', missed),
      consecutive_failures: 0,
      last_error_code: null,
      last_error: null,
    }))
    .where('id', '=', feedId)
    .execute();
  await finishRequests(db, next.finishedRequests);
  await requestDeep(db, feedId, next);
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
    .set((eb) => ({
      next_due_at: nextTurn(eb, next, requests.map(idOf)),
      next_deep_at: nextDeep(eb, next),
    }))
    .where('id', '=', feedId)
    .execute();
  await requestDeep(db, feedId, next);
}

function nextDeep(eb: ExpressionBuilder<DB, 'vcc.feed'>, { deep }: NextTurn) {
  return deep === null ? eb.ref('next_deep_at') : instant(deep.nextDeepAt);
}

/** Records that the recent past is to be read again, where that is planned for now. */
async function requestDeep(db: Database, feedId: number, { deep }: NextTurn): Promise<void> {
  if (!deep?.during) return;
  await db
    .insertInto('vcc.request')
    .values({
      feed_id: feedId,
      kind: 'deep',
      during: toRange(deep.during),
      requested_by: 'service',
      reason: 'planned re-read, to find what had been missed',
    })
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
    .where('q.kind', 'in', LOADED_KINDS)
    .where('q.id', '<>', sql<number>`all(${[...knownRequests]}::bigint[])`);
  return eb
    .case()
    .when(eb.exists(unknown))
    .then(eb.fn<Date>('least', ['next_due_at', decided]))
    .else(decided)
    .end();
}

/** When a feed is due after a good turn: sooner than decided where a notice tells of what is not covered yet. */
function nextTurn(
  eb: ExpressionBuilder<DB, 'vcc.feed'>,
  next: NextTurn,
  knownRequests: readonly number[],
  window?: Interval,
): RawBuilder<Date> {
  const covered = sql`greatest(upper(${eb.ref('coverage')}), ${window ? toTimestamp(window.to) : null})`;
  // As a row that has no notice, or no coverage: the condition is then unknown, which is not met.
  return sql<Date>`case when ${eb.ref('notified_at')} > ${covered}
    then least(${nextDue(eb, next.nextDueAt, knownRequests)}, ${instant(next.noticeDueAt)})
    else ${nextDue(eb, next.nextDueAt, knownRequests)} end`;
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
      .where('feed_id', '=', feed.id)
      .where('worker', '=', WORKER)
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
    await finishOwnRequest(trx, runId);
    await storeRejects(trx, feed.id, runId, failure);
  });
}
