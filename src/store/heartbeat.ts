import { type Expression, type ExpressionBuilder, type SqlBool, sql } from 'kysely';
import { InterruptedError } from '../core/errors.ts';
import type { TableProgress } from '../sync/ports.ts';
import type { DB } from './database.ts';
import { OWN_KINDS } from './imports.ts';
import type { Database } from './pool.ts';
import { NOW, THIS_MOMENT } from './time.ts';

/** First half of the advisory lock of a feed; the second is the feed's id. */
export const FEED_LOCK = 0x7663;

/** First half of the advisory lock of a feed's preview. */
export const PREVIEW_LOCK = 0x7666;

/** How often a run shows life, in milliseconds. */
export const HEARTBEAT_EVERY = 15_000;

/** How long a run may show no life before its backend is ended. */
const HEARTBEAT_LIMIT = '1 minute';

/** The same in milliseconds: after it a process gives up what it could show no life for. */
export const SILENCE_LIMIT = 60_000;

/** How long a preview of one window may take: it holds nothing up, but a stopped process must not keep it. */
const PREVIEW_LIMIT = '1 hour';

/**
 * Closes `running` runs that nobody carries any more, with the requests that end with them; the
 * condition says which.
 */
export async function interruptRuns(
  db: Database,
  which: (eb: ExpressionBuilder<DB, 'vcc.run'>) => Expression<SqlBool>,
): Promise<void> {
  const { code, message } = new InterruptedError('the process or its connection ended');
  await db
    .with('ended', (cte) =>
      cte
        .updateTable('vcc.run')
        .set({ status: 'interrupted', finished_at: NOW, error_code: code, error_message: message })
        .where('status', '=', 'running')
        .where(which)
        .returning('request_id'),
    )
    .updateTable('vcc.request')
    .set({ finished_at: NOW })
    .where('kind', 'in', OWN_KINDS)
    .where('finished_at', 'is', null)
    .where('id', 'in', (eb) => eb.selectFrom('ended').select('request_id'))
    .execute();
}

/** Runs of this process that are under way, by id, with how far each table has come. */
export type RunsInHand = Map<number, TableProgress>;

/**
 * Shows life for the runs of this process, and how far they are, from another connection than theirs;
 * without any it asks Postgres all the same, to learn whether it can be reached.
 */
export async function beat(
  db: Database,
  running: Readonly<Pick<RunsInHand, 'size' | 'keys' | 'values'>>,
): Promise<void> {
  const ids = [...running.keys()];
  // A run that is just committing holds its row: skip it rather than wait.
  const free = db
    .selectFrom('vcc.run as r')
    .select('r.id')
    .where('r.id', '=', sql<number>`any(${ids}::bigint[])`)
    .where('r.status', '=', 'running')
    .forUpdate()
    .skipLocked();
  const far = [...running.values()];
  await sql`update vcc.run as r set heartbeat_at = ${THIS_MOMENT}, lines = far.lines, bytes = far.bytes,
      bytes_expected = far.length
    from unnest(${ids}::bigint[], ${far.map((one) => one.lines)}::bigint[],
      ${far.map((one) => one.bytes)}::bigint[], ${far.map((one) => one.length)}::bigint[])
      as far (id, lines, bytes, length)
    where r.id = far.id and r.id in (${free})`.execute(db);
}

/** Whether a run's backend lives: its process id alone may have been given to another. */
const BACKEND_LIVES = sql<boolean>`exists (select from pg_stat_activity a
  where a.pid = vcc.run.backend_pid and a.backend_start is not distinct from vcc.run.backend_start)`;

/** Whether a run's backend holds the lock of its feed, as it does from the run's start to its end. */
const BACKEND_HOLDS = sql<boolean>`exists (select from pg_locks l
  where l.locktype = 'advisory' and l.granted and l.classid::int = ${FEED_LOCK} and l.objsubid = 2
    and l.objid::int = vcc.run.feed_id and l.pid = vcc.run.backend_pid)`;

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
  await endPreviews(db);
  // A failure that could not be recorded leaves a backend that lives on without the lock.
  await interruptRuns(db, (eb) =>
    eb.or([
      eb.not(BACKEND_LIVES),
      eb.and([
        eb('heartbeat_at', '<', sql<Date>`now() - ${HEARTBEAT_LIMIT}::interval`),
        eb.not(BACKEND_HOLDS),
      ]),
    ]),
  );
  return ended.length;
}

/** Ends the backends of previews that have taken too long. */
async function endPreviews(db: Database): Promise<void> {
  await sql`select pg_terminate_backend(l.pid)
    from pg_locks l join pg_stat_activity a using (pid)
    where l.locktype = 'advisory' and l.granted and l.classid::int = ${PREVIEW_LOCK} and l.objsubid = 2
      and l.database = (select oid from pg_database where datname = current_database())
      and a.xact_start < now() - ${PREVIEW_LIMIT}::interval`.execute(db);
}
