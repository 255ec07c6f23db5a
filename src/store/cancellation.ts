import { sql } from 'kysely';
import type { PoolClient } from 'pg';
import type { Database } from './pool.ts';

/** Milliseconds between cancellations of a claim that must end. */
const CANCEL_EVERY = 250;

/**
 * Cancels the statement in hand when the signal aborts: a long merge would else go on.
 *
 * @returns call it when nothing is left to cancel
 */
export function cancelOnAbort(client: PoolClient, db: Database, signal: AbortSignal): () => void {
  const { processID } = client as PoolClient & { processID?: number | null };
  let repeat: NodeJS.Timeout | undefined;
  const cancel = () => {
    sql`select pg_cancel_backend(${processID})`.execute(db).catch(() => {});
  };
  // Between two statements there is nothing to cancel, and the next one may wait: so again and again.
  const start = () => {
    cancel();
    repeat = setInterval(cancel, CANCEL_EVERY);
  };
  if (signal.aborted) start();
  signal.addEventListener('abort', start, { once: true });
  return () => {
    clearInterval(repeat);
    signal.removeEventListener('abort', start);
  };
}
