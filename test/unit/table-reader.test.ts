import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RetryableError, SyncError } from '../../src/core/errors.ts';
import type { Header } from '../../src/core/table/header.ts';
import type { Reject, Row } from '../../src/core/table/row.ts';
import { readTable, type TableOptions } from '../../src/core/table/table-reader.ts';
import { addresses } from '../../src/datasets/addresses.ts';
import { tableOptions } from '../support/table-options.ts';

const NAMES = addresses.columns.map((column) => column.header);
const HEADER = NAMES.join('|');
const ORG = 'WJ0105';
const row = (code: string, name = 'n') => `${code}|0|B|${name}|full|${ORG}|A`;

const OPTIONS = tableOptions(addresses, ORG);
const QUOTED = { quotes: 'rfc4180' } as const;

interface Result {
  readonly header: Header;
  readonly rows: readonly Row[];
  readonly rejects: readonly Reject[];
}

type Chunks = Iterable<Buffer> | AsyncIterable<Buffer>;

async function read(chunks: Chunks, options: Partial<TableOptions> = {}): Promise<Result> {
  const body = (async function* () {
    yield* chunks;
  })();
  const { header, batches } = await readTable(body, { ...OPTIONS, ...options });
  const rows: Row[] = [];
  const rejects: Reject[] = [];
  for await (const batch of batches) {
    rows.push(...batch.rows);
    rejects.push(...batch.rejects);
  }
  return { header, rows, rejects };
}

function* cut(bytes: Buffer, sizes: readonly number[]): Generator<Buffer> {
  for (let start = 0, turn = 0; start < bytes.length; turn++) {
    const size = sizes[turn % sizes.length]!;
    yield bytes.subarray(start, start + size);
    start += size;
  }
}

const readText = (text: string, options?: Partial<TableOptions>) =>
  read([Buffer.from(text)], options);
const keys = ({ rows }: Result) => rows.map(({ lineNo, values }) => [lineNo, values[0]]);
const refused = ({ rejects }: Result) => rejects.map(({ lineNo, reason }) => [lineNo, reason]);
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

