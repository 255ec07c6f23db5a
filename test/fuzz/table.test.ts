import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect } from 'vitest';
import type { Dataset } from '../../src/core/dataset.ts';
import { SyncError } from '../../src/core/errors.ts';
import { type Charset, chooseCharset } from '../../src/core/table/charset.ts';
import { FieldParser, plainSplitter, type Splitter } from '../../src/core/table/field-parser.ts';
import type { Header } from '../../src/core/table/header.ts';
import { LineScreen, LONGEST_LINE } from '../../src/core/table/line-screen.ts';
import type { Reject, Row } from '../../src/core/table/row.ts';
import { readTable, type TableOptions } from '../../src/core/table/table-reader.ts';
import { DATASETS } from '../../src/datasets/catalogue.ts';
import { encodeGb18030 } from '../../src/simulator/gb18030.ts';
import { bytesOf, chunkSizes, cut, fuzz, joined, runsOf } from '../support/fuzz.ts';

const ORG = 'WJ0105';
const OTHER = 'WJ0106';

const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex');

/** A whole line of a dataset, good unless a test spoils it. */
function lineOf({ columns, key }: Dataset, code: string, org = ORG): string {
  return columns
    .map(({ name }) => (name === key ? code : name === 'org_code' ? org : '张三'))
    .join('|');
}

/** What may stand anywhere in a table: each a trap for one of its readers. */
const trap = fc.oneof(
  bytesOf('\n', '\r', '\r\n', '\r\r\n', '|', '||', '"', '""', '"|"', '|"', '"\n', '\\', '\\"'),
  bytesOf('\0', '\x000', '\ufeff', '\u2028', '\x85', '\x1a', '张', '€', '😀', ' ', '\t', 'a', ORG),
  fc.constantFrom(
    ...['ff', 'fe', '80', 'c0af', 'eda080', 'f4908080', 'e5bc', 'd5', '8130', '813081', '84318235']
      .concat('8181', '817c', '815c', 'fe30fe30', 'a2e3', 'a1a1', '810a', '8130810a', 'e30a')
      .map((hex) => Buffer.from(hex, 'hex')),
  ),
  fc.uint8Array({ maxLength: 5 }),
);

/** Around the longest line, well above it, and in between. */
const longRun = runsOf(
  fc.oneof(bytesOf('x', '|', '"', '\r', '\n', '\0', '张'), fc.uint8Array({ maxLength: 3 })),
  fc.oneof(
    fc.integer({ min: LONGEST_LINE - 60, max: LONGEST_LINE + 3 }),
    fc.integer({ min: 1000, max: 140_000 }),
  ),
);

const lineEnd = bytesOf('\n', '\n', '\n', '\r\n', '\r\n', '\r', '');

