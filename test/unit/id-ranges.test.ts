import { expect, it } from 'vitest';
import { formatIds, parseIds } from '../../src/web/id-ranges.ts';

it('numbers that follow one another are written as ranges, and read back', () => {
  const ids = [7, 1201, 1202, 1203, 1700, 5];
  expect(formatIds(ids)).toBe('5,7,1201-1203,1700');
  expect(parseIds(formatIds(ids), 10)).toEqual([5, 7, 1201, 1202, 1203, 1700]);
  expect(formatIds([])).toBe('');
});

it('two thousand numbers fit an address, however many others came in between', () => {
  const sparse = Array.from({ length: 2000 }, (_, index) => 10_000_000 + 3 * index);
  const far = sparse.map((id, index) => (index < 1000 ? id : id + 500));
  const text = formatIds(far);
  expect(text.length).toBeLessThan(2_000);
  const read = new Set(parseIds(text, 10_000));
  expect(far.every((id) => read.has(id))).toBe(true);
  // What lies between the two parts is farthest apart, and so not among them.
  expect(read.has(sparse[999]! + 100)).toBe(false);
});

it.each([
  ['', []],
  ['x', []],
  ['1,,2', [1, 2]],
  ['-3', []],
  ['4-', []],
  ['9-5', []],
  ['1.5,2e3,0x10', []],
  ['1-999999999999999,7', [1, 2, 3]],
  ['1,2-9', [1, 2, 3]],
  ['99999999999999999999', []],
])('of what somebody typed as an address, %j, no more is read than may be', (text, ids) => {
  expect(parseIds(text, 3)).toEqual(ids);
});
