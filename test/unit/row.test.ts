import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readHeader } from '../../src/core/table/header.ts';
import { isRefusal, type Row, rowCheck } from '../../src/core/table/row.ts';
import { addresses } from '../../src/datasets/addresses.ts';

const NAMES = addresses.columns.map((column) => column.header);
const GOOD = ['330100', '33', 'C', '杭州市', '浙江省杭州市', 'WJ0105', 'A'];

function check(fields: readonly string[], names = NAMES, accepted: string[] = []) {
  const header = readHeader(names, addresses);
  const acceptOrg = (org: string) => accepted.includes(org);
  const check = rowCheck({ dataset: addresses, header, orgCode: 'WJ0105', acceptOrg });
  const result = check.fields(fields, 7);
  // A field that holds a bar can only have come in quotes.
  if (!fields.some((field) => field.includes('|'))) {
    const text = fields.join('|');
    const byLine = check.line(text, 7);
    const expected = isRefusal(result) ? result : { ...result, text };
    expect(isRefusal(byLine) ? byLine : taken(byLine)).toEqual(expected);
  }
  return result;
}

/** A row with all that it can be asked for. */
const taken = ({ lineNo, key, orgCode, values, flags, extra, text }: Row): Row => ({
  lineNo,
  key,
  orgCode,
  values,
  flags,
  extra,
  text: text ?? null,
});

/** The good record with one field changed. */
const having = (name: string, value: string) =>
  GOOD.map((field, index) => (addresses.columns[index]?.name === name ? value : field));

function row(fields: readonly string[], names = NAMES): Row {
  const result = check(fields, names);
  if (isRefusal(result)) throw new Error(`refused: ${result.reason}`);
  return result;
}

describe('a record (P6)', () => {
  it('becomes a row in the order of the columns', () => {
    const good = {
      lineNo: 7,
      key: '330100',
      orgCode: 'WJ0105',
      values: GOOD,
      flags: null,
      extra: null,
      text: null,
    };
    expect(row(GOOD)).toEqual(good);
    expect(row(GOOD.toReversed(), NAMES.toReversed()).values).toEqual(GOOD);
  });

  it('has null for an empty field', () => {
    expect(row(having('parent_address_code', ''))).toMatchObject({ flags: null });
    expect(row(having('parent_address_code', '')).values[1]).toBeNull();
  });

  it.each([
    ['too few fields', GOOD.slice(1), 'field_count', null],
    ['too many fields', [...GOOD, ''], 'field_count', null],
    ['no row key', having('address_code', ''), 'no_key', null],
    ['no 组织机构编码', having('org_code', ''), 'no_org', '330100'],
    ['another organisation', having('org_code', 'WJ0106'), 'other_org', '330100'],
    ['an organisation in other case', having('org_code', 'wj0105'), 'other_org', '330100'],
  ])('is refused with %s', (_, fields, reason, rowKey) => {
    expect(check(fields)).toEqual({ reason, rowKey });
  });

  it('of another organisation is stored where that one is accepted', () => {
    const result = check(having('org_code', 'WJ0106'), NAMES, ['WJ0106']);
    expect(result).toMatchObject({ values: having('org_code', 'WJ0106') });
    expect(check(having('org_code', 'WJ0107'), NAMES, ['WJ0106'])).toMatchObject({
      reason: 'other_org',
    });
  });
});

describe('a line that is nothing but its fields', () => {
  it('is judged as its fields are, whatever they are and in whatever order', () => {
    const field = fc.oneof(
      fc.constantFrom('', 'A', 'X', 'B', 'WJ0105', 'WJ0106', 'n'.repeat(61), '长'.repeat(256)),
      fc.string({ unit: 'binary', maxLength: 30 }).map((text) => text.replaceAll('|', '')),
    );
    const fields = fc.oneof(
      fc.tuple(...GOOD.map((good) => fc.oneof(fc.constant(good), field))),
      fc.array(field, { minLength: 1, maxLength: 9 }),
    );
    const names = fc.oneof(
      fc.constant(NAMES),
      fc.shuffledSubarray(NAMES, { minLength: NAMES.length }),
      fc.constantFrom([...NAMES, '新列'], NAMES.toSpliced(4, 1), NAMES.with(4, '新列')),
    );
    // `check` holds the two equal.
    fc.assert(
      fc.property(fields, names, (fields, names) => void check(fields, names, ['WJ0106'])),
      { numRuns: 2000 },
    );
  });
});

describe('a flag', () => {
  it.each([
    ['address_type', '6', 'address_type:code'],
    ['address_type', 'p', 'address_type:code'],
    ['address_type', 'constructor', 'address_type:length'],
    ['state', '', 'state:missing'],
    ['name', '', 'name:missing'],
    ['name', 'n'.repeat(61), 'name:length'],
    ['full_address', 'n'.repeat(256), 'full_address:length'],
    ['address_code', '1'.repeat(21), 'address_code:length'],
  ])('marks %s = %j and stores it', (name, value, flag) => {
    const result = row(having(name, value));
    expect(result.flags).toEqual([flag]);
    expect(result.values).toContain(value === '' ? null : value);
  });

  it.each(['P', 'C', 'D', 'T', 'S', 'G', 'B'])('does not mark the address type %s', (type) => {
    expect(row(having('address_type', type)).flags).toBeNull();
  });

  it('counts characters, not bytes or UTF-16 units', () => {
    for (const character of ['长', '😀', '𠮷', 'n']) {
      expect(row(having('name', character.repeat(60))).flags).toBeNull();
      expect(row(having('name', character.repeat(61))).flags).toEqual(['name:length']);
    }
  });

  it('stands for every fault of the record, in the order of the columns', () => {
    const fields = ['1', '', '6', '', 'n'.repeat(256), 'WJ0105', 'B'];
    expect(row(fields).flags).toEqual([
      'address_type:code',
      'name:missing',
      'full_address:length',
      'state:code',
    ]);
  });

  it('tells that the table lacks an optional column', () => {
    const names = NAMES.filter((name) => name !== '地址全称');
    const result = row(GOOD.toSpliced(4, 1), names);
    expect(result.flags).toEqual(['full_address:absent']);
    expect(result.values[4]).toBeNull();
  });
});

describe('what the document does not name', () => {
  it('is kept in extra by its name, where it has a value', () => {
    const names = [...NAMES, '新列', '空列', '__proto__'];
    expect(row([...GOOD, '值', '', 'x'], names).extra).toEqual(
      Object.fromEntries([
        ['新列', '值'],
        ['__proto__', 'x'],
      ]),
    );
    expect(row([...GOOD, '', '', ''], names).extra).toBeNull();
  });

  it('is never lost, whatever it is called', () => {
    const names = fc.array(fc.constantFrom('x', 'x_9', 'x_10', 'column_8', ''), { maxLength: 4 });
    fc.assert(
      fc.property(names, (more) => {
        const values = more.map((_, index) => `v${index}`);
        const { extra } = row([...GOOD, ...values], [...NAMES, ...more]);
        expect(Object.values(extra ?? {}).sort()).toEqual(values);
      }),
      { examples: [[['x_10', 'x', 'x']], [['column_9', '']]] },
    );
  });
});
