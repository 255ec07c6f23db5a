import { describe, expect, it } from 'vitest';
import { DAY, HOUR, parseTime } from '../../src/core/china-time.ts';
import { planDeep } from '../../src/core/deep.ts';
import { reach } from '../../src/core/window.ts';

const NOW = parseTime('2026-06-10T12:00:00')!;
const TO = NOW - HOUR;
const SETTINGS = { every: DAY, span: DAY };
const feed = {
  feedId: 3,
  coverage: [{ from: reach(NOW), to: TO }],
  nextDeepAt: NOW - 1,
  open: false,
};

describe('a deep re-read', () => {
  it('takes in the span before the watermark once its time has come', () => {
    const { nextDeepAt, during } = planDeep(feed, SETTINGS, NOW);
    expect(during).toEqual({ from: TO - DAY, to: TO });
    expect(nextDeepAt).toBeGreaterThan(NOW);
    expect(nextDeepAt).toBeLessThanOrEqual(NOW + DAY);
  });

  it('waits for its time', () => {
    const early = { ...feed, nextDeepAt: NOW + 1 };
    expect(planDeep(early, SETTINGS, NOW)).toEqual({ nextDeepAt: NOW + 1, during: null });
  });

  it('is planned but not made for a feed that was just loaded', () => {
    const { nextDeepAt, during } = planDeep({ ...feed, nextDeepAt: null }, SETTINGS, NOW);
    expect(during).toBeNull();
    expect(nextDeepAt).toBeGreaterThan(NOW);
  });

  it('does not pile up behind one that is still open', () => {
    expect(planDeep({ ...feed, open: true }, SETTINGS, NOW).during).toBeNull();
  });

  it('never reaches beyond what the platform still serves', () => {
    const old = { ...feed, coverage: [{ from: 0, to: reach(NOW) + HOUR }] };
    const expected = { from: reach(NOW), to: reach(NOW) + HOUR };
    expect(planDeep(old, SETTINGS, NOW).during).toEqual(expected);
    const lost = { ...feed, coverage: [{ from: 0, to: reach(NOW) - HOUR }] };
    expect(planDeep(lost, SETTINGS, NOW).during).toBeNull();
  });

  it('is never made where it is switched off', () => {
    const off = planDeep(feed, { every: 0, span: DAY }, NOW);
    expect(off).toEqual({ nextDeepAt: null, during: null });
  });
});
