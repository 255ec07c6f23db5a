import type { SyncError } from './errors.ts';
import { RetryableError } from './errors.ts';

/** Delays between tries of a failing feed, in milliseconds. */
export interface BackoffSettings {
  readonly base: number;
  readonly max: number;
}

/** How much later than `soon` the pace `slow` starts. */
const SLOW_FACTOR = 12;

const GOLDEN_RATIO = 0.6180339887498949;

/**
 * The feed's next slot after `now`: every `every` milliseconds, offset by the feed's id so that
 * feeds spread evenly instead of all asking at once.
 */
export function nextSlot(feedId: number, every: number, now: number): number {
  const offset = Math.floor(((feedId * GOLDEN_RATIO) % 1) * every);
  return (Math.floor((now - offset) / every) + 1) * every + offset;
}

/**
 * How long to wait after a failed run, in milliseconds: exponential with jitter up to the ceiling,
 * for ever; the platform's `Retry-After` is honoured (P5).
 *
 * @param failures consecutive failures, this one included
 * @param random in `[0, 1)`: the delay lies between half and the whole of its step
 */
export function backoff(
  error: SyncError,
  failures: number,
  { base, max }: BackoffSettings,
  random: number,
): number {
  const { pace } = error.meaning;
  const first = pace === 'slow' ? base * SLOW_FACTOR : base;
  const step = pace === 'ceiling' ? max : Math.min(max, first * 2 ** Math.min(failures - 1, 40));
  const delay = step * (0.5 + random / 2);
  const asked = error instanceof RetryableError ? (error.retryAfter ?? 0) : 0;
  return Math.round(Math.max(delay, asked));
}
