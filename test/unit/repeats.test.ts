import { describe, expect, it } from 'vitest';
import { limitRepeats } from '../../src/core/repeats.ts';

describe('an event that repeats', () => {
  it('is let through once in a while', () => {
    const maySay = limitRepeats(60_000);
    const said = Array.from({ length: 13 }, (_, index) => maySay('away', index * 10_000));
    expect(said.flatMap((yes, index) => (yes ? [index] : []))).toEqual([0, 6, 12]);
  });

  it('does not hold up another', () => {
    const maySay = limitRepeats(60_000);
    expect([maySay('away', 0), maySay('full', 1), maySay('away', 2)]).toEqual([true, true, false]);
  });
});
