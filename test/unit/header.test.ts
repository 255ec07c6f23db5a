import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeError, FatalError } from '../../src/core/errors.ts';
import { readHeader } from '../../src/core/table/header.ts';
import { DATASETS } from '../../src/datasets/catalogue.ts';
import { meters } from '../../src/datasets/meters.ts';

const NAMES = meters.columns.map((column) => column.header);
const without = (...gone: string[]) => NAMES.filter((name) => !gone.includes(name));

function refusal(fields: readonly string[]): FatalError {
  try {
    readHeader(fields, meters);
  } catch (error) {
    expect(error).toBeInstanceOf(FatalError);
    return error as FatalError;
  }
  throw new Error('the header was accepted');
}

describe('the header of a table (P6)', () => {
  it.each(DATASETS.map((dataset) => [dataset.name, dataset] as const))(
    'of %s is found by name, in any order',
    (_, dataset) => {
      const names = dataset.columns.map((column) => column.header);
      const orders = fc.shuffledSubarray(names, { minLength: names.length });
      fc.assert(
        fc.property(orders, (fields) => {
          const header = readHeader(fields, dataset);
          expect(header.positions.map((position) => fields[position])).toEqual(names);
          expect(header).toMatchObject({ width: names.length, unknown: [], absent: [] });
        }),
      );
    },
  );

  it('takes 机构编码 for 组织机构编码', () => {
    const fields = NAMES.map((name) => (name === '组织机构编码' ? '机构编码' : name));
    expect(readHeader(fields, meters).positions.at(-1)).toBe(fields.indexOf('机构编码'));
  });

  it('keeps columns that the document does not name', () => {
    const header = readHeader(['新列', ...NAMES, 'x'], meters);
    expect(header.width).toBe(NAMES.length + 2);
    expect(header.positions[0]).toBe(1);
    expect(header.unknown).toEqual([
      { position: 0, name: '新列' },
      { position: NAMES.length + 1, name: 'x' },
    ]);
  });

  it('takes a column of another dataset for an unknown one', () => {
    expect(readHeader([...NAMES, '气户户号'], meters).unknown).toMatchObject([
      { name: '气户户号' },
    ]);
  });

  it('tells unknown columns of one name, or without a name, apart', () => {
    const { unknown } = readHeader([...NAMES, 'x', 'x', '', ''], meters);
    expect(new Set(unknown.map(({ name }) => name)).size).toBe(4);
    expect(unknown.every(({ name }) => name !== '')).toBe(true);
  });

  it('tells unknown columns apart even where one is called as another would be', () => {
    const names = fc.constantFrom(
      'x',
      'x_11',
      'x_12',
      'x_13',
      'x_14',
      'column_12',
      'column_13',
      '',
    );
    fc.assert(
      fc.property(fc.array(names, { maxLength: 6 }), (more) => {
        const { unknown } = readHeader([...NAMES, ...more], meters);
        expect(new Set(unknown.map(({ name }) => name)).size).toBe(more.length);
      }),
      { examples: [[['x_13', 'x', 'x']], [['column_12', '']]] },
    );
  });

  it('does without an optional column and says so', () => {
    const fields = without('位置', '厂商代码');
    const header = readHeader(fields, meters);
    expect(header.absent).toEqual(['location', 'manufacturer_code']);
    expect(header.positions.filter((position) => position === -1)).toHaveLength(2);
  });

  it.each(meters.columns.filter((column) => column.required).map((column) => column.header))(
    'is refused without the required %s',
    (name) => {
      const error = refusal(without(name));
      expect(error.code).toBe('HEADER_MISMATCH');
      expect(error.message).toBe(
        `column ${name} is missing; the header has 9 fields, 9 of them known`,
      );
    },
  );

  it('is refused in the words of the design', () => {
    const error = refusal([...without('表具编号', '位置'), 'unheard of']);
    const subject = 'meters WJ0105 2026-11-01T00:00:00+08:00';
    expect(describeError(error, subject)).toContain(
      `HEADER_MISMATCH ${subject}: column 表具编号 is missing; the header has 9 fields, 8 of them known; `,
    );
  });

  it('is refused with all that it lacks, and without quoting what it has', () => {
    const { message } = refusal(['13800138000', '型号']);
    for (const name of ['表具编号', '表具类型', '表向', '状态', '气户编号', '组织机构编码']) {
      expect(message).toContain(name);
    }
    expect(message).not.toContain('13800138000');
    expect(message).toContain('the header has 2 fields, 1 of them known');
  });

  it('is refused where it names a known column twice, under either name', () => {
    expect(refusal([...NAMES, '型号']).message).toMatch(/^column 型号 stands 2 times; /);
    expect(refusal([...NAMES, '机构编码']).message).toMatch(
      /^column 组织机构编码 stands 2 times; /,
    );
  });
});
