import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { overlapAdvice } from '../../src/cli/audit.ts';
import {
  closedWindows,
  halve,
  latenessOf,
  overlapNeeded,
  spreadEvenly,
  stillAskedFor,
} from '../../src/core/audit.ts';
import { chinaMidnight, DAY, HOUR, MINUTE, SECOND } from '../../src/core/china-time.ts';
import { clip, normalise, span } from '../../src/core/interval.ts';
import { narrowDown } from '../../src/sync/narrow.ts';

const MIDNIGHT = chinaMidnight(2026, 9, 1);

describe('what the next runs will ask for', () => {
  const coverage = [
    { from: MIDNIGHT, to: MIDNIGHT + 2 * HOUR },
    { from: MIDNIGHT + 3 * HOUR, to: MIDNIGHT + 5 * HOUR },
  ];

  it('is what is not covered after a time, and the overlap before that', () => {
    const within = { from: MIDNIGHT + HOUR, to: MIDNIGHT + 6 * HOUR };
    expect(stillAskedFor(coverage, within, MINUTE)).toEqual([
      { from: MIDNIGHT + 2 * HOUR - MINUTE, to: MIDNIGHT + 3 * HOUR },
      { from: MIDNIGHT + 5 * HOUR - MINUTE, to: MIDNIGHT + 6 * HOUR },
    ]);
  });

  it('does not begin before that time, and is nothing where all is covered', () => {
    const within = { from: MIDNIGHT + 5 * HOUR, to: MIDNIGHT + 6 * HOUR };
    expect(stillAskedFor(coverage, within, MINUTE)).toEqual([within]);
    expect(stillAskedFor(coverage, { from: MIDNIGHT, to: MIDNIGHT + HOUR }, MINUTE)).toEqual([]);
  });
});

describe('the windows of an audit', () => {
  it('are the days of China, cut to what is covered', () => {
    const coverage = [
      { from: MIDNIGHT - 5 * DAY, to: MIDNIGHT + 2 * HOUR },
      { from: MIDNIGHT + 3 * HOUR, to: MIDNIGHT + DAY + HOUR },
    ];
    const within = { from: MIDNIGHT - HOUR, to: MIDNIGHT + DAY + 30 * MINUTE };
    expect(closedWindows(coverage, within)).toEqual([
      { from: MIDNIGHT - HOUR, to: MIDNIGHT },
      { from: MIDNIGHT, to: MIDNIGHT + 2 * HOUR },
      { from: MIDNIGHT + 3 * HOUR, to: MIDNIGHT + DAY },
      { from: MIDNIGHT + DAY, to: MIDNIGHT + DAY + 30 * MINUTE },
    ]);
    expect(closedWindows(coverage, { from: within.to, to: within.from })).toEqual([]);
    expect(closedWindows([], within)).toEqual([]);
  });

  it('make up what is covered, however it lies', () => {
    const hours = fc.integer({ min: -100, max: 100 }).map((hour) => MIDNIGHT + hour * HOUR);
    const interval = fc.tuple(hours, hours).map(([from, to]) => ({ from, to }));
    fc.assert(
      fc.property(fc.array(interval, { maxLength: 6 }), interval, (parts, within) => {
        const coverage = normalise(parts);
        const windows = closedWindows(coverage, within);
        expect(normalise(windows)).toEqual(clip(coverage, within));
        expect(span(windows)).toBe(span(clip(coverage, within)));
      }),
    );
  });

  it('are picked evenly, both ends among them', () => {
    expect(spreadEvenly([1, 2, 3, 4, 5], 3)).toEqual([1, 3, 5]);
    expect(spreadEvenly([1, 2, 3, 4, 5], 2)).toEqual([1, 5]);
    expect(spreadEvenly([1, 2, 3, 4, 5], 1)).toEqual([5]);
    expect(spreadEvenly([1, 2, 3], 9)).toEqual([1, 2, 3]);
    const list = Array.from({ length: 31 }, (_, index) => index);
    for (let count = 2; count <= 31; count += 1) {
      const picked = spreadEvenly(list, count);
      expect(new Set(picked).size).toBe(count);
    }
  });
});

