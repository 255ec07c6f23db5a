import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DAY, HOUR, MINUTE, parseTime, SECOND } from '../../src/core/china-time.ts';
import { completeThrough, cover, gaps, missing, watermark } from '../../src/core/coverage.ts';
import {
  clip,
  type Interval,
  type IntervalSet,
  normalise,
  span,
  subtract,
  union,
} from '../../src/core/interval.ts';
import { reach, settledUntil } from '../../src/core/window.ts';

const at = (text: string): number => parseTime(text)!;
const during = (from: number, to: number): Interval => ({ from, to });

describe('the watermark', () => {
  it('is the upper end of the coverage, whatever holes lie below', () => {
    expect(watermark([])).toBeNull();
    expect(watermark([during(1, 2), during(5, 9)])).toBe(9);
    expect(watermark([during(-Infinity, 4)])).toBe(4);
  });
});

describe('complete through', () => {
  const through = (since: number | null, coverage: IntervalSet, accepted: IntervalSet = []) =>
    completeThrough({ since, coverage, accepted });

  it('is unknown before the first commit', () => {
    expect(through(null, [])).toBeNull();
    expect(through(null, [during(1, 2)])).toBeNull();
  });

  it('is held back by a hole before the watermark', () => {
    expect(through(1, [during(1, 4), during(5, 9)])).toBe(4);
  });

  it('is bridged by an accepted gap', () => {
    expect(through(1, [during(1, 4), during(5, 9)], [during(4, 5)])).toBe(9);
    expect(through(1, [during(2, 4)], [during(0, 2)])).toBe(4);
  });

  it('is not bridged by an acceptance of part of the gap', () => {
    expect(through(1, [during(1, 4), during(6, 9)], [during(4, 5)])).toBe(5);
  });

  it('is since itself where since lies in a hole', () => {
    expect(through(5, [during(1, 4), during(6, 9)])).toBe(5);
    expect(through(4, [during(1, 4)])).toBe(4);
    expect(through(5, [])).toBe(5);
  });

  it('starts from the middle of a covered stretch', () => {
    expect(through(3, [during(1, 4), during(5, 9)])).toBe(4);
  });

  it('follows a full extract, which covers all before it', () => {
    expect(through(-1000, [during(-Infinity, 4)])).toBe(4);
    expect(through(1, [during(-Infinity, 4), during(5, 6)])).toBe(4);
  });

  it('is the first instant from since on that nothing covers', () => {
    const sets = fc
      .array(fc.tuple(fc.nat(20), fc.nat(20)), { maxLength: 5 })
      .map((pairs) => normalise(pairs.map(([from, to]) => during(from, to))));
    fc.assert(
      fc.property(fc.nat(20), sets, sets, (since, coverage, accepted) => {
        const covered = (instant: number) =>
          [...coverage, ...accepted].some(({ from, to }) => from <= instant && instant < to);
        let first = since;
        while (covered(first)) first += 1;
        expect(through(since, coverage, accepted)).toBe(first);
      }),
    );
  });
});

const NOW = at('2026-06-10T12:00:00');
const REACH = at('2026-05-11');
const UNTIL = NOW - 30 * SECOND;

describe('what is missing (design invariant 2)', () => {
  it('is all within reach before the first commit', () => {
    expect(missing({ since: null, coverage: [] }, UNTIL, NOW)).toEqual([during(REACH, UNTIL)]);
  });

  it('begins at since where that lies within reach', () => {
    const since = NOW - DAY;
    expect(missing({ since, coverage: [] }, UNTIL, NOW)).toEqual([during(since, UNTIL)]);
  });

  it('is clipped to reach', () => {
    const since = REACH - 5 * DAY;
    const coverage = [during(since + DAY, since + 2 * DAY), during(REACH + DAY, UNTIL)];
    expect(missing({ since, coverage }, UNTIL, NOW)).toEqual([during(REACH, REACH + DAY)]);
  });

  it('is the holes, oldest first', () => {
    const coverage = [during(REACH, NOW - DAY), during(NOW - HOUR, NOW - MINUTE)];
    expect(missing({ since: REACH, coverage }, UNTIL, NOW)).toEqual([
      during(NOW - DAY, NOW - HOUR),
      during(NOW - MINUTE, UNTIL),
    ]);
  });

  it('is nothing while since lies ahead, or all is covered', () => {
    expect(missing({ since: NOW + DAY, coverage: [] }, UNTIL, NOW)).toEqual([]);
    expect(missing({ since: UNTIL, coverage: [] }, UNTIL, NOW)).toEqual([]);
    expect(missing({ since: REACH, coverage: [during(-Infinity, UNTIL)] }, UNTIL, NOW)).toEqual([]);
  });
});

