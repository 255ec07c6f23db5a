import { MEANINGS, SyncError } from '../core/errors.ts';
import type { QueueBackend } from '../queue/backend.ts';
import { databaseError } from '../store/database-error.ts';
import { assertSchema } from '../store/migrate.ts';
import type { Database } from '../store/pool.ts';
import { assertWritable, lastWriteFailure } from '../store/writable.ts';
import type { SyncWorld } from '../sync/sync-window.ts';

/** What is missing, in words of our own. */
class NotReady extends Error {}

/** What is asked whether the service is ready. */
export interface ReadinessOptions {
  readonly world: Pick<SyncWorld, 'databaseGate'>;
  readonly db: Database;
  /** The queue, or null while it is still waited for. */
  readonly backend: () => QueueBackend | null;
}

/** A part that is missing, and why, in words that quote nothing. */
export interface MissingPart {
  readonly part: string;
  readonly reason: string;
}

/** How long a readiness check may take, in milliseconds. */
const CHECK_LIMIT = 5_000;

/** Which parts can not be used now; a part that does not answer in time is one of them. */
export async function findMissing(options: ReadinessOptions): Promise<MissingPart[]> {
  const { backend } = options;
  const checks: readonly Check[] = [
    ['database and schema', () => checkDatabase(options)],
    ['queue', () => backend()?.ping() ?? Promise.reject(new NotReady('it is still waited for'))],
  ];
  const results = await Promise.all(
    checks.map(async ([part, check]) => {
      let timer: NodeJS.Timeout | undefined;
      const limit = new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => reject(new NotReady('no answer in time')), CHECK_LIMIT);
      });
      try {
        await Promise.race([check(), limit]);
        return [];
      } catch (error) {
        return [{ part, reason: reasonOf(error) }];
      } finally {
        clearTimeout(timer);
      }
    }),
  );
  return results.flat();
}

/** Why a check failed, in our own words or by a code: what a library says may name hosts and users. */
function reasonOf(error: unknown): string {
  if (error instanceof NotReady || error instanceof SyncError) return error.message;
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === 'string' ? `it does not answer (${code})` : 'it does not answer';
}

type Check = readonly [name: string, check: () => Promise<unknown>];

/** Whether the database answers, has our schema, takes writes, and whether runs could do their work. */
async function checkDatabase({ world, db }: ReadinessOptions): Promise<void> {
  await assertSchema(db).catch(plainly);
  await assertWritable(db).catch(plainly);
  // What can not be probed without a trace, such as a full disk, the runs find out.
  const trouble = world.databaseGate.trouble();
  if (trouble) plainly(trouble);
  const code = await lastWriteFailure(db).catch(plainly);
  if (code !== null) throw new NotReady(`${MEANINGS[code].meaning} (${code} in the ledger)`);
}

/** Throws what is wrong with the database, in plain words. */
function plainly(error: unknown): never {
  const known: SyncError = databaseError(error);
  const { meaning, database } = known.meaning;
  throw new NotReady(database ? `${meaning} (${known.message})` : known.message);
}
