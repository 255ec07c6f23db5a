import { createHash, randomInt } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import { type Refusal, refusal } from './result-codes.ts';

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** How session tokens live (P4). */
export interface SessionOptions {
  readonly clock: Clock;
  /** Seconds that a token lives. */
  readonly tokenLifetime: number;
  /** Whether a new token ends all earlier ones at once. */
  readonly newTokenKillsOld: boolean;
}

/** The session tokens that a platform gave out (P4). */
export interface Sessions {
  /** How many were given out so far. */
  readonly issued: number;
  /** All that were given out so far. */
  readonly tokens: readonly string[];
  /** Gives out a new token of 20 letters and digits, with its end in milliseconds since the epoch. */
  issue(): { token: string; expiresAt: number };
  /** Why a token is not accepted now; null if it is. */
  check(token: string | undefined): Refusal | null;
  /** Ends every token at once. */
  expire(): void;
}

/** A platform's session tokens; none yet. */
export function createSessions(options: SessionOptions): Sessions {
  const expiry = new Map<string, number>();
  let issued = 0;

  function expire(): void {
    for (const token of expiry.keys()) expiry.set(token, Number.NEGATIVE_INFINITY);
  }

  return {
    get issued() {
      return issued;
    },
    get tokens() {
      return [...expiry.keys()];
    },
    issue() {
      if (options.newTokenKillsOld) expire();
      const token = Array.from({ length: 20 }, () => LETTERS[randomInt(LETTERS.length)]).join('');
      const expiresAt = options.clock() + options.tokenLifetime * 1000;
      expiry.set(token, expiresAt);
      issued += 1;
      return { token, expiresAt };
    },
    check(token) {
      const expiresAt = token === undefined ? undefined : expiry.get(token);
      if (expiresAt === undefined) {
        return refusal('TOKEN_UNKNOWN', 'token is missing or unknown');
      }
      if (expiresAt <= options.clock()) return refusal('TOKEN_EXPIRED', 'token has expired');
      return null;
    },
    expire,
  };
}

/** A short fingerprint by which records tell tokens apart without holding them. */
export function tokenHash(token: string): string {
  return createHash('sha256').update(token).digest('hex').slice(0, 8);
}
