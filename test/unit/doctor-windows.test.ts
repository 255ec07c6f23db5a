import { expect, it } from 'vitest';
import { checkEnds, type Lines } from '../../src/cli/doctor-windows.ts';
import { DAY, SECOND } from '../../src/core/china-time.ts';
import type { Interval } from '../../src/core/interval.ts';
import { CATALOGUE } from '../../src/datasets/catalogue.ts';

const TO = Date.UTC(2026, 10, 20);
const WINDOW: Interval = { from: TO - DAY, to: TO };

/** A platform whose rows changed at these times, and that minds both ends of a window. */
function changedAt(...times: readonly number[]) {
  return async ({ from, to }: Interval): Promise<Lines> =>
    new Set(times.filter((at) => from <= at && at <= to).map((at) => `row of ${at}`));
}

it.each([
  ['last', [TO - 3 * SECOND, TO - SECOND]],
  ['first', [WINDOW.from, WINDOW.from + 2 * SECOND]],
])('two rows that changed in the %s seconds are no window without an end', async (_, times) => {
  const ask = changedAt(...times);
  const lines = await ask(WINDOW);
  expect(lines.size).toBe(2);
  const { result } = await checkEnds(CATALOGUE.meters, { window: WINDOW, lines }, ask);
  expect(result).toBe('ok');
});
