import { createHash } from 'node:crypto';
import type { Dataset } from '../dataset.ts';
import { FatalError } from '../errors.ts';
import { type Charset, chooseCharset, decodeHeader } from './charset.ts';
import { openSplitter, type Quotes, type TextRecord } from './field-parser.ts';
import { type Header, readHeader } from './header.ts';
import { LineScreen, LONGEST_LINE, legible } from './line-screen.ts';
import { isRefusal, type Reject, type Row, type RowCheck, rowCheck } from './row.ts';

/** How to read a table. */
export interface TableOptions {
  readonly dataset: Dataset;
  /** Organisation that was asked for. */
  readonly orgCode: string;
  /** Whether rows of another organisation may be stored under their own. */
  readonly acceptOrg: (orgCode: string) => boolean;
  /** Charset named by the content type, or null. */
  readonly declaredCharset: string | null;
  readonly forcedCharset: Charset | 'auto';
  readonly quotes: Quotes;
}

/** Some lines of a table, in the order of the file. */
export interface Batch {
  readonly rows: readonly Row[];
  readonly rejects: readonly Reject[];
}

/** A table whose header has been read. */
export interface Table {
  readonly header: Header;
  readonly batches: AsyncIterable<Batch>;
}

/**
 * Reads a table from its bytes: the header at once, the lines as they are asked for (P6).
 *
 * Memory is bounded by a chunk and a line, whatever the table's size.
 *
 * @throws FatalError `HEADER_MISMATCH`; while reading on, `MALFORMED_TABLE` and what `body` throws
 */
export async function readTable(
  body: AsyncIterable<Buffer>,
  options: TableOptions,
): Promise<Table> {
  const chunks = body[Symbol.asyncIterator]();
  try {
    return await openTable(chunks, options);
  } catch (error) {
    // Nobody will read on: the body is given back.
    await chunks.return?.();
    throw error;
  }
}

async function openTable(chunks: AsyncIterator<Buffer>, options: TableOptions): Promise<Table> {
  const { line, lineNo, rest } = await readHeaderLine(chunks);
  const known = new Set(
    options.dataset.columns.flatMap(({ header, aliases = [] }) => [header, ...aliases]),
  );
  const charset = chooseCharset(line, {
    declared: options.declaredCharset,
    forced: options.forcedCharset,
    known,
  });
  const text = decodeHeader(line, charset);
  const fields = await splitHeader(text, options.quotes);
  const header = readHeader(fields, options.dataset, text);
  const check = rowCheck({ ...options, header });
  return { header, batches: readLines(rest, { charset, check, lineNo, quotes: options.quotes }) };
}

interface HeaderLine {
  readonly line: Buffer;
  /** The header's own line number; blank lines may stand before it. */
  readonly lineNo: number;
  readonly rest: AsyncIterable<Buffer>;
}

async function readHeaderLine(chunks: AsyncIterator<Buffer>): Promise<HeaderLine> {
  let held: Buffer[] = [];
  let length = 0;
  let lineNo = 1;
  for (let next = await chunks.next(); !next.done; next = await chunks.next()) {
    held.push(next.value);
    length += next.value.length;
    // Joined only where a line ends, so that a header in single bytes costs no more.
    if (next.value.includes(0x0a)) {
      let bytes = Buffer.concat(held);
      for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a)) {
        const line = bytes.subarray(0, end);
        bytes = bytes.subarray(end + 1);
        if (!isBlank(line)) return { line: checkLength(line), lineNo, rest: resume(bytes, chunks) };
        lineNo += 1;
      }
      held = [bytes];
      length = bytes.length;
    }
    if (length > LONGEST_LINE + 1) throw endlessHeader();
  }
  const line = checkLength(Buffer.concat(held));
  return { line, lineNo, rest: resume(Buffer.alloc(0), chunks) };
}

/** @throws FatalError `HEADER_MISMATCH` if the line is too long, a CR at its end not counted */
function checkLength(line: Buffer): Buffer {
  if (line.length - (line.at(-1) === 0x0d ? 1 : 0) > LONGEST_LINE) throw endlessHeader();
  return line;
}

function endlessHeader(): FatalError {
  return new FatalError('HEADER_MISMATCH', `the header is longer than ${LONGEST_LINE} bytes`);
}

async function* resume(first: Buffer, chunks: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  try {
    if (first.length > 0) yield first;
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value;
  } finally {
    await chunks.return?.();
  }
}

function isBlank(line: Buffer): boolean {
  return line.length === 0 || (line.length === 1 && line[0] === 0x0d);
}

async function splitHeader(text: string, quotes: Quotes): Promise<readonly string[]> {
  const parser = openSplitter(quotes);
  const records = [...parser.push(`${text}\n`), ...(await parser.end())];
  return records[0]?.fields ?? [];
}

interface LinesOptions {
  readonly charset: Charset;
  readonly check: RowCheck;
  /** The header's line number. */
  readonly lineNo: number;
  readonly quotes: Quotes;
}

async function* readLines(
  bytes: AsyncIterable<Buffer>,
  { charset, check, lineNo, quotes }: LinesOptions,
): AsyncGenerator<Batch> {
  const screen = new LineScreen(charset);
  const parser = openSplitter(quotes);
  const sort = (records: readonly TextRecord[]): Batch => {
    const rows: Row[] = [];
    const rejects: Reject[] = [];
    for (const record of records) {
      if (isEmpty(record)) continue;
      const result = sortRecord(record, lineNo + record.line, check, screen);
      if ('values' in result) rows.push(result);
      else rejects.push(result);
    }
    return { rows, rejects };
  };
  for await (const chunk of bytes) {
    const text = screen.push(chunk);
    if (text === '') continue;
    yield sort(parser.push(text));
    screen.checkKept();
  }
  const last = parser.push(screen.end());
  yield sort([...last, ...(await parser.end())]);
}

function isEmpty(record: TextRecord): boolean {
  if (record.text !== null) return record.text === '';
  return record.fields.length === 1 && record.fields[0] === '';
}

function sortRecord(
  record: TextRecord,
  lineNo: number,
  check: RowCheck,
  screen: LineScreen,
): Row | Reject {
  if (screen.hasTakenOut()) {
    const screened = screen.takenOut(record.text === null ? record.fields : [record.text]);
    if (screened) return { ...screened, lineNo, rowKey: null };
  }
  const result =
    record.plain && record.text !== null
      ? check.line(record.text, lineNo)
      : check.fields(record.fields, lineNo);
  if (!isRefusal(result)) return result;
  const line = record.text ?? record.fields.join('|');
  return { ...result, lineNo, hash: hashLine(line), line: legible(line) };
}

/** SHA-256 (hex) of a line's text, by which the same refused line is known again. */
export function hashLine(line: string): string {
  return createHash('sha256').update(line, 'utf8').digest('hex');
}
