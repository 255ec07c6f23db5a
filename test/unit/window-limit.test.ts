import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DAY, HOUR, MINUTE } from '../../src/core/china-time.ts';
import type { ErrorCode } from '../../src/core/errors.ts';
import { SHORTEST_WINDOW } from '../../src/core/window.ts';
import { LIMIT_RUNS, type WindowRun, windowLimit } from '../../src/core/window-limit.ts';

const LONGEST = 28 * DAY;
const run = (errorCode: ErrorCode | null, length = LONGEST): WindowRun => ({ errorCode, length });

describe('the limit of a window (P5)', () => {
  it('is the longest window while nothing fails for its size', () => {
    expect(windowLimit([], LONGEST)).toBe(LONGEST);
    expect(windowLimit([run('SOURCE_UNAVAILABLE'), run('SOURCE_UNAVAILABLE')], LONGEST)).toBe(
      LONGEST,
    );
  });

  it('is half of a window that timed out or was cut again, not of one that was so once', () => {
    expect(windowLimit([run('DOWNLOAD_TIMEOUT'), run(null)], LONGEST)).toBe(LONGEST);
    expect(windowLimit([run('DOWNLOAD_TIMEOUT'), run('TRUNCATED')], LONGEST)).toBe(14 * DAY);
  });

  it('is half of a window that was too large at once', () => {
    expect(windowLimit([run('TOO_LARGE')], LONGEST)).toBe(14 * DAY);
  });

  it('stays so through the windows that go well, and grows back when the failure lies far back', () => {
    const well = (count: number) => Array<WindowRun>(count).fill(run(null, 14 * DAY));
    const failed = [run('TRUNCATED'), run('TRUNCATED')];
    expect(windowLimit([...well(LIMIT_RUNS - 1), ...failed], LONGEST)).toBe(14 * DAY);
    expect(windowLimit([...well(LIMIT_RUNS), ...failed], LONGEST)).toBe(LONGEST);
  });

  it('falls to an hour and no further, and never grows a window that is shorter from the start', () => {
    const short = [run('TOO_LARGE', 90 * MINUTE)];
    expect(windowLimit(short, LONGEST)).toBe(SHORTEST_WINDOW);
    expect(windowLimit([run('TOO_LARGE', 10 * MINUTE)], 10 * MINUTE)).toBe(10 * MINUTE);
    expect(windowLimit([run('TOO_LARGE', HOUR)], LONGEST)).toBe(HOUR);
  });

  it('is reached by halving again and again, whatever the first length', () => {
    fc.assert(
      fc.property(fc.integer({ min: 3600, max: 28 * 86_400 }), (seconds) => {
        const longest = seconds * 1000;
        let runs: WindowRun[] = [];
        for (let step = 0; step < LIMIT_RUNS; step += 1) {
          runs = [run('TRUNCATED', windowLimit(runs, longest)), ...runs];
        }
        expect(windowLimit(runs, longest)).toBe(Math.min(longest, SHORTEST_WINDOW));
      }),
    );
  });
});