describe('a table (P6)', () => {
  it('with a header only holds no changes', async () => {
    for (const text of [HEADER, `${HEADER}\n`, `${HEADER}\r\n\r\n`]) {
      expect(await readText(text)).toMatchObject({ rows: [], rejects: [] });
    }
  });

  it.each([
    ['LF', '\n', ''],
    ['CRLF', '\r\n', ''],
    ['a BOM', '\n', '\ufeff'],
  ])('may come with %s, and with or without the last line end', async (_, end, start) => {
    for (const last of ['', end]) {
      const result = await readText(`${start}${HEADER}${end}${row('1')}${end}${row('2')}${last}`);
      expect(keys(result)).toEqual([
        [2, '1'],
        [3, '2'],
      ]);
      expect(result.rows[1]?.values).toEqual(['2', '0', 'B', 'n', 'full', ORG, 'A']);
      expect(result.rejects).toEqual([]);
    }
  });

  it('has blank lines skipped and still counted', async () => {
    const result = await readText(`\n\r\n${HEADER}\n\n${row('1')}\r\n\r\nbad\n\n${row('2')}\n\n`);
    expect(keys(result)).toEqual([
      [5, '1'],
      [9, '2'],
    ]);
    expect(refused(result)).toEqual([[7, 'field_count']]);
  });

  it('does not take a line of blanks for a blank line', async () => {
    expect(refused(await readText(`${HEADER}\n \n`))).toEqual([[2, 'field_count']]);
  });

  it('holds quotes and backslashes as plain characters', async () => {
    const names = ['"', '""', '"a"b', 'a"', '\\', 'a\\', '\\"', "'", '#x', ' padded '];
    const result = await readText(`${HEADER}\n${names.map((name) => row('1', name)).join('\n')}`);
    expect(result.rows.map(({ values }) => values[3])).toEqual(names);
  });

  it('is known by its header, whatever the order, with the unknown in extra', async () => {
    const names = ['新列', ...NAMES.toReversed()];
    const line = ['值', ...row('1').split('|').toReversed()].join('|');
    const { rows } = await readText(`${names.join('|')}\n${line}\n`);
    expect(rows[0]).toMatchObject({ values: row('1').split('|'), extra: { 新列: '值' } });
  });

  it('is refused as a whole without a required column', async () => {
    const text = `${NAMES.slice(1).join('|')}\nx\n`;
    await expect(readText(text)).rejects.toMatchObject({ code: 'HEADER_MISMATCH' });
    await expect(readText('')).rejects.toMatchObject({ code: 'HEADER_MISMATCH' });
  });

  it('never names a kept column with a NUL, which no database stores', async () => {
    const names = await readText(`${HEADER}|x\0y\n`).then(
      ({ header }) => header.unknown.map(({ name }) => name),
      (error: SyncError) => [error.code],
    );
    expect(names).toHaveLength(1);
    expect(names[0]).not.toContain('\0');
  });

  it('whose header never ends is refused after 64 KiB', async () => {
    let read = 0;
    const endless = (function* () {
      for (; read < 1000; read++) yield Buffer.alloc(1024, 'a');
    })();
    await expect(readTable(bodyOf(endless), OPTIONS)).rejects.toMatchObject({
      code: 'HEADER_MISMATCH',
    });
    expect(read).toBeLessThan(70);
  });

  it('whose header is longer than 64 KiB is refused whatever the chunks', async () => {
    const header = (length: number) =>
      Buffer.concat([Buffer.from(`${HEADER}|`), Buffer.alloc(length, 'x')]).subarray(0, length);
    for (const size of [1000, 70_000, 1 << 20]) {
      for (const end of ['', '\n', '\r\n']) {
        const ended = (length: number) => Buffer.concat([header(length), Buffer.from(end)]);
        expect(ended(65_536).length).toBe(65_536 + end.length);
        expect((await read(cut(ended(65_536), [size]))).rows).toEqual([]);
        await expect(read(cut(ended(65_537), [size]))).rejects.toMatchObject({
          code: 'HEADER_MISMATCH',
        });
      }
    }
  });

  it('gives its body back when the header is refused', async () => {
    let closed = false;
    const chunks = (function* () {
      try {
        for (;;) yield Buffer.from('a|b\n');
      } finally {
        closed = true;
      }
    })();
    await expect(readTable(bodyOf(chunks), OPTIONS)).rejects.toMatchObject({
      code: 'HEADER_MISMATCH',
    });
    expect(closed).toBe(true);
  });

  it('passes on what the body throws', async () => {
    const error = new RetryableError('TRUNCATED', 'cut');
    const chunks = (async function* () {
      yield Buffer.from(`${HEADER}\n${row('1')}\n`);
      throw error;
    })();
    await expect(read(chunks)).rejects.toBe(error);
  });

  it('gives its body back when nobody reads on', async () => {
    let closed = false;
    const chunks = (function* () {
      try {
        for (;;) yield Buffer.from(`${HEADER}\n${row('1')}\n`);
      } finally {
        closed = true;
      }
    })();
    const { batches } = await readTable(bodyOf(chunks), OPTIONS);
    for await (const _ of batches) break;
    expect(closed).toBe(true);
  });
});

async function* bodyOf(chunks: Iterable<Buffer>): AsyncGenerator<Buffer> {
  yield* chunks;
}

