import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { balances, EMPTY_RECEIPT, tooManyRejects } from '../../src/core/receipt.ts';

const GOOD = {
  lines: 16,
  accepted: 15,
  rejected: 1,
  inserted: 1,
  updated: 2,
  unchanged: 3,
  stale: 4,
  duplicate: 5,
  flagged: 7,
};

describe('a receipt (design invariant 3)', () => {
  it('balances when every line is accounted for', () => {
    expect(balances(EMPTY_RECEIPT)).toBe(true);
    expect(balances(GOOD)).toBe(true);
  });

  it.each([
    'lines',
    'accepted',
    'rejected',
    'inserted',
    'updated',
    'unchanged',
    'stale',
    'duplicate',
  ])('does not balance with one %s more or less', (counter) => {
    for (const by of [1, -1]) {
      const value = GOOD[counter as keyof typeof GOOD] + by;
      expect(balances({ ...GOOD, [counter]: value })).toBe(false);
    }
  });

  it('does not count flags against lines', () => {
    expect(balances({ ...GOOD, flagged: 0 })).toBe(true);
  });
});

describe('too many rejects (design invariant 8)', () => {
  it('are at least 20', () => {
    expect(tooManyRejects(19, 19, null)).toBe(false);
    expect(tooManyRejects(20, 20, null)).toBe(true);
  });

  it('are over 5 % of the lines', () => {
    expect(tooManyRejects(400, 20, null)).toBe(false);
    expect(tooManyRejects(399, 20, null)).toBe(true);
    expect(tooManyRejects(10_000, 500, null)).toBe(false);
    expect(tooManyRejects(10_000, 501, null)).toBe(true);
  });

  it('are judged by the percentage of a request alone where it has one', () => {
    expect(tooManyRejects(10, 1, 10)).toBe(false);
    expect(tooManyRejects(10, 2, 10)).toBe(true);
    expect(tooManyRejects(1000, 900, 90)).toBe(false);
    expect(tooManyRejects(1000, 901, 90)).toBe(true);
  });

  it('are any at all at 0 %, and none at 100 %', () => {
    expect(tooManyRejects(1_000_000, 1, 0)).toBe(true);
    fc.assert(
      fc.property(fc.nat(), fc.double({ min: 0, max: 1, noNaN: true }), (lines, share) => {
        expect(tooManyRejects(lines, Math.floor(lines * share), 100)).toBe(false);
      }),
    );
  });

  it('never come of an empty table', () => {
    expect(tooManyRejects(0, 0, null)).toBe(false);
    expect(tooManyRejects(0, 0, 0)).toBe(false);
  });
});
