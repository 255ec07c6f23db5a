import { sql } from 'kysely';
import { RetryableError, toSyncError } from '../core/errors.ts';
import { guarded } from './database-error.ts';
import type { Database } from './pool.ts';

/** First half of the advisory lock of a feed's comparison by samples; the second is the feed's id. */
const SAMPLE_LOCK = 0x7667;

/**
 * Runs work as the only comparison by samples of a feed, in all processes.
 *
 * It may take hours, so a connection holds the lock and no transaction. If the connection is lost, so is the
 * lock: see `lockOpen`.
 *
 * @throws RetryableError DATABASE_BUSY if another is under way
 */
export function aloneOnFeed<T>(db: Database, feedId: number, work: () => Promise<T>): Promise<T> {
  const lock = sql`(${SAMPLE_LOCK}::integer, ${feedId}::integer)`;
  return guarded(
    db.connection().execute(async (holder) => {
      const { rows } = await sql<{
        held: boolean;
      }>`select pg_try_advisory_lock${lock} as held`.execute(holder);
      if (!rows[0]!.held) {
        const message = 'another comparison of these subscribers is under way';
        throw new RetryableError('DATABASE_BUSY', message);
      }
      try {
        return await work();
      } catch (cause) {
        throw toSyncError(cause);
      } finally {
        // A connection that is lost has given it back.
        await sql`select pg_advisory_unlock${lock}`.execute(holder).catch(() => {});
      }
    }),
  );
}

/**
 * Keeps an unfinished comparison as it is until the transaction's end.
 *
 * @throws RetryableError DATABASE_BUSY if another process has ended it
 */
export async function lockOpen(trx: Database, id: number): Promise<void> {
  const open = await trx
    .selectFrom('vcc.comparison')
    .select('id')
    .where('id', '=', id)
    .where('finished_at', 'is', null)
    .forUpdate()
    .executeTakeFirst();
  if (!open) {
    throw new RetryableError('DATABASE_BUSY', 'another process has ended this comparison');
  }
}
