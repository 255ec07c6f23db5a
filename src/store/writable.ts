import { sql } from 'kysely';
import { type ErrorCode, MEANINGS, RetryableError } from '../core/errors.ts';
import type { Database } from './pool.ts';

/**
 * Checks that the database takes writes, without making one.
 *
 * @throws RetryableError `DATABASE_READ_ONLY` if it is a standby or set to read-only
 */
export async function assertWritable(db: Database): Promise<void> {
  const { rows } = await sql<{ readOnly: boolean; standby: boolean }>`
    select current_setting('transaction_read_only')::boolean as "readOnly",
      pg_is_in_recovery() as standby`.execute(db);
  const { readOnly, standby } = rows[0]!;
  if (!readOnly) return;
  throw new RetryableError(
    'DATABASE_READ_ONLY',
    standby ? 'Postgres: the server is a standby' : 'Postgres: default_transaction_read_only is on',
  );
}

const STEADY_CODES = (Object.keys(MEANINGS) as ErrorCode[]).filter(
  (code) => MEANINGS[code].pace === 'steady',
);

/** How many of the newest runs are asked, and for how long a failure counts: runs try again sooner. */
const RECENT = { runs: 50, for: '2 minutes' } as const;

/**
 * Why a run of the last two minutes could not be written, where that was the database's failure and
 * none has been written since: a full disk can not be probed, but the runs find it out. Null if there
 * is none.
 */
export async function lastWriteFailure(db: Database): Promise<ErrorCode | null> {
  const recent = db
    .selectFrom('vcc.run')
    .select(['id', 'status', 'error_code'])
    .where('finished_at', '>', sql<Date>`now() - ${RECENT.for}::interval`)
    .where('id', '>', sql<number>`(select coalesce(max(id), 0) - ${RECENT.runs} from vcc.run)`);
  const failed = await db
    .with('recent', () => recent)
    .selectFrom('recent as r')
    .select('r.error_code as code')
    .where('r.error_code', 'in', STEADY_CODES)
    .where(({ not, exists, selectFrom }) => {
      const later = selectFrom('recent as later').whereRef('later.id', '>', 'r.id');
      return not(exists(later.where('later.status', '=', 'done')));
    })
    .orderBy('r.id', 'desc')
    .limit(1)
    .$narrowType<{ code: ErrorCode }>()
    .executeTakeFirst();
  return failed?.code ?? null;
}
