import { type RawBuilder, sql } from 'kysely';
import type { Database } from './pool.ts';

/** How much longer than the holder may take a waiter waits for it, in milliseconds. */
const MARGIN = 5_000;

/**
 * Runs work under an advisory lock, in a transaction that holds it, in all processes one at a time.
 *
 * A holder that does nothing for longer than `limit` (a stopped process, a lost host) is ended by
 * Postgres itself, so that it can not hold up all others.
 *
 * @param lock SQL that takes the lock until the transaction's end
 * @param limit milliseconds that the work may be away from the database
 */
export function exclusively<T>(
  db: Database,
  lock: RawBuilder<unknown>,
  limit: number,
  work: (locked: Database) => Promise<T>,
): Promise<T> {
  return db.transaction().execute(async (locked) => {
    await sql`select set_config('lock_timeout', ${`${limit + MARGIN}ms`}, true),
      set_config('idle_in_transaction_session_timeout', ${`${limit}ms`}, true)`.execute(locked);
    await sql`select ${lock}`.execute(locked);
    return work(locked);
  });
}