function spoilt(line: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Buffer> {
  return fc.tuple(line, fc.nat(), fc.nat({ max: 4 }), trap).map(([bytes, at, gone, some]) => {
    const from = at % (bytes.length + 1);
    return Buffer.concat([bytes.subarray(0, from), some, bytes.subarray(from + gone)]);
  });
}

interface Sample {
  readonly dataset: Dataset;
  readonly bytes: Buffer;
}

/** A sample that is printed short where it fails. */
function sample(dataset: Dataset, bytes: Buffer): Sample {
  const print = () => `${dataset.name} ${JSON.stringify(bytes.toString('latin1'))}`;
  return { dataset, bytes, [fc.toStringMethod]: print } as Sample;
}

/** A header as it should be, or nearly so: other order, names twice, missing, unknown, quoted. */
function headers({ columns }: Dataset): fc.Arbitrary<string> {
  const names = columns.map(({ header }) => header);
  const odd = fc.constantFrom('新列', '', '机构编码', '__proto__', 'constructor', 'a', 'a_2', '\0');
  return fc
    .oneof(
      { weight: 6, arbitrary: fc.constant(names) },
      { weight: 2, arbitrary: fc.constant(names.map((name) => `"${name}"`)) },
      { weight: 2, arbitrary: fc.shuffledSubarray(names, { minLength: names.length }) },
      {
        weight: 2,
        arbitrary: fc.array(odd, { minLength: 1, maxLength: 4 }).map((some) => [...names, ...some]),
      },
      { weight: 1, arbitrary: fc.shuffledSubarray(names) },
      { weight: 1, arbitrary: fc.constantFrom(...names).map((name) => [name, ...names]) },
    )
    .map((fields) => fields.join('|'));
}

/** Tables: a header, then good lines, spoilt ones, endless ones and plain noise. */
const tables: fc.Arbitrary<Sample> = fc
  .tuple(fc.constantFrom(...DATASETS), fc.boolean())
  .chain(([dataset, isGb]) => {
    const encode = (text: string) => (isGb ? encodeGb18030(text) : Buffer.from(text));
    const good = fc
      .tuple(fc.constantFrom('1', '2', '', 'k\u00e9', '"q"'), fc.constantFrom(ORG, ORG, OTHER, ''))
      .map(([code, org]) => encode(lineOf(dataset, code, org)));
    const header = headers(dataset).map(encode);
    const line = fc.oneof(
      { weight: 6, arbitrary: good },
      { weight: 5, arbitrary: spoilt(good) },
      { weight: 3, arbitrary: joined(trap, 8) },
      { weight: 1, arbitrary: longRun },
    );
    const ended = fc.tuple(line, lineEnd).map((parts) => Buffer.concat(parts));
    const start = fc.oneof(
      { weight: 6, arbitrary: bytesOf('', '', '', '\ufeff', '\n', '\r\n\n') },
      { weight: 1, arbitrary: joined(trap, 3) },
    );
    const first = fc.oneof(
      { weight: 12, arbitrary: header },
      { weight: 2, arbitrary: spoilt(header) },
      { weight: 1, arbitrary: fc.tuple(header, longRun).map((parts) => Buffer.concat(parts)) },
    );
    return fc
      .tuple(start, first, bytesOf('\n', '\n', '\n', '\r\n', ''), joined(ended, 12))
      .map((parts) => sample(dataset, Buffer.concat(parts)));
  });

const noise: fc.Arbitrary<Sample> = fc
  .tuple(
    fc.constantFrom(...DATASETS),
    fc.oneof(joined(trap, 40), fc.uint8Array({ maxLength: 300 }).map(Buffer.from), longRun),
  )
  .map(([dataset, bytes]) => sample(dataset, bytes));

const samples = fc.oneof({ weight: 9, arbitrary: tables }, { weight: 1, arbitrary: noise });

const charsets = fc.constantFrom('auto', 'auto', 'utf-8', 'gb18030' as const);
const declared = fc.constantFrom(null, null, 'utf-8', 'gbk', 'constructor', '__proto__', '');

interface Content {
  readonly header: Header;
  readonly rows: readonly Row[];
  readonly rejects: readonly Reject[];
}

/** What comes of a table: its lines, or the code of our error; any other error fails the test. */
async function outcome(
  chunks: Iterable<Buffer>,
  options: TableOptions,
): Promise<Content | { readonly code: string }> {
  const body = (async function* () {
    yield* chunks;
  })();
  const rows: Row[] = [];
  const rejects: Reject[] = [];
  try {
    const { header, batches } = await readTable(body, options);
    for await (const batch of batches) {
      // One by one: a batch may hold more than a call can take.
      for (const row of batch.rows) rows.push(row);
      for (const reject of batch.rejects) rejects.push(reject);
    }
    return { header, rows, rejects };
  } catch (error) {
    if (!(error instanceof SyncError)) throw error;
    return { code: error.code };
  }
}

function optionsFor(
  dataset: Dataset,
  forcedCharset: TableOptions['forcedCharset'],
  declaredCharset: string | null,
  quotes: TableOptions['quotes'],
): TableOptions {
  return {
    dataset,
    orgCode: ORG,
    acceptOrg: (org) => org === OTHER,
    declaredCharset,
    forcedCharset,
    quotes,
  };
}

/** A line as it must be seen: with its number in the file and without its line end. */
interface Line {
  readonly lineNo: number;
  readonly bytes: Buffer;
}

/** Splits bytes in the plainest way: the first line that is not blank is the header. */
function split(all: Buffer): { readonly header: Buffer; readonly lines: readonly Line[] } {
  const found: Line[] = [];
  for (let start = 0, lineNo = 1; start < all.length; lineNo++) {
    const end = all.indexOf(0x0a, start);
    const whole = all.subarray(start, end < 0 ? all.length : end);
    const isCrlf = end >= 0 && whole.at(-1) === 0x0d;
    const bytes = isCrlf ? whole.subarray(0, -1) : whole;
    if (bytes.length > 0) found.push({ lineNo, bytes });
    start = end < 0 ? all.length : end + 1;
  }
  const [header, ...lines] = found;
  return { header: header?.bytes ?? Buffer.alloc(0), lines };
}

/** What must come of one line, worked out apart from the reader. */
function judged(
  { lineNo, bytes }: Line,
  { positions, width }: Header,
  { dataset, acceptOrg }: TableOptions,
  charset: Charset,
): Partial<Row> | Partial<Reject> {
  if (bytes.length > LONGEST_LINE) return { lineNo, reason: 'too_long', hash: sha256(bytes) };
  if (bytes.includes(0)) return { lineNo, reason: 'nul', hash: sha256(bytes) };
  const text = decoded(bytes, charset);
  if (text === null) return { lineNo, reason: 'encoding', hash: sha256(bytes) };
  const fields = text.split('|');
  const field = (name: string) =>
    fields[positions[dataset.columns.findIndex((column) => column.name === name)]!] || null;
  const hash = sha256(text);
  if (fields.length !== width) return { lineNo, reason: 'field_count', hash };
  if (field(dataset.key) === null) return { lineNo, reason: 'no_key', hash };
  const org = field('org_code');
  if (org === null) return { lineNo, reason: 'no_org', hash };
  if (org !== ORG && !acceptOrg(org)) return { lineNo, reason: 'other_org', hash };
  return { lineNo, values: dataset.columns.map(({ name }) => field(name)) };
}

/** Whether no half of a surrogate pair stands alone: such a text no database stores. */
function isWhole(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}

function decoded(bytes: Uint8Array, charset: Charset): string | null {
  try {
    // A decoder of its own for each line, so that none can spoil the next.
    return new TextDecoder(charset, { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

const known = new Set(
  DATASETS.flatMap(({ columns }) =>
    columns.flatMap(({ header, aliases = [] }) => [header, ...aliases]),
  ),
);

function expectSound({ rows, rejects }: Content): void {
  const numbers = [...rows, ...rejects].map(({ lineNo }) => lineNo);
  expect(new Set(numbers).size).toBe(numbers.length);
  for (const list of [rows, rejects]) {
    expect(list.every(({ lineNo }, i) => i === 0 || lineNo > list[i - 1]!.lineNo)).toBe(true);
  }
  for (const { values, extra } of rows) {
    const texts = [...values.filter((value) => value !== null), ...Object.entries(extra ?? {})];
    const text = texts.flat().join('|');
    expect(text.includes('\0')).toBe(false);
    expect(isWhole(text)).toBe(true);
  }
  for (const { line, hash } of rejects) {
    expect(line.length).toBeLessThanOrEqual(LONGEST_LINE);
    expect(line.includes('\0') || !isWhole(line)).toBe(false);
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
  }
}

describe('a table without quotes', () => {
  fuzz(
    'of any bytes in any chunks is exactly what a plain split of its lines gives',
    fc.asyncProperty(
      samples,
      charsets,
      declared,
      chunkSizes,
      async (given, forced, name, sizes) => {
        const { dataset, bytes } = given;
        const options = optionsFor(dataset, forced, name, 'none');
        const result = await outcome(cut(bytes, sizes), options);
        const { header, lines } = split(bytes);
        if ('code' in result) {
          expect(result.code).toBe('HEADER_MISMATCH');
          return;
        }
        expect(header.length).toBeLessThanOrEqual(LONGEST_LINE);
        expectSound(result);
        const charset = chooseCharset(header, { declared: name, forced, known });
        const expected = lines.map((line) => judged(line, result.header, options, charset));
        const seen = [...result.rows, ...result.rejects].sort((a, b) => a.lineNo - b.lineNo);
        expect(seen).toMatchObject(expected);
        expect(seen).toHaveLength(expected.length);
      },
    ),
  );

  fuzz(
    'comes out the same whatever the chunks',
    fc.asyncProperty(samples, charsets, chunkSizes, async ({ dataset, bytes }, forced, sizes) => {
      const options = optionsFor(dataset, forced, null, 'none');
      const whole = await outcome([bytes], options);
      expect(await outcome(cut(bytes, sizes), options)).toEqual(whole);
    }),
  );
});

/** What a splitter makes of bytes behind a screen: fields or what was taken out, line by line. */
async function screened(chunks: Iterable<Buffer>, charset: Charset, splitter: Splitter) {
  const screen = new LineScreen(charset);
  const records = [...chunks].flatMap((chunk) => splitter.push(screen.push(chunk)));
  records.push(...splitter.push(screen.end()), ...(await splitter.end()));
  return records.map(({ fields, line, text }) => ({
    line,
    content: screen.takenOut(fields) ?? { fields, text: text ?? fields.join('|') },
  }));
}

describe('the splitter of plain lines', () => {
  fuzz(
    'gives of any bytes in any chunks what csv-parse gives of the whole, behind the same screen',
    fc.asyncProperty(
      samples,
      fc.constantFrom<Charset>('utf-8', 'gb18030'),
      chunkSizes,
      async ({ bytes }, charset, sizes) => {
        const reference = await screened([bytes], charset, new FieldParser('none'));
        expect(await screened(cut(bytes, sizes), charset, plainSplitter())).toEqual(reference);
      },
    ),
    1 / 2,
  );
});

describe('a table with quotes', () => {
  fuzz(
    'of any bytes comes out the same whatever the chunks, every line within a row or a reject',
    fc.asyncProperty(samples, charsets, chunkSizes, async ({ dataset, bytes }, forced, sizes) => {
      const options = optionsFor(dataset, forced, null, 'rfc4180');
      const whole = await outcome([bytes], options);
      expect(await outcome(cut(bytes, sizes), options)).toEqual(whole);
      if ('code' in whole) {
        expect(['HEADER_MISMATCH', 'MALFORMED_TABLE']).toContain(whole.code);
        return;
      }
      expectSound(whole);
      const { header, lines } = split(bytes);
      const charset = chooseCharset(header, { declared: null, forced, known });
      const records = [...whole.rows, ...whole.rejects].sort((a, b) => a.lineNo - b.lineNo);
      // A record may span lines only where a quote opens one: without quotes each line is its own.
      const isPlain = !bytes.includes(0x22);
      if (isPlain) {
        const expected = lines.map((line) => judged(line, whole.header, options, charset));
        expect(records).toMatchObject(expected);
      }
      expect(records.length).toBeLessThanOrEqual(lines.length);
      // Every record ends on a line that is there, and the last one on the last line.
      const numbers = new Set(lines.map(({ lineNo }) => lineNo));
      expect(records.filter(({ lineNo }) => !numbers.has(lineNo))).toEqual([]);
      expect(records.at(-1)?.lineNo).toBe(lines.at(-1)?.lineNo);
    }),
  );
});
