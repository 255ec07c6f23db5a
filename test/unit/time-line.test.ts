import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DAY, HOUR, MINUTE } from '../../src/core/china-time.ts';
import { gapsOf } from '../../src/core/health.ts';
import { holdingOf } from '../../src/core/holding.ts';
import { clip, normalise, span } from '../../src/core/interval.ts';
import { timeLine } from '../../src/core/time-line.ts';
import { reach } from '../../src/core/window.ts';

const NOW = Date.UTC(2026, 9, 20, 4);
const SETTINGS = { every: 15 * MINUTE, settle: 30_000 };

const at = fc.integer({ min: -60 * 24, max: 0 }).map((hours) => NOW + hours * HOUR);
const set = fc
  .array(fc.tuple(at, at), { maxLength: 6 })
  .map((pairs) => normalise(pairs.map(([from, to]) => ({ from, to }))));

describe('the time line of a feed', () => {
  it('lies without a hole from promise or reach up to now, each instant in one state', () => {
    fc.assert(
      fc.property(fc.option(at), set, set, fc.boolean(), (since, covered, accepted, isFull) => {
        const coverage = isFull
          ? normalise([...covered, { from: -Infinity, to: NOW - DAY }])
          : covered;
        const feed = { since, coverage, accepted, every: null };
        const holes = gapsOf(feed, NOW, SETTINGS);
        const line = timeLine(feed, holes, NOW);
        expect(line[0]!.from).toBe(Math.min(since ?? NOW, reach(NOW)));
        expect(line.at(-1)!.to).toBe(NOW);
        for (const [index, { from, to }] of line.entries()) {
          expect(from).toBeLessThan(to);
          if (index > 0) expect(from).toBe(line[index - 1]!.to);
        }
        const of = (state: string) => span(line.filter((one) => one.state === state));
        const whole = { from: line[0]!.from, to: NOW };
        expect(of('covered')).toBe(span(clip(coverage, whole)));
        expect(of('open') + of('expired')).toBe(span(holes));
        if (since === null) expect(of('pending')).toBe(0);
      }),
    );
  });

  it('calls what has just come to be loaded, and what lies before the promise not promised', () => {
    const since = NOW - DAY;
    const feed = { since, coverage: [{ from: since, to: NOW - MINUTE }], accepted: [] };
    expect(timeLine(feed, [], NOW).map(({ state }) => state)).toEqual([
      'unpromised',
      'covered',
      'pending',
    ]);
  });
});

describe('what a feed holds', () => {
  const feed = { since: NOW - DAY, baselineAt: null, accepted: [], watermark: NOW };

  it('is nothing before anything was loaded', () => {
    expect(holdingOf({ ...feed, coverage: [], watermark: null })).toBeNull();
  });

  it('is changes since the start of what is covered, or all as of an extract without holes', () => {
    const coverage = [{ from: NOW - HOUR, to: NOW }];
    expect(holdingOf({ ...feed, coverage })).toEqual({
      isFull: false,
      from: NOW - HOUR,
      lacks: 'nothing',
    });
    const full = { ...feed, baselineAt: NOW - 2 * HOUR, coverage };
    expect(holdingOf(full)).toMatchObject({ isFull: true, lacks: 'gaps' });
    const hole = { from: NOW - 2 * HOUR, to: NOW - HOUR };
    expect(holdingOf({ ...full, accepted: [hole] })).toMatchObject({ lacks: 'accepted gaps' });
    expect(holdingOf({ ...full, coverage: [hole, ...coverage] })).toMatchObject({
      lacks: 'nothing',
    });
  });
});