describe('a refused line (P6)', () => {
  it('leaves all others alone, and numbers stay right', async () => {
    const lines = [
      row('1'),
      'a|b',
      row(''),
      row('4').replace(ORG, ''),
      row('5').replace(ORG, 'WJ0106'),
      row('6\0'),
      '\xff',
      'x'.repeat(70_000),
      row('9'),
    ];
    const bytes = lines.map((line) => Buffer.from(`${line}\n`, 'latin1'));
    const result = await read([Buffer.from(`${HEADER}\n`), ...bytes]);
    expect(keys(result)).toEqual([
      [2, '1'],
      [10, '9'],
    ]);
    expect(refused(result)).toEqual([
      [3, 'field_count'],
      [4, 'no_key'],
      [5, 'no_org'],
      [6, 'other_org'],
      [7, 'nul'],
      [8, 'encoding'],
      [9, 'too_long'],
    ]);
    expect(result.rejects.map(({ rowKey }) => rowKey).slice(0, 4)).toEqual([null, null, '4', '5']);
  });

  it('keeps its text and a hash by which it is known again', async () => {
    const { rejects } = await readText(`${HEADER}\na|"b"\n\na|"b"\r\n`);
    expect(rejects).toMatchObject([
      { lineNo: 2, line: 'a|"b"', hash: sha256('a|"b"') },
      { lineNo: 4, line: 'a|"b"', hash: sha256('a|"b"') },
    ]);
  });

  it('has the same hash with CRLF as with LF, for whatever reason it was refused', async () => {
    for (const line of ['a|b', 'a\0b', 'x'.repeat(70_000)]) {
      const { rejects } = await readText(`${HEADER}\n${line}\n${line}\r\n`);
      expect(rejects[1]?.hash).toBe(rejects[0]?.hash);
    }
  });

  it('of another organisation is a row where that one is accepted', async () => {
    const line = row('1').replace(ORG, 'WJ0106');
    const acceptOrg = (org: string) => org === 'WJ0106';
    expect(keys(await readText(`${HEADER}\n${line}\n`, { acceptOrg }))).toEqual([[2, '1']]);
    expect(refused(await readText(`${HEADER}\n${line}\n`))).toEqual([[2, 'other_org']]);
  });

  it('of 65,536 bytes is none, of 65,537 is one', async () => {
    const line = (length: number) => row('1', 'n'.repeat(length - row('1', '').length));
    const result = await readText(`${HEADER}\n${line(65_536)}\n${line(65_537)}\n${row('2')}`);
    expect(keys(result)).toEqual([
      [2, '1'],
      [4, '2'],
    ]);
    expect(result.rows[0]?.flags).toEqual(['name:length']);
    expect(refused(result)).toEqual([[3, 'too_long']]);
  });

  it('of 10 MB takes no more memory than a chunk and a line', async () => {
    const chunk = Buffer.alloc(65_536, 'x');
    const used: number[] = [];
    const chunks = (function* () {
      yield Buffer.from(`${HEADER}\n${row('1')}\n`);
      for (let sent = 0; sent < 160; sent++) {
        yield chunk;
        used.push(process.memoryUsage().arrayBuffers);
      }
      yield Buffer.from(`\n${row('2')}\n`);
    })();
    const result = await read(chunks);
    expect(keys(result)).toEqual([
      [2, '1'],
      [4, '2'],
    ]);
    expect(result.rejects).toMatchObject([{ lineNo: 3, reason: 'too_long' }]);
    expect(result.rejects[0]!.line.length).toBeLessThanOrEqual(65_536);
    expect(Math.max(...used) - used[0]!).toBeLessThan(1 << 20);
  });
});

/** GB18030 bytes of every character that takes two of them. */
const GB = new Map<string, Buffer>();
for (let lead = 0x81; lead <= 0xfe; lead++) {
  for (let trail = 0x40; trail <= 0xfe; trail++) {
    const bytes = Buffer.from([lead, trail]);
    const character = new TextDecoder('gb18030').decode(bytes);
    if ([...character].length === 1 && character !== '\ufffd') GB.set(character, bytes);
  }
}
const gb = (text: string) =>
  Buffer.concat([...text].map((character) => GB.get(character) ?? Buffer.from(character)));
