import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  FieldParser,
  plainSplitter,
  type Splitter,
  type TextRecord,
} from '../../src/core/table/field-parser.ts';

async function split(splitter: Splitter, chunks: readonly string[]): Promise<TextRecord[]> {
  const records = chunks.flatMap((chunk) => splitter.push(chunk));
  return [...records, ...(await splitter.end())];
}

const seen = (records: readonly TextRecord[]) =>
  records.map(({ fields, line, text }) => ({ fields, line, text: text ?? fields.join('|') }));

describe('the splitter of plain lines', () => {
  const piece = fc.oneof(
    fc.constantFrom('\n', '\n', '\r\n', '\r', '|', '|', '', '"', '\\', 'a', ' ', '张', '\ufeff'),
    fc.string({ unit: 'binary', maxLength: 5 }),
  );
  const chunk = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(''));

  it('gives what csv-parse gives without quotes, for any text in any chunks', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(chunk, { maxLength: 6 }), async (chunks) => {
        const reference = await split(new FieldParser('none'), [chunks.join('')]);
        expect(seen(await split(plainSplitter(), chunks))).toEqual(seen(reference));
      }),
      { numRuns: 1000 },
    );
  });

  it('tells that its text is nothing but the fields, which quotes may deny', async () => {
    const [plain] = await split(plainSplitter(), ['"a"|b\n']);
    expect({ ...plain, fields: plain!.fields }).toEqual({
      fields: ['"a"', 'b'],
      line: 1,
      text: '"a"|b',
      plain: true,
    });
    const [quoted] = await split(new FieldParser('rfc4180'), ['"a"|b\n']);
    expect(quoted).toEqual({ fields: ['a', 'b'], line: 1, text: '"a"|b', plain: false });
  });
});
