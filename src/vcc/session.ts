import type { Clock } from '../core/clock.ts';
import { FatalError, InterruptedError, RetryableError } from '../core/errors.ts';
import { readExpiry, usedUntil } from '../core/session.ts';
import type { SessionToken, TokenStore } from '../sync/ports.ts';
import { describeBody, statusError } from './answer.ts';
import type { Measured } from './download.ts';
import { keyFingerprint } from './request.ts';

/** The session token as one process uses it (P4). */
export interface Session {
  /**
   * The shared token, renewed first if it has expired.
   *
   * @throws FatalError CREDENTIALS if the platform refuses to issue one
   */
  getToken(signal: AbortSignal): Promise<string>;
  /** A token to use in place of one that the platform refused: another process's, or a new one. */
  replaceToken(refused: string, signal: AbortSignal): Promise<string>;
}

/** What a session is made of. */
export interface SessionOptions {
  readonly appId: string;
  readonly baseKey: string;
  readonly tokens: TokenStore;
  readonly clock: Clock;
  /** Asks the platform for a new token (1002). */
  readonly issue: () => Promise<SessionToken>;
}

/** Shares one token among all downloads of this process, and through the store among all processes (P4). */
export function createSession({ appId, baseKey, tokens, clock, issue }: SessionOptions): Session {
  const fingerprint = keyFingerprint(baseKey);
  let renewing: Promise<string> | null = null;

  const isGood = (stored: SessionToken | null, refused: string | null): stored is SessionToken =>
    stored !== null && stored.token !== refused && stored.expiresAt > clock();

  const renew = async (refused: string | null): Promise<string> => {
    const { token } = await tokens.replace(appId, fingerprint, async (stored) =>
      isGood(stored, refused) ? stored : issue(),
    );
    return token;
  };

  const share = async (refused: string | null, signal: AbortSignal): Promise<string> => {
    for (;;) {
      const joined = renewing !== null;
      renewing ??= renew(refused).finally(() => {
        renewing = null;
      });
      const token = await abortable(renewing, signal);
      // A renewal that began for another reason may bring back the very token that was refused here.
      if (!joined || token !== refused) return token;
    }
  };

  const obtain = async (refused: string | null, signal: AbortSignal): Promise<string> => {
    const stored = await abortable(tokens.read(appId, fingerprint), signal);
    return isGood(stored, refused) ? stored.token : share(refused, signal);
  };

  return {
    getToken: (signal) => obtain(null, signal),
    replaceToken: (refused, signal) => obtain(refused, signal),
  };
}

/**
 * Reads getToken's answer (P4).
 *
 * @param now when the token was asked for, in milliseconds since the epoch
 * @throws FatalError CREDENTIALS if the platform refused
 * @throws RetryableError if it was in trouble, or answered something else
 */
export function readToken(
  { facts, object }: Measured,
  successCodes: readonly string[],
  now: number,
): SessionToken {
  const { result, status, retryAfter } = facts;
  if (result && !successCodes.includes(result.code)) {
    throw new FatalError('CREDENTIALS', `getToken was refused, ${result.text}`);
  }
  const byStatus = statusError(status, retryAfter);
  if (byStatus instanceof FatalError && status >= 400) {
    throw new FatalError('CREDENTIALS', `getToken was refused, HTTP ${status}`);
  }
  if (byStatus) throw aboutToken(byStatus);
  if (object === null) {
    throw new RetryableError('NOT_A_TABLE', `getToken answered ${describeBody(facts)}`);
  }
  const { token, expireTime } = object.fields;
  if (typeof token !== 'string' || !/^[A-Za-z0-9]{1,200}$/.test(token)) {
    throw new RetryableError('PLATFORM_ERROR', 'getToken answered without a token');
  }
  return { token, expiresAt: usedUntil(readExpiry(expireTime, now), now) };
}

/**
 * Says that a failure befell getToken. What would halve a window becomes SOURCE_UNAVAILABLE: no
 * smaller window makes a token come sooner (P5).
 */
export function aboutToken(error: unknown): unknown {
  if (!(error instanceof RetryableError)) {
    return error instanceof FatalError
      ? new FatalError(error.code, `getToken: ${error.message}`)
      : error;
  }
  const code = error.meaning.shrinks ? 'SOURCE_UNAVAILABLE' : error.code;
  return new RetryableError(code, `getToken: ${error.message}`, { retryAfter: error.retryAfter });
}

/**
 * Waits for work that goes on without us once the signal aborts.
 *
 * @throws InterruptedError if the signal aborts first
 */
export async function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  // Its failure is ours only as long as we wait for it.
  work.catch(() => {});
  if (signal.aborted) throw new InterruptedError();
  let interrupt: () => void = () => {};
  const interrupted = new Promise<never>((_resolve, reject) => {
    interrupt = () => reject(new InterruptedError());
    signal.addEventListener('abort', interrupt, { once: true });
  });
  try {
    return await Promise.race([work, interrupted]);
  } finally {
    signal.removeEventListener('abort', interrupt);
  }
}
