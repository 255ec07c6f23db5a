import { type Expression, type RawBuilder, sql } from 'kysely';
import type { Keeping, RunKind } from '../sync/ports.ts';
import { guarded } from './database-error.ts';
import type { Database } from './pool.ts';

/** How long a batch may take before Postgres ends it, in milliseconds. */
const BATCH_LIMIT = 5_000;

/**
 * Whether a run changed nothing, as the index `run_thinning_idx` has it. Ask with `is true` or
 * `is false`: the planner takes a bare `and` apart and no longer sees the index in it.
 */
const CHANGED_NOTHING = sql<boolean>`(r.status = 'done' and r.inserted + r.updated + r.stale + r.rejected = 0)`;

/**
 * Removes a batch of ended runs that are older than `age` milliseconds, oldest first.
 *
 * A feed's newest run stays, since `status` shows it and an outage is told by it. So do the runs of
 * an open request: what it still lacks is computed from them. Nothing else needs old runs. That a
 * window had to be halved is forgotten with the failed runs, not before: the worst of it is one more
 * download that is halved again.
 */
export function thinRuns(db: Database, kind: RunKind, age: number, limit: number) {
  const over = db
    .selectFrom('vcc.run as r')
    .select('r.id')
    .where(sql<boolean>`${CHANGED_NOTHING} is ${kind === 'unchanged' ? sql`true` : sql`false`}`)
    // Null while it is under way, and so never over.
    .where('r.finished_at', '<', before(age))
    .where(({ exists, selectFrom }) =>
      exists(
        selectFrom('vcc.run as later')
          .whereRef('later.feed_id', '=', 'r.feed_id')
          .whereRef('later.id', '>', 'r.id'),
      ),
    )
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('vcc.request as q')
            .whereRef('q.id', '=', 'r.request_id')
            .where('q.finished_at', 'is', null),
        ),
      ),
    )
    .orderBy('r.finished_at')
    .limit(limit)
    .forUpdate('r')
    .skipLocked();
  return db.deleteFrom('vcc.run').where('id', '=', oneOf(over));
}

/**
 * Removes a batch of comparisons that began more than `age` milliseconds ago, oldest first, with their
 * findings; one that nobody has gone on with is given up.
 */
export function thinComparisons(db: Database, age: number, limit: number) {
  const over = db
    .selectFrom('vcc.comparison as c')
    .select('c.id')
    .where('c.started_at', '<', before(age))
    .orderBy('c.started_at')
    .limit(limit)
    .forUpdate()
    .skipLocked();
  return db
    .with('gone', (cte) =>
      cte.deleteFrom('vcc.comparison').where('id', '=', oneOf(over)).returning('request_id'),
    )
    .with('given_up', (cte) =>
      cte
        .updateTable('vcc.request')
        .set({ finished_at: sql<Date>`now()` })
        .where('finished_at', 'is', null)
        .where('id', 'in', (eb) => eb.selectFrom('gone').select('request_id')),
    )
    .selectFrom('gone')
    .select((eb) => eb.fn.countAll<number>().as('count'));
}

/**
 * Removes the text of a batch of refused lines that were last seen more than `age` milliseconds ago,
 * oldest first; the rest of the ledger stays.
 *
 * With the line goes the header, which is for reading it, and a key that is not plainly a code:
 * where fields have slipped, a name may stand in its place (see `maskKey`). Rows that a run holds
 * just now are skipped: to wait for them could end in a deadlock, and they are being seen again.
 */
export function purgeLines(db: Database, age: number, limit: number) {
  const over = db
    .selectFrom('vcc.reject as j')
    .select('j.id')
    .where('j.line', 'is not', null)
    .where('j.last_seen', '<', before(age))
    .orderBy('j.last_seen')
    .limit(limit)
    .forUpdate()
    .skipLocked();
  return db
    .updateTable('vcc.reject')
    .set({
      line: null,
      header: null,
      row_key: sql<string | null>`case when row_key ~ '^[A-Za-z0-9_./-]*$'
        and regexp_replace(row_key, '[_./-]', '', 'g') !~ '^[A-Za-z]{4,}$' then row_key end`,
    })
    .where('id', '=', oneOf(over));
}

/**
 * Removes a batch of deep re-reads that ended more than `age` milliseconds ago and whose runs have gone,
 * oldest first: the service's own daily requests. What a person asked for stays for ever.
 */
export function thinDeepRequests(db: Database, age: number, limit: number) {
  const over = db
    .selectFrom('vcc.request as q')
    .select('q.id')
    .where('q.kind', '=', 'deep')
    .where('q.finished_at', '<', before(age))
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom('vcc.run as r').whereRef('r.request_id', '=', 'q.id'))),
    )
    .orderBy('q.finished_at')
    .limit(limit)
    .forUpdate('q')
    .skipLocked();
  return db.deleteFrom('vcc.request').where('id', '=', oneOf(over));
}

/** Forgets a batch of notices that came more than `age` milliseconds ago, oldest first. */
export function forgetNotices(db: Database, age: number, limit: number) {
  const over = db
    .selectFrom('vcc.push_notice as p')
    .select('p.seq')
    .where('p.received_at', '<', before(age))
    .orderBy('p.received_at')
    .limit(limit)
    .forUpdate()
    .skipLocked();
  return db.deleteFrom('vcc.push_notice').where('seq', '=', sql<string>`any(array(${over}))`);
}

/** Ids as an array, so that the batch is chosen once: a join could ask again and again, past its limit. */
function oneOf(ids: Expression<{ id: number }>): RawBuilder<number> {
  return sql<number>`any(array(${ids}))`;
}

/** The time that lies so many milliseconds back, by Postgres's clock. */
function before(age: number): RawBuilder<Date> {
  return sql<Date>`now() - make_interval(secs => ${age / 1000})`;
}

/**
 * The ledgers' keeping in Postgres, a short transaction a batch.
 *
 * @param limit milliseconds after which Postgres ends a batch, since whoever closes the planner waits for it
 */
export function openKeeping(db: Database, limit = BATCH_LIMIT): Keeping {
  const count = (batch: (trx: Database) => Promise<number | bigint>): Promise<number> =>
    guarded(
      db.transaction().execute(async (trx) => {
        await sql`select set_config('statement_timeout', ${`${limit}ms`}, true)`.execute(trx);
        return Number(await batch(trx));
      }),
    );
  const deleted = (query: (trx: Database) => DeleteQuery) =>
    count(async (trx) => (await query(trx).executeTakeFirst()).numDeletedRows);
  return {
    thinRuns: (kind, age, rows) => deleted((trx) => thinRuns(trx, kind, age, rows)),
    thinDeepRequests: (age, rows) => deleted((trx) => thinDeepRequests(trx, age, rows)),
    forgetNotices: (age, rows) => deleted((trx) => forgetNotices(trx, age, rows)),
    thinComparisons: (age, rows) =>
      count(async (trx) => (await thinComparisons(trx, age, rows).executeTakeFirstOrThrow()).count),
    purgeLines: (age, rows) =>
      count(async (trx) => (await purgeLines(trx, age, rows).executeTakeFirst()).numUpdatedRows),
  };
}

/** A batch that takes rows out. */
interface DeleteQuery {
  executeTakeFirst(): Promise<{ readonly numDeletedRows: bigint }>;
}
