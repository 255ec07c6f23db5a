import { setTimeout as sleep } from 'node:timers/promises';
import { InterruptedError } from '../core/errors.ts';
import type { FeedClaim, FeedStore } from './ports.ts';

/** Milliseconds between tries for a feed that another process holds. */
const BUSY_PAUSE = 500;
/** Tries after which a holder without a sign of life is looked for, and ended. */
const REAP_TRIES = 10;

/** How a busy feed is met. */
export interface ClaimOptions {
  /** Wait for a feed that another process holds. */
  readonly wait?: boolean;
  /** Told once when such a wait begins. */
  readonly onBusy?: () => void;
}

/**
 * Takes a feed's lock; null if another process holds it and it is not to be waited for.
 *
 * @throws SyncError `DATABASE_BUSY`, or `INTERRUPTED` when the signal aborts
 */
export async function claimFeed(
  { feeds }: { readonly feeds: FeedStore },
  feedId: number,
  { wait, onBusy }: ClaimOptions,
  signal: AbortSignal,
): Promise<FeedClaim | null> {
  for (let tries = 0; ; tries += 1) {
    if (signal.aborted) throw new InterruptedError();
    const claim = await feeds.claim(feedId, signal);
    if (claim || !wait) return claim;
    if (tries === 0) onBusy?.();
    if (tries % REAP_TRIES === 0) await feeds.reap();
    try {
      await sleep(BUSY_PAUSE, undefined, { signal });
    } catch {
      throw new InterruptedError();
    }
  }
}
