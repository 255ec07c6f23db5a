import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/core/china-time.ts';
import { FatalError, InterruptedError, RetryableError } from '../../src/core/errors.ts';
import { backoff, nextSlot } from '../../src/core/schedule.ts';

const feedIds = fc.integer({ min: 1, max: 2 ** 31 - 1 });
const everies = fc.integer({ min: SECOND, max: 30 * DAY });
const nows = fc.integer({ min: 0, max: Date.UTC(2100, 0) });

describe('the next slot of a feed (design invariant 6)', () => {
  it('comes strictly after now and at most one interval later', () => {
    fc.assert(
      fc.property(feedIds, everies, nows, (id, every, now) => {
        const slot = nextSlot(id, every, now);
        expect(slot).toBeGreaterThan(now);
        expect(slot - now).toBeLessThanOrEqual(every);
      }),
    );
  });

  it('stays the same until it has come, then follows one interval later', () => {
    fc.assert(
      fc.property(feedIds, everies, nows, fc.nat(1000), (id, every, now, part) => {
        const slot = nextSlot(id, every, now);
        const between = now + Math.floor(((slot - 1 - now) * part) / 1000);
        expect(nextSlot(id, every, between)).toBe(slot);
        expect(nextSlot(id, every, slot)).toBe(slot + every);
      }),
    );
  });

  it.each([1, 5_001, 1_000_000])('spreads 1000 feeds from id %i on evenly', (first) => {
    const every = 15 * MINUTE;
    const buckets = new Array<number>(20).fill(0);
    for (let id = first; id < first + 1000; id++) {
      const bucket = Math.floor(((nextSlot(id, every, 0) % every) / every) * 20);
      buckets[bucket]! += 1;
    }
    expect(Math.max(...buckets)).toBeLessThanOrEqual(100);
    expect(Math.min(...buckets)).toBeGreaterThan(0);
  });
});

const LIMITS = { base: 5 * SECOND, max: HOUR };
const soon = new RetryableError('SOURCE_UNAVAILABLE', 'x');
const slow = new RetryableError('PLATFORM_ERROR', 'x');
const ceiling = new FatalError('HEADER_MISMATCH', 'x');

describe('the backoff of a failing feed (P5)', () => {
  it('doubles with each failure, from half of its step to the whole', () => {
    for (const [failures, step] of [
      [1, 5],
      [2, 10],
      [3, 20],
      [10, 2560],
      [11, 3600],
    ] as const) {
      expect(backoff(soon, failures, LIMITS, 0)).toBe((step * SECOND) / 2);
      expect(backoff(soon, failures, LIMITS, 0.5)).toBe(step * SECOND * 0.75);
    }
  });

  it('stays within half the base and the ceiling, whatever fails how often', () => {
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    const error = fc.constantFrom(soon, slow, ceiling, new InterruptedError());
    fc.assert(
      fc.property(
        error,
        fc.integer({ min: 1, max: 2 ** 31 }),
        random,
        (failed, failures, chance) => {
          const delay = backoff(failed, failures, LIMITS, chance);
          expect(delay).toBeGreaterThanOrEqual(LIMITS.base / 2);
          expect(delay).toBeLessThanOrEqual(LIMITS.max);
          expect(Number.isInteger(delay)).toBe(true);
        },
      ),
    );
  });

  it('never shrinks as failures add up', () => {
    for (let failures = 1; failures < 100; failures++) {
      expect(backoff(slow, failures + 1, LIMITS, 0.3)).toBeGreaterThanOrEqual(
        backoff(slow, failures, LIMITS, 0.3),
      );
    }
  });

  it('reaches the ceiling after a year of failures and stays there', () => {
    expect(backoff(soon, 2 ** 31, LIMITS, 0)).toBe(LIMITS.max / 2);
    expect(backoff(soon, Number.MAX_SAFE_INTEGER, LIMITS, 0)).toBe(LIMITS.max / 2);
  });

  it('starts a minute later for a refusal of the platform', () => {
    expect(backoff(slow, 1, LIMITS, 0)).toBe(30 * SECOND);
    expect(backoff(slow, 2, LIMITS, 0)).toBe(60 * SECOND);
  });

  it('waits the longest delay at once where only a person can help', () => {
    expect(backoff(ceiling, 1, LIMITS, 0)).toBe(LIMITS.max / 2);
  });

  it('waits at least as long as the platform asked', () => {
    const asked = new RetryableError('RATE_LIMITED', 'x', { retryAfter: 2 * HOUR });
    expect(backoff(asked, 1, LIMITS, 0)).toBe(2 * HOUR);
    const little = new RetryableError('RATE_LIMITED', 'x', { retryAfter: 1 });
    expect(backoff(little, 1, LIMITS, 0)).toBe(2500);
  });
});
