import { SECOND } from './china-time.ts';

/** How long a session token lives where the platform does not say so readably, in milliseconds (P4). */
export const DEFAULT_LIFETIME = 7200 * SECOND;

/** The longest that a token is renewed ahead of its expiry, in milliseconds. */
const LONGEST_AHEAD = 60 * SECOND;

/** The last instant that a `Date` can hold, in milliseconds. */
const LAST_INSTANT = 8.64e15;

/**
 * Reads `expireTime` of getToken's answer as the instant of expiry, in milliseconds since the epoch (P4).
 *
 * Above 10^12 it is Unix milliseconds, above 10^9 Unix seconds, else seconds from now; a number in
 * quotes is a number. Missing, unreadable or not after now: 7200 seconds from now.
 *
 * @param now milliseconds since the epoch
 * @example readExpiry(7200, now) // now + 7_200_000
 * @example readExpiry(1486488177, at2016) // 1_486_488_177_000
 */
export function readExpiry(value: unknown, now: number): number {
  const expiry = Math.floor(expiryOf(toNumber(value), now));
  return expiry > now && expiry <= LAST_INSTANT ? expiry : now + DEFAULT_LIFETIME;
}

/**
 * Until when a token is used, in milliseconds since the epoch: ahead of its expiry by 60 seconds
 * or a tenth of its lifetime, whichever is less (P4).
 *
 * @param issued when it was asked for
 * @example usedUntil(now + 7_200_000, now) // now + 7_140_000
 */
export function usedUntil(expiry: number, issued: number): number {
  return Math.ceil(expiry - Math.min(LONGEST_AHEAD, (expiry - issued) / 10));
}

function expiryOf(value: number, now: number): number {
  if (value > 1e12) return value;
  if (value > 1e9) return value * SECOND;
  return now + value * SECOND;
}

function toNumber(value: unknown): number {
  if (typeof value === 'number') return value;
  return typeof value === 'string' && /^\s*\d+(\.\d+)?\s*$/.test(value)
    ? Number(value)
    : Number.NaN;
}
