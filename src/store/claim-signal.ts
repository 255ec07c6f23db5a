import type { PoolClient } from 'pg';
import { InterruptedError } from '../core/errors.ts';
import { databaseError } from './database-error.ts';

/** Tells work that stands on a connection when it must end. */
export interface ClaimSignal {
  /** Its reason is a `SyncError`. */
  readonly signal: AbortSignal;
  /** Lets go of the connection and the caller's signal. */
  clear(): void;
}

/**
 * Follows the caller's signal and the connection's life: without it nothing can be committed, so nothing
 * need be downloaded any more.
 */
export function followClaim(client: PoolClient, caller: AbortSignal): ClaimSignal {
  const ending = new AbortController();
  const interrupt = () => ending.abort(new InterruptedError());
  const lose = () => ending.abort(databaseError(new Error('Connection terminated')));
  if (caller.aborted) interrupt();
  caller.addEventListener('abort', interrupt, { once: true });
  client.once('end', lose);
  return {
    signal: ending.signal,
    clear() {
      caller.removeEventListener('abort', interrupt);
      client.off('end', lose);
    },
  };
}