describe('how late a change came', () => {
  const during = { from: MIDNIGHT, to: MIDNIGHT + MINUTE };

  it('is told by when it was last asked for in vain, and is the settle time at least', () => {
    expect(latenessOf(during, during.to + HOUR, 30 * SECOND)).toBe(HOUR);
    expect(latenessOf(during, during.to + SECOND, 30 * SECOND)).toBe(30 * SECOND);
    expect(latenessOf(during, null, 30 * SECOND)).toBe(30 * SECOND);
  });

  const SETTLE = 30 * SECOND;
  const finding = (late: number, span = MINUTE) => ({ during: { from: 0, to: span }, late });

  it('tells the overlap that was lacking, as closely as it is known when it changed', () => {
    const found = [finding(SETTLE), finding(HOUR), finding(10 * MINUTE, DAY)];
    expect(overlapNeeded(found.slice(0, 2), SETTLE)).toEqual({
      least: HOUR - SETTLE,
      closeness: MINUTE,
    });
    // By its closeness, one that is known less closely may have come later.
    expect(overlapNeeded(found, SETTLE)).toEqual({
      least: HOUR - SETTLE,
      closeness: DAY + 10 * MINUTE - HOUR,
    });
    expect(overlapNeeded([finding(SETTLE), { during: null, late: null }], SETTLE)).toBeNull();
  });

  it('is told to people as far as it is known', () => {
    const settings = { SYNC_SETTLE: SETTLE, SYNC_OVERLAP: 2 * MINUTE };
    const adviceOn = (late: number) => overlapAdvice([finding(late)], settings);
    expect(adviceOn(HOUR + SETTLE)).toBe(
      'only a SYNC_OVERLAP of more than 1h could have caught it; it is 2m',
    );
    expect(adviceOn(2 * MINUTE)).toBe(
      'only a SYNC_OVERLAP of more than 1m 30s (or up to 1m more: when it changed is known no closer) could have caught it; it is 2m',
    );
    expect(adviceOn(SETTLE)).toBe(
      'when it came is not known more closely: no run on record asked for it later',
    );
  });
});

describe('narrowing down', () => {
  const whole = { from: MIDNIGHT, to: MIDNIGHT + DAY };

  /** A source whose rows changed at these times; tells how often it was asked. */
  function sourceOf(changes: Readonly<Record<string, readonly number[]>>) {
    let asked = 0;
    const has = async (interval: { from: number; to: number }, keys: readonly string[]) => {
      asked += 1;
      const within = (at: number) => at >= interval.from && at < interval.to;
      return new Set(keys.filter((key) => changes[key]!.some(within)));
    };
    return { has, asked: () => asked };
  }

  it('places each row in the minute of its last change', async () => {
    const times = fc.array(fc.integer({ min: 0, max: DAY / SECOND - 1 }), {
      minLength: 1,
      maxLength: 3,
    });
    await fc.assert(
      fc.asyncProperty(fc.array(times, { minLength: 1, maxLength: 6 }), async (rows) => {
        const changes = Object.fromEntries(
          rows.map((seconds, key) => [`K${key}`, seconds.map((at) => MIDNIGHT + at * SECOND)]),
        );
        const { has } = sourceOf(changes);
        const keys = Object.keys(changes);
        const found = await narrowDown(whole, keys, { precision: MINUTE, requests: 1000 }, has);
        for (const key of keys) {
          const last = Math.max(...changes[key]!);
          const { from, to } = found.get(key)!;
          expect(from <= last && last < to).toBe(true);
          expect(to - from).toBeLessThanOrEqual(MINUTE);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('takes eleven requests for rows of one minute of a day, and never more than it may', async () => {
    const together = sourceOf({ A: [MIDNIGHT + 5 * HOUR], B: [MIDNIGHT + 5 * HOUR + SECOND] });
    await narrowDown(whole, ['A', 'B'], { precision: MINUTE, requests: 40 }, together.has);
    expect(together.asked()).toBe(11);
    const many = sourceOf({ A: [MIDNIGHT + HOUR], B: [MIDNIGHT + 9 * HOUR], C: [MIDNIGHT] });
    const found = await narrowDown(
      whole,
      ['A', 'B', 'C'],
      { precision: MINUTE, requests: 4 },
      many.has,
    );
    expect(many.asked()).toBe(4);
    expect(found.size).toBe(3);
    expect(halve({ from: 0, to: MINUTE }, MINUTE)).toBeNull();
  });
});
