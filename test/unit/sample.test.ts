import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { agreesMasked, differingColumns } from '../../src/core/masked.ts';
import { drawPlaces, proofOf, sampleSize, upperBound } from '../../src/core/sample.ts';

describe('what a sample proves', () => {
  it('is what the tables of Clopper and Pearson say', () => {
    expect(upperBound(0, 200, 0.95)).toBeCloseTo(0.01487, 5);
    expect(upperBound(1, 200, 0.95)).toBeCloseTo(0.0235, 4);
    expect(upperBound(10, 100, 0.95)).toBeCloseTo(0.1637, 4);
    expect(upperBound(0, 300, 0.95)).toBeCloseTo(0.00994, 5);
    expect(upperBound(0, 1, 0.95)).toBeCloseTo(0.95, 6);
    expect(upperBound(3, 3, 0.95)).toBe(1);
    expect(upperBound(0, 0, 0.95)).toBe(1);
    // Far too many to add up as plain powers.
    expect(upperBound(5000, 100_000, 0.99)).toBeCloseTo(0.0516, 3);
  });

  it('grows with the sample and shrinks with what is wrong and how sure one wants to be', () => {
    const numbers = fc.tuple(fc.integer({ min: 1, max: 500 }), fc.nat({ max: 50 }));
    fc.assert(
      fc.property(numbers, ([drawn, wrong]) => {
        fc.pre(wrong < drawn);
        const bound = upperBound(wrong, drawn, 0.95);
        expect(bound).toBeGreaterThan(wrong / drawn);
        expect(upperBound(wrong, drawn + 1, 0.95)).toBeLessThanOrEqual(bound + 1e-9);
        expect(upperBound(wrong, drawn, 0.99)).toBeGreaterThanOrEqual(bound);
        expect(upperBound(Math.min(wrong + 1, drawn), drawn, 0.95)).toBeGreaterThan(bound);
      }),
    );
  });

  it('is the share itself where all rows were drawn, and nothing where none was', () => {
    expect(proofOf(3, 60, true, 0.95)).toEqual({
      drawn: 60,
      wrong: 3,
      isWhole: true,
      atMost: 0.05,
    });
    expect(proofOf(0, 200, false, 0.95)!.atMost).toBeCloseTo(0.01487, 5);
    expect(proofOf(0, 0, true, 0.95)).toBeNull();
  });

  it('takes as many rows as the bound wants', () => {
    expect(sampleSize(0.015, 0.95)).toBe(199);
    for (const [share, confidence] of [
      [0.015, 0.95],
      [0.015, 0.99],
      [0.001, 0.9],
      [0.3, 0.5],
    ] as const) {
      const size = sampleSize(share, confidence);
      expect(upperBound(0, size, confidence)).toBeLessThanOrEqual(share + 1e-9);
      expect(upperBound(0, size - 1, confidence)).toBeGreaterThan(share);
    }
  });
});

describe('drawing places', () => {
  it('draws each place once, and the same again by the same seed', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 1, max: 300 }),
        fc.nat(),
        (total, count, seed) => {
          const places = drawPlaces(total, count, seed);
          expect(new Set(places).size).toBe(Math.min(total, count));
          expect(places.every((place) => place >= 1 && place <= total)).toBe(true);
          expect(drawPlaces(total, count, seed)).toEqual(places);
        },
      ),
    );
  });

  it('favours none of them', () => {
    const hits = Array.from({ length: 10 }, () => 0);
    for (let seed = 0; seed < 2000; seed += 1) {
      for (const place of drawPlaces(10, 3, seed)) hits[place - 1]! += 1;
    }
    // 600 each on average; 100 is about five standard deviations.
    for (const count of hits) expect(Math.abs(count - 600)).toBeLessThan(100);
  });
});

describe('a masked text', () => {
  it.each([
    ['张**', '张三', true],
    ['张**', '李四', false],
    ['136****0001', '13612340001', true],
    ['136****0001', '13612340002', false],
    ['136****0001', '1360001', true],
    ['1360****0001', '1360001', false],
    ['木岭******室', '木岭小区3幢2室', true],
    ['**岭*2*', '木岭小区3幢2室', true],
    ['**岭*2*', '木小区3幢', false],
    ['*a*a', 'xa', false],
    ['＊＊三', '张三', true],
    ['******', null, true],
    ['张**', null, false],
    ['张三', '张三', true],
    ['张三', '张三丰', false],
    ['A', null, false],
    [null, '张三', true],
  ])('%s of %s agrees: %s', (shown, stored, agrees) => {
    expect(agreesMasked(shown, stored)).toBe(agrees);
  });

  it('agrees with any text of which parts were starred', () => {
    const text = fc.string({
      unit: fc.constantFrom('a', 'b', '张', '1'),
      minLength: 1,
      maxLength: 12,
    });
    fc.assert(
      fc.property(text, fc.nat(), fc.nat(), (whole, a, b) => {
        const [from, to] = [a % whole.length, b % whole.length].sort((x, y) => x - y) as [
          number,
          number,
        ];
        expect(agreesMasked(`${whole.slice(0, from)}**${whole.slice(to)}`, whole)).toBe(true);
      }),
    );
  });

  it('tells columns that can not be those of the row, and none that it does not show', () => {
    const stored = { name: '张三', state: 'A', mobile: null, telephone: '0512' };
    expect(differingColumns({ name: '李*', state: null, mobile: '13*' }, stored)).toEqual([
      'name',
      'mobile',
    ]);
  });
});
