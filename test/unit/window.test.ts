import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DAY, HOUR, MINUTE, parseTime, SECOND } from '../../src/core/china-time.ts';
import {
  LONGEST_REQUEST,
  longestWindow,
  reach,
  recoverableUntil,
  requestedInterval,
  settledUntil,
  splitWindow,
} from '../../src/core/window.ts';

const at = (text: string): number => parseTime(text)!;
const instants = fc.integer({ min: at('1999-12-01'), max: at('2041-02-01') });

describe('reach (P7)', () => {
  it.each([
    ['2026-03-28', '2026-03-01'],
    ['2026-03-29', '2026-03-01'],
    ['2026-03-30', '2026-03-01'],
    ['2026-03-31', '2026-03-01'],
    ['2026-04-01', '2026-03-02'],
    ['2026-03-01', '2026-02-02'],
    ['2028-03-01', '2028-02-02'],
    ['2028-03-28', '2028-02-29'],
    ['2028-03-29', '2028-03-01'],
    ['2028-03-31', '2028-03-01'],
    ['2100-03-29', '2100-03-01'],
    ['2026-05-30', '2026-05-01'],
    ['2026-05-31', '2026-05-01'],
    ['2026-12-31', '2026-12-01'],
    ['2027-01-01', '2026-12-02'],
    ['2027-01-31', '2027-01-01'],
    ['2027-02-01', '2027-01-02'],
  ])('on %s goes back to %s, from the first second of the day to the last', (day, earliest) => {
    expect(reach(at(day))).toBe(at(earliest));
    expect(reach(at(day) + SECOND)).toBe(at(earliest));
    expect(reach(at(`${day}T23:59:59`))).toBe(at(earliest));
  });

  it('moves at midnight in China, not in UTC', () => {
    expect(reach(at('2026-06-10') - SECOND)).toBe(at('2026-05-10'));
    expect(reach(at('2026-06-10') + SECOND)).toBe(at('2026-05-11'));
    expect(reach(at('2026-06-10T08:00:00') - 1)).toBe(reach(at('2026-06-10T08:00:00')));
  });

  it('never moves backwards, day by day over forty years', () => {
    for (let day = at('2000-01-01'); day < at('2040-01-01'); day += DAY) {
      expect(reach(day + DAY)).toBeGreaterThanOrEqual(reach(day));
      expect(reach(day + DAY - 1)).toBe(reach(day));
    }
  });

  it('lies at least 27 and less than 32 days back', () => {
    fc.assert(
      fc.property(instants, (now) => {
        expect(now - reach(now)).toBeGreaterThanOrEqual(27 * DAY);
        expect(now - reach(now)).toBeLessThan(31 * DAY);
      }),
    );
  });
});

describe('the end of recoverability', () => {
  it('is the exact inverse of reach', () => {
    fc.assert(
      fc.property(instants, (instant) => {
        const until = recoverableUntil(instant);
        expect(reach(until - 1)).toBeLessThanOrEqual(instant);
        expect(reach(until)).toBeGreaterThan(instant);
      }),
      { numRuns: 1000 },
    );
  });

  it('is the exact inverse of reach at every midnight and just before', () => {
    for (let day = at('2023-12-01'); day < at('2029-01-01'); day += DAY) {
      for (const instant of [day - SECOND, day - 1, day]) {
        const until = recoverableUntil(instant);
        expect(reach(until - 1) <= instant && instant < reach(until)).toBe(true);
      }
    }
  });

  it('leaves the last days of January until the end of February only', () => {
    expect(recoverableUntil(at('2026-01-31T12:00:00'))).toBe(at('2026-03-01'));
    expect(recoverableUntil(at('2026-03-01'))).toBe(at('2026-04-01'));
  });
});

describe('windows cut from an interval', () => {
  it('are contiguous, cover it, and none is longer than allowed', () => {
    const whole = fc.integer({ min: 0, max: 500 });
    fc.assert(
      fc.property(whole, whole, fc.integer({ min: 1, max: 600 }), (from, length, longest) => {
        const windows = splitWindow({ from, to: from + length }, longest);
        let end = from;
        for (const window of windows) {
          expect(window.from).toBe(end);
          expect(window.to).toBeGreaterThan(window.from);
          expect(window.to - window.from).toBeLessThanOrEqual(longest);
          end = window.to;
        }
        expect(end).toBe(from + length);
        expect(windows).toHaveLength(Math.ceil(length / longest));
      }),
    );
  });

  it('are refused where the end lies before the beginning or the length is nothing', () => {
    expect(() => splitWindow({ from: 2, to: 1 }, 1)).toThrow(RangeError);
    expect(() => splitWindow({ from: 1, to: 2 }, 0)).toThrow(RangeError);
    expect(() => splitWindow({ from: 1, to: 2 }, Number.NaN)).toThrow(RangeError);
  });
});

const settings = fc.record({
  maxWindow: fc.integer({ min: 1, max: 40 * DAY }),
  overlap: fc.integer({ min: 0, max: 27 * DAY - 1 }),
});

describe('the longest window (P5, P7)', () => {
  it('is in whole seconds and with the overlap never above 28 days', () => {
    fc.assert(
      fc.property(settings, ({ maxWindow, overlap }) => {
        const longest = longestWindow({ maxWindow, overlap });
        expect(longest % SECOND).toBe(0);
        expect(longest).toBeGreaterThanOrEqual(SECOND);
        expect(longest + overlap).toBeLessThanOrEqual(LONGEST_REQUEST);
        expect(longest).toBeLessThanOrEqual(Math.max(maxWindow, SECOND));
      }),
    );
  });

  it('is 28 days less the overlap by default', () => {
    expect(longestWindow({ maxWindow: 28 * DAY, overlap: 2 * MINUTE })).toBe(28 * DAY - 2 * MINUTE);
  });
});

describe('the requested interval (P7)', () => {
  it('never begins before reach and never spans more than 28 days', () => {
    const offset = fc.nat(30 * 86_400).map((second) => second * SECOND);
    fc.assert(
      fc.property(instants, offset, settings, (now, after, layout) => {
        const from = reach(now) + after;
        const window = { from, to: from + longestWindow(layout) };
        const requested = requestedInterval(window, layout.overlap, now);
        expect(requested.from).toBeGreaterThanOrEqual(reach(now));
        expect(requested.from).toBeLessThanOrEqual(window.from);
        expect(requested.to).toBe(window.to);
        expect(requested.to - requested.from).toBeLessThanOrEqual(LONGEST_REQUEST);
      }),
      { numRuns: 500 },
    );
  });

  it('reaches back by the overlap, at the edge by less', () => {
    const now = at('2026-06-10T12:00:00');
    const from = reach(now) + MINUTE;
    const to = from + HOUR;
    expect(requestedInterval({ from, to }, 30_000, now).from).toBe(from - 30_000);
    expect(requestedInterval({ from, to }, 2 * MINUTE, now).from).toBe(reach(now));
  });
});

describe('the settled time', () => {
  it('is now less the settle time, cut to the second', () => {
    expect(settledUntil(100_999, 30_000)).toBe(70_000);
    expect(settledUntil(100_000, 30_500)).toBe(69_000);
  });
});
