import fc from 'fast-check';
import { expect, test } from 'vitest';
import { keepKey, maskKey, maskLine } from '../../src/core/line-mask.ts';

test.each([
  ['20001|张三|A|13800138000|WJ0105', '20001|***|A|***|WJ0105'],
  ['AB1234567|1', 'AB***|1'],
  ['138-0013-8000|0512 6666 8888', '***|***'],
  ['Zhang|Li Si|O\u2019Brien', '***|***|***'],
  ['\u00d5\u00c5\u00c8\u00fd|\ufffd\ufffd', '***|***'],
  ['１３８００１３８０００', '***'],
  ['10001,张三,13800138000', '***'],
  ['\u001b[31m|"A"', '***|***'],
  ['a@b.cn||', '***||'],
])('%j is shown as %j', (line, masked) => {
  expect(maskLine(line)).toBe(masked);
});

test('a masked line is short, whatever it was', () => {
  expect(maskLine('A|'.repeat(10_000))).toHaveLength(120);
});

test('no masked line holds seven digits in a row, or anything but plain characters', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), (line) => {
      expect(maskLine(line)).toMatch(/^[A-Za-z0-9_./*|-]*$/);
      expect(maskLine(line)).not.toMatch(/\d{7}/);
    }),
  );
});

test('a key is shown where it is a code', () => {
  expect(maskKey('2023050501')).toBe('2023050501');
  expect(maskKey('WJ-0105')).toBe('WJ-0105');
  expect(maskKey('张三')).toBe('***');
  expect(maskKey('Zhang')).toBe('***');
});

test('a key is kept for good unless it holds Chinese', () => {
  expect(keepKey('2023050501')).toBe('2023050501');
  expect(keepKey('a key, odd as it is')).toBe('a key, odd as it is');
  expect(keepKey('张三')).toBeNull();
  expect(keepKey('A-李-1')).toBeNull();
  expect(keepKey(null)).toBeNull();
});

test('no number of seven digits and no Chinese comes through, wherever it stands in a line', () => {
  const digits = fc.stringMatching(/^[0-9]{7,20}$/);
  const chinese = fc.string({ unit: fc.constantFrom(...'张欧阳司徒〇𠮷㐂'), minLength: 1 });
  const field = fc
    .array(fc.oneof(digits, chinese, fc.constantFrom('', ' ', '|', '-', 'A', '7'), fc.string()))
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(field, (line) => {
      expect(maskLine(line)).not.toMatch(/\p{Nd}{7}|\p{Script=Han}/u);
      expect(maskKey(line)).not.toMatch(/\p{Script=Han}/u);
    }),
  );
});
