import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/core/china-time.ts';
import { type Interval, normalise, span } from '../../src/core/interval.ts';
import { partInterval, planWindows } from '../../src/core/resync-plan.ts';
import { longestWindow, reach, settledUntil } from '../../src/core/window.ts';

const NOW = Date.UTC(2026, 10, 21, 4, 0, 0, 123);
const SETTINGS = { overlap: 2 * MINUTE, settle: 30 * SECOND, maxWindow: 28 * DAY };

/** Whole seconds from two months before to a month after. */
const during = fc
  .tuple(
    fc.integer({ min: -60 * 86_400, max: 30 * 86_400 }),
    fc.integer({ min: 1, max: 90 * 86_400 }),
  )
  .map(([start, length]): Interval => {
    const from = Math.floor(NOW / SECOND + start) * SECOND;
    return { from, to: from + length * SECOND };
  });

function isInterval(part: Interval | null): part is Interval {
  return part !== null;
}

describe('an interval, parted by what can be had', () => {
  test('is neither more nor less than its parts, in order and without an overlap', () => {
    fc.assert(
      fc.property(during, (whole) => {
        const { gone, obtainable, future } = partInterval(whole, NOW);
        const parts = [gone, obtainable, future].filter(isInterval);
        expect(normalise(parts)).toEqual([whole]);
        expect(span(parts)).toBe(span([whole]));
      }),
    );
  });

  test('is gone before the reach, to come after now, and can be had between', () => {
    fc.assert(
      fc.property(during, (whole) => {
        const { gone, obtainable, future } = partInterval(whole, NOW);
        expect((gone?.to ?? -Infinity) <= reach(NOW)).toBe(true);
        expect((obtainable?.from ?? Infinity) >= reach(NOW)).toBe(true);
        expect((obtainable?.to ?? -Infinity) <= NOW).toBe(true);
        expect((future?.from ?? Infinity) > NOW - SECOND).toBe(true);
      }),
    );
  });

  test('has no parts if it is empty or inverted', () => {
    const nothing = { gone: null, obtainable: null, future: null };
    expect(partInterval({ from: NOW - DAY, to: NOW - DAY }, NOW)).toEqual(nothing);
    expect(partInterval({ from: NOW - HOUR, to: NOW - DAY }, NOW)).toEqual(nothing);
  });
});

describe('the windows of a re-sync', () => {
  test('fill what can be had and has settled, none longer than one request may be', () => {
    fc.assert(
      fc.property(during, (whole) => {
        const { obtainable } = partInterval(whole, NOW);
        const windows = planWindows(obtainable, [], SETTINGS, NOW);
        const to = Math.min(obtainable?.to ?? 0, settledUntil(NOW, SETTINGS.settle));
        const wanted = obtainable && obtainable.from < to ? [{ from: obtainable.from, to }] : [];
        expect(normalise(windows)).toEqual(wanted);
        expect(span(windows)).toBe(span(wanted));
        for (const one of windows) expect(span([one])).toBeLessThanOrEqual(longestWindow(SETTINGS));
      }),
    );
  });

  test('are shorter for a feed whose windows were too large', () => {
    const day = { from: NOW - 123 - DAY, to: NOW - 123 - HOUR };
    const tooLarge = [{ length: 20 * HOUR, errorCode: 'TOO_LARGE' } as const];
    expect(planWindows(day, [], SETTINGS, NOW)).toEqual([day]);
    expect(planWindows(day, tooLarge, SETTINGS, NOW)).toEqual([
      { from: day.from, to: day.from + 10 * HOUR },
      { from: day.from + 10 * HOUR, to: day.from + 20 * HOUR },
      { from: day.from + 20 * HOUR, to: day.to },
    ]);
  });

  test('are none where nothing can be had', () => {
    expect(planWindows(null, [], SETTINGS, NOW)).toEqual([]);
  });
});