const withBar = [...GB.keys()].filter((character) => GB.get(character)![1] === 0x7c);
const withSlash = [...GB.keys()].filter((character) => GB.get(character)![1] === 0x5c);

describe('a table in GB18030', () => {
  it('is read without a hint', async () => {
    const { rows } = await read([gb(`${HEADER}\n${row('1', '张三')}\n`)]);
    expect(rows[0]?.values[3]).toBe('张三');
  });

  it("keeps characters whose second byte is '|' or '\\' whole", async () => {
    expect(withBar.length).toBeGreaterThan(100);
    const name = [...withBar.slice(0, 20), ...withSlash.slice(0, 20)].join('');
    for (const sizes of [[1], [2], [3], [1000]]) {
      const bytes = gb(`${HEADER}\n${row('1', name)}\n`);
      const result = await read(cut(bytes, sizes));
      expect(result.rows[0]?.values[3]).toBe(name);
      expect(result.rejects).toEqual([]);
    }
  });

  it('refuses a line with bytes that are not valid in it', async () => {
    const bytes = [gb(`${HEADER}\n`), Buffer.from([0x61, 0xff, 0x0a]), gb(row('2', '张'))];
    const result = await read(bytes);
    expect(refused(result)).toEqual([[2, 'encoding']]);
    expect(keys(result)).toEqual([[3, '2']]);
  });

  it('is read by force against a header that says nothing', async () => {
    const bytes = gb(`${HEADER}\n${row('1', '张三')}\n`);
    await expect(read([bytes], { forcedCharset: 'utf-8' })).rejects.toMatchObject({
      code: 'HEADER_MISMATCH',
    });
    const { rows } = await read([bytes], { forcedCharset: 'gb18030' });
    expect(rows[0]?.values[3]).toBe('张三');
  });
});

describe('a table with quotes (rfc4180)', () => {
  it('has bars, line ends and doubled quotes in quoted fields', async () => {
    const text = `"${NAMES.join('"|"')}"\r\n${row('1', '"a|b\n""c"" d"')}\r\n\n${row('2')}\n`;
    for (const size of [1, 5, 10_000]) {
      const result = await read(cut(Buffer.from(text), [size]), QUOTED);
      expect(result.rows.map(({ values }) => values[3])).toEqual(['a|b\n"c" d', 'n']);
      expect(result.rows[1]?.lineNo).toBe(5);
      expect(result.rejects).toEqual([]);
    }
  });

  it('takes a quoted empty field for null', async () => {
    const { rows } = await readText(`${HEADER}\n${row('1', '""')}\n`, QUOTED);
    expect(rows[0]).toMatchObject({ flags: ['name:missing'] });
  });

  it('keeps the text of a refused line as it was sent', async () => {
    const { rejects } = await readText(`${HEADER}\n"a"|b\r\n`, QUOTED);
    expect(rejects).toMatchObject([
      { reason: 'field_count', line: '"a"|b', hash: sha256('"a"|b') },
    ]);
  });

  it('does not take a CR for a line, nor one at the very end for a line end', async () => {
    const { rejects } = await readText(`${HEADER}\n\r\r\nb\rc\nd\r`, QUOTED);
    expect(rejects).toMatchObject([
      { lineNo: 2, hash: sha256('\r') },
      { lineNo: 3, hash: sha256('b\rc') },
      { lineNo: 4, hash: sha256('d\r') },
    ]);
  });

  it('keeps no more of a quoted record than a mebibyte, however many of its lines are unreadable', async () => {
    const bad = Buffer.from(`${'x'.repeat(60_000)}\0\n`);
    let sent = 0;
    const chunks = (function* () {
      yield Buffer.from(`${HEADER}\n"\n`);
      for (; sent < 1000; sent++) yield bad;
    })();
    await expect(read(chunks, QUOTED)).rejects.toMatchObject({ code: 'MALFORMED_TABLE' });
    expect(sent).toBeLessThan(25);
    const closed = Buffer.concat([Buffer.from(`${HEADER}\n"\n`), ...Array(20).fill(bad)]);
    await expect(read([closed, Buffer.from('"\n')], QUOTED)).rejects.toMatchObject({
      code: 'MALFORMED_TABLE',
    });
  });

  it('refuses a quoted record with unreadable lines once, and reads on', async () => {
    const text = `${HEADER}\n"a\nb\0\nc\0\nd"\ne\0\n${row('7')}\n`;
    const result = await readText(text, QUOTED);
    expect(refused(result)).toEqual([
      [5, 'nul'],
      [6, 'nul'],
    ]);
    expect(keys(result)).toEqual([[7, '7']]);
  });

  it('does not lose a line of nothing but quotes', async () => {
    const result = await readText(`${HEADER}\n""\n${row('2')}\n`, QUOTED);
    expect(refused(result)).toEqual([[2, 'field_count']]);
  });

  it('is refused as a whole for a quote out of place, since the lines behind it can not be told apart', async () => {
    for (const name of ['a"b"c"d', '"a"b']) {
      const table = readText(`${HEADER}\n${row('1', name)}\n${row('2')}\n`, QUOTED);
      await expect(table).rejects.toMatchObject({ code: 'MALFORMED_TABLE' });
    }
  });

  it.each([
    ['a quote that is never closed', '"abc'],
    ['text behind a closing quote', '"a"b'],
  ])('never loses the lines behind %s in silence', async (_, name) => {
    const after = Array.from({ length: 30_000 }, (_, index) => row(`r${index}`));
    const text = [HEADER, row('1'), row('2', name), ...after].join('\n');
    for (const size of [65_536, 1 << 22]) {
      const outcome = await read(cut(Buffer.from(text), [size]), QUOTED).then(
        (result) => result.rows.length + result.rejects.length,
        (error: SyncError) => error.code,
      );
      // Either the table fails as a whole, or every line is accounted for.
      expect(['MALFORMED_TABLE', after.length + 2]).toContain(outcome);
    }
  });
});

