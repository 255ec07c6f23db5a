import { expect, test } from 'vitest';
import { type Finding, firstOfEach, tooManyAbsent } from '../../src/core/finding.ts';

test('an extract may lack 5 % of the rows, or 19 of however few, before it is taken for a part', () => {
  expect(tooManyAbsent(19, 19, null)).toBe(false);
  expect(tooManyAbsent(20, 20, null)).toBe(true);
  expect(tooManyAbsent(1000, 50, null)).toBe(false);
  expect(tooManyAbsent(1000, 51, null)).toBe(true);
});

test('a limit of its own counts for few rows as well', () => {
  expect(tooManyAbsent(10, 5, 50)).toBe(false);
  expect(tooManyAbsent(10, 6, 50)).toBe(true);
  expect(tooManyAbsent(10, 1, 0)).toBe(true);
  expect(tooManyAbsent(10, 10, 100)).toBe(false);
});

test('of each kind the first 1,000 are kept, those before counted in', () => {
  const many = (kind: 'missing' | 'extra', count: number): Finding[] =>
    Array.from({ length: count }, (_, index) => ({ kind, rowKey: `${index}`, columns: null }));
  const found = [...many('missing', 1200), ...many('extra', 3)];
  expect(firstOfEach(found)).toEqual([...found.slice(0, 1000), ...found.slice(1200)]);
  expect(firstOfEach(found, { missing: 990, extra: 1000 })).toEqual(found.slice(0, 10));
});
