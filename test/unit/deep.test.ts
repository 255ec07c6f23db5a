import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/core/china-time.ts';
import { planDeep } from '../../src/core/deep.ts';
import { reach } from '../../src/core/window.ts';

const NOW = Date.UTC(2026, 9, 20, 4);
const OVERLAP = 2 * MINUTE;
const DAILY = { every: DAY, span: DAY };
const WATERMARK = NOW - 30 * SECOND;
const feed = {
  id: 3,
  coverage: [{ from: WATERMARK - 10 * DAY, to: WATERMARK }],
  nextDeepAt: NOW - 1,
  isOpen: false,
};

describe('the deep re-read of a feed', () => {
  test('asks for the span before the watermark once it is time', () => {
    const plan = planDeep(feed, DAILY, OVERLAP, NOW);
    expect(plan?.during).toEqual({ from: WATERMARK - DAY, to: WATERMARK });
    expect(plan?.nextDeepAt).toBeGreaterThan(NOW);
    expect(plan?.nextDeepAt).toBeLessThanOrEqual(NOW + DAY);
  });

  test('leaves everything as it is before its time, or where it is turned off', () => {
    expect(planDeep({ ...feed, nextDeepAt: NOW + 1 }, DAILY, OVERLAP, NOW)).toBeNull();
    expect(planDeep(feed, { every: DAY, span: 0 }, OVERLAP, NOW)).toBeNull();
  });

  test('is planned first and made later, and waits for one that is still open', () => {
    const first = planDeep({ ...feed, nextDeepAt: null }, DAILY, OVERLAP, NOW);
    expect(first).toMatchObject({ during: null });
    expect(planDeep({ ...feed, isOpen: true }, DAILY, OVERLAP, NOW)).toEqual(first);
  });

  test('reads nothing again that had never been covered, the overlap included', () => {
    const coverage = [
      { from: WATERMARK - 10 * DAY, to: WATERMARK - 3 * HOUR },
      { from: WATERMARK - 2 * HOUR, to: WATERMARK },
    ];
    const during = planDeep({ ...feed, coverage }, DAILY, OVERLAP, NOW)?.during;
    expect(during).toEqual({ from: WATERMARK - 2 * HOUR + OVERLAP, to: WATERMARK });
    const short = [{ from: WATERMARK - MINUTE, to: WATERMARK }];
    expect(planDeep({ ...feed, coverage: short }, DAILY, OVERLAP, NOW)?.during).toBeNull();
    expect(planDeep({ ...feed, coverage: [] }, DAILY, OVERLAP, NOW)?.during).toBeNull();
  });

  test('stays within what is covered and what the platform serves, whatever the settings', () => {
    const at = fc.integer({ min: NOW - 60 * DAY, max: NOW }).map((ms) => ms - (ms % SECOND));
    fc.assert(
      fc.property(
        fc.tuple(at, at).map(([a, b]) => ({ from: Math.min(a, b), to: Math.max(a, b) + SECOND })),
        fc.integer({ min: 1, max: 28 * 86_400 }),
        fc.integer({ min: 1, max: 28 * 86_400 }),
        fc.nat({ max: 1000 }),
        (covered, every, span, id) => {
          const settings = { every: every * SECOND, span: span * SECOND };
          const plan = planDeep({ ...feed, id, coverage: [covered] }, settings, OVERLAP, NOW);
          expect(plan!.nextDeepAt).toBeGreaterThan(NOW);
          if (!plan!.during) return;
          const { from, to } = plan!.during;
          expect(to).toBe(covered.to);
          expect(from).toBeLessThan(to);
          expect(from).toBeGreaterThanOrEqual(Math.max(covered.from + OVERLAP, reach(NOW)));
          expect(to - from).toBeLessThanOrEqual(settings.span);
        },
      ),
    );
  });
});