const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 });
const chunkings = fc.oneof(fc.constant<number[]>([1]), fc.constant<number[]>([1 << 20]), sizes);

describe('any table, in any chunks', () => {
  const plain = fc
    .string({ unit: 'binary', maxLength: 8 })
    .map((text) => text.replaceAll(/[|\r\n\0]/g, ''));
  const awkward = fc.constantFrom('', '"', '\\', '\ufeff', '""', ' ', '😀', '#', "'", '\u2028');
  const gbText = fc
    .array(fc.constantFrom(...withBar, ...withSlash, '张', '€', 'a'), { maxLength: 6 })
    .map((some) => some.join(''));

  async function expectLikeSplit(
    lines: readonly (readonly string[])[],
    { end, encode, chunks }: { end: string; encode(text: string): Buffer; chunks: number[] },
  ): Promise<void> {
    const joined = lines.map((fields) => fields.join('|'));
    const result = await read(cut(encode([HEADER, ...joined].join(end)), chunks));
    const numbered = joined.flatMap((line, index) =>
      line === '' ? [] : [{ lineNo: index + 2, fields: line.split('|') }],
    );
    const good = numbered.filter(
      ({ fields }) => fields.length === NAMES.length && fields[0] !== '' && fields[5] === ORG,
    );
    expect(result.rows.map(({ lineNo, values }) => [lineNo, ...values])).toEqual(
      good.map(({ lineNo, fields }) => [lineNo, ...fields.map((field) => field || null)]),
    );
    const bad = numbered.filter((one) => !good.includes(one));
    expect(result.rejects.map(({ lineNo, line }) => [lineNo, line])).toEqual(
      bad.map(({ lineNo, fields }) => [lineNo, fields.join('|')]),
    );
  }

  function tables(field: fc.Arbitrary<string>): fc.Arbitrary<string[][]> {
    const record = fc
      .array(field, { minLength: NAMES.length, maxLength: NAMES.length })
      .map((fields) => fields.toSpliced(5, 1, ORG));
    const other = fc.array(field, { maxLength: 9 });
    const line = fc.oneof({ arbitrary: record, weight: 4 }, { arbitrary: other, weight: 1 });
    return fc.array(line, { maxLength: 12 });
  }

  it('is what a plain split of its lines gives, in UTF-8', async () => {
    const field = fc.oneof(plain, awkward);
    const ends = fc.constantFrom('\n', '\r\n');
    await fc.assert(
      fc.asyncProperty(tables(field), ends, chunkings, (lines, end, chunks) =>
        expectLikeSplit(lines, { end, chunks, encode: (text) => Buffer.from(text) }),
      ),
      { numRuns: 300 },
    );
  });

  it('is what a plain split of its lines gives, in GB18030', async () => {
    await fc.assert(
      fc.asyncProperty(tables(gbText), chunkings, (lines, chunks) =>
        expectLikeSplit(lines, { end: '\n', chunks, encode: gb }),
      ),
      { numRuns: 200 },
    );
  });

  it('is read whole however many lines come at once', async () => {
    const lines = Array.from({ length: 40_000 }, (_, index) => row(String(index + 1)));
    const bytes = Buffer.from([HEADER, ...lines].join('\n'));
    for (const size of [bytes.length, 300_000, 16_384]) {
      const { rows } = await read(cut(bytes, [size]));
      expect(
        rows.every(({ lineNo, values }, index) => {
          return lineNo === index + 2 && values[0] === String(index + 1);
        }),
      ).toBe(true);
      expect(rows).toHaveLength(lines.length);
    }
  });
});