describe('gaps', () => {
  const GRACE = 30 * MINUTE;
  const find = (coverage: IntervalSet, accepted: IntervalSet = [], since: number | null = null) =>
    gaps({ since: since ?? REACH - 5 * DAY, coverage, accepted }, UNTIL, NOW, GRACE);

  it('are cut exactly at reach: expired before it, open after', () => {
    const coverage = [during(REACH - 5 * DAY, REACH - DAY), during(REACH + DAY, NOW)];
    expect(find(coverage)).toEqual([
      { from: REACH - DAY, to: REACH, state: 'expired', recoverableUntil: null },
      { from: REACH, to: REACH + DAY, state: 'open', recoverableUntil: at('2026-06-11') },
    ]);
  });

  it('are whole on either side of reach', () => {
    expect(find([during(REACH - 4 * DAY, NOW)]).map((gap) => gap.state)).toEqual(['expired']);
    const open = find([during(-Infinity, REACH), during(REACH + SECOND, NOW)]);
    expect(open).toMatchObject([{ from: REACH, to: REACH + SECOND, state: 'open' }]);
    const expired = find([during(-Infinity, REACH - SECOND), during(REACH, NOW)]);
    expect(expired).toMatchObject([{ from: REACH - SECOND, to: REACH, state: 'expired' }]);
  });

  it('are recoverable until their first instant drops out of reach', () => {
    const from = at('2026-05-31T10:00:00');
    const [gap] = find([during(-Infinity, from), during(from + HOUR, NOW)]);
    expect(gap).toMatchObject({ from, recoverableUntil: at('2026-07-01') });
  });

  it('are only what is older than the grace', () => {
    expect(find([during(-Infinity, NOW - GRACE)])).toEqual([]);
    expect(find([during(-Infinity, NOW - GRACE - SECOND)])).toMatchObject([
      { from: NOW - GRACE - SECOND, to: NOW - GRACE, state: 'open' },
    ]);
  });

  it('never reach past what may be asked for', () => {
    const late = gaps({ since: REACH, coverage: [], accepted: [] }, NOW - HOUR, NOW, GRACE);
    expect(late.at(-1)?.to).toBe(NOW - HOUR);
  });

  it('vanish where they are accepted', () => {
    const coverage = [during(REACH - 5 * DAY, REACH - 2 * DAY), during(REACH, NOW)];
    expect(find(coverage, [during(REACH - 2 * DAY, REACH)])).toEqual([]);
    expect(find(coverage, [during(REACH - 2 * DAY, REACH - DAY)])).toMatchObject([
      { from: REACH - DAY, to: REACH, state: 'expired' },
    ]);
  });

  it('do not exist before the first commit or before since', () => {
    expect(gaps({ since: null, coverage: [], accepted: [] }, UNTIL, NOW, GRACE)).toEqual([]);
    expect(find([during(REACH, NOW)], [], REACH)).toEqual([]);
    expect(find([], [], NOW + DAY)).toEqual([]);
  });
});

describe('coverage', () => {
  it('grows by a window and by nothing through an empty one', () => {
    expect(cover([during(1, 2)], during(2, 4))).toEqual([during(1, 4)]);
    expect(cover([during(1, 2)], during(7, 7))).toEqual([during(1, 2)]);
  });

  it('leaves every second of the promise covered, missing, expired or not yet settled, and only one of them', () => {
    const seconds = (from: number, to: number) =>
      fc.integer({ min: from / SECOND, max: to / SECOND }).map((second) => second * SECOND);
    const nows = seconds(at('2026-01-01'), at('2029-01-01'));
    const offset = seconds(-20 * DAY, 35 * DAY);
    const pieces = fc.array(fc.tuple(offset, offset), { maxLength: 6 });
    fc.assert(
      fc.property(nows, offset, pieces, seconds(0, DAY), (now, start, some, settle) => {
        const until = settledUntil(now, settle);
        const since = reach(now) + start;
        const promise = during(since, now);
        const coverage = normalise(some.map(([a, b]) => during(reach(now) + a, reach(now) + b)));
        const expired = gaps({ since, coverage, accepted: [] }, until, now, 0).filter(
          (gap) => gap.state === 'expired',
        );
        const parts = [
          clip(coverage, promise),
          missing({ since, coverage }, until, now),
          normalise(expired),
          subtract(clip([during(until, now)], promise), coverage),
        ];
        const whole = normalise([promise]);
        const joined = parts.reduce(union, []).map(({ from, to }) => during(from, to));
        expect(joined).toEqual(whole);
        expect(parts.reduce((sum, part) => sum + span(part), 0)).toBe(span(whole));
      }),
      { numRuns: 500 },
    );
  });
});
