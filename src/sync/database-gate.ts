import type { Clock } from '../core/clock.ts';
import { describeError, type SyncError } from '../core/errors.ts';
import { limitRepeats, REPEAT_EVERY } from '../core/repeats.ts';
import type { SyncLog } from './ports.ts';

/** How long feeds wait between tries of a database that takes no work, in milliseconds. */
export const TRY_EVERY = 10_000;

/**
 * Holds a process's feeds while the database takes no work: full, read-only, out of connections, away.
 *
 * It lives in memory, since such a database can not be told. A failure that could still be recorded
 * does not close it: that one is judged by the ledger, where it may turn out to be one feed's own.
 */
export interface DatabaseGate {
  /** Whether a feed may be served now; while it is closed, one every ten seconds may. */
  mayEnter(): boolean;
  /** Holds all feeds: the database refused work in a way that not even the ledger could be told. */
  close(error: SyncError): void;
  /** Lets them go on: the database took a commit. */
  open(): void;
  /** Whether to log a failure that any feed may meet: once a minute. */
  maySay(error: SyncError): boolean;
  /** Why feeds are held; null while they are not. */
  trouble(): SyncError | null;
}

/** Makes an open gate; it says at most once a minute why it is closed. */
export function openDatabaseGate(clock: Clock, log: SyncLog): DatabaseGate {
  const mayRepeat = limitRepeats(REPEAT_EVERY);
  const maySay = (event: string) => mayRepeat(event, clock());
  let closed: { readonly error: SyncError; nextTry: number } | null = null;
  return {
    mayEnter() {
      if (closed === null) return true;
      if (clock() < closed.nextTry) return false;
      closed.nextTry = clock() + TRY_EVERY;
      return true;
    },
    close(error) {
      closed = { error, nextTry: clock() + TRY_EVERY };
      if (maySay(error.code)) {
        const facts = { code: error.code, error: describeError(error) };
        log.error(facts, 'the database takes no work, all feeds wait');
      }
    },
    open() {
      if (closed === null) return;
      const { code } = closed.error;
      closed = null;
      if (maySay(`open ${code}`)) {
        log.info({ code }, 'the database takes work again, the feeds go on');
      }
    },
    maySay: ({ code }) => maySay(`failed ${code}`),
    trouble: () => closed?.error ?? null,
  };
}