describe('any bytes, in any chunks', () => {
  const piece = fc.oneof(
    fc
      .constantFrom(
        '\n',
        '\n',
        '\r\n',
        '|',
        '"',
        '"',
        '\0',
        '\\',
        '张三',
        '😀',
        row('1'),
        `${row('2')}\n`,
      )
      .map((text) => Buffer.from(text)),
    fc.uint8Array({ maxLength: 6 }),
  );
  const bytes = fc.array(piece, { maxLength: 30 }).map((pieces) => Buffer.concat(pieces));
  const headed = bytes.map((some) => Buffer.concat([Buffer.from(`${HEADER}\n`), some]));
  const charset = fc.constantFrom('auto', 'utf-8', 'gb18030' as const);

  /** What came of it; a failure by its code, anything but a `SyncError` fails the test. */
  async function outcome(chunks: Iterable<Buffer>, options: Partial<TableOptions>) {
    try {
      return await read(chunks, options);
    } catch (error) {
      if (!(error instanceof SyncError)) throw error;
      return error.code;
    }
  }

  it('give rows, rejects or an error of ours, the same for any chunking', async () => {
    const some = fc.oneof(bytes, headed);
    const quotes = fc.constantFrom('none', 'rfc4180' as const);
    await fc.assert(
      fc.asyncProperty(
        some,
        charset,
        quotes,
        chunkings,
        async (all, forcedCharset, quotes, chunks) => {
          const options = { forcedCharset, quotes };
          expect(await outcome(cut(all, chunks), options)).toEqual(await outcome([all], options));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('give every line that is not blank exactly once, as a row or a reject', async () => {
    await fc.assert(
      fc.asyncProperty(headed, chunkings, async (all, chunks) => {
        const result = await read(cut(all, chunks));
        const lines = all.toString('latin1').split('\n');
        const expected = lines.flatMap((line, index) => {
          const blank = line === '' || (line === '\r' && index < lines.length - 1);
          return index === 0 || blank ? [] : [index + 1];
        });
        const seen = [...result.rows, ...result.rejects].map(({ lineNo }) => lineNo);
        expect(seen.sort((a, b) => a - b)).toEqual(expected);
      }),
      { numRuns: 500 },
    );
  });
});
