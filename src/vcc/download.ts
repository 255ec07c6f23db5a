import type { Clock } from '../core/clock.ts';
import { RetryableError, SyncError } from '../core/errors.ts';
import { looksLikeTable } from '../core/table/charset.ts';
import { KNOWN_HEADERS } from '../datasets/catalogue.ts';
import type { Download } from '../sync/ports.ts';
import {
  type Facts,
  readCharset,
  readMediaType,
  readObject,
  readResult,
  readRetryAfter,
} from './answer.ts';
import { type BodyReader, isFramed } from './body.ts';
import type { Reply } from './transport.ts';

/** The longest header line that is looked at; a line longer than this is refused anyway (P6). */
const LONGEST_HEAD = 65_536;
/** How much of a body that is no table is read to describe it. */
const MEASURED = 1_048_576;

const BRACE = 0x7b;
const ANGLE = 0x3c;

/** How an answer's body is looked at. */
export interface SniffOptions {
  /** Whether a body without Content-Length and chunks is accepted (P6). */
  readonly allowUnframed: boolean;
}

/** An answer's first bytes, read to tell what it is. */
export interface Sniffed {
  readonly isTable: boolean;
  /** What was read to find out, in pieces. */
  readonly head: Buffer[];
}

/**
 * Reads an answer's first line and tells whether it heads a table (P5).
 *
 * @throws RetryableError TRUNCATED if the body is unframed and no JSON error, or cut
 */
export async function sniff(
  reply: Reply,
  reader: BodyReader,
  { allowUnframed }: SniffOptions,
): Promise<Sniffed> {
  if (reply.status >= 300) return { isTable: false, head: [] };
  const head: Buffer[] = [];
  const line = await readFirstLine(reader, head);
  const isObject = line[0] === BRACE;
  // JSON shows by itself that it is whole; of everything else a cut could not be seen.
  if (!isObject && !allowUnframed && !isFramed(reply)) {
    reader.stop();
    throw new RetryableError(
      'TRUNCATED',
      'the body came without a length, so a cut would not show',
    );
  }
  // A JSON error or an HTML page may hold a column's name between bars and is no table for that.
  const isOther = isObject || line[0] === ANGLE || reply.status === 206;
  const isTable = !isOther && looksLikeTable(line, KNOWN_HEADERS);
  return { isTable, head };
}

/** Makes a download of an answer that has proved to be a table. */
export function toDownload(
  reply: Reply,
  reader: BodyReader,
  { seq, head }: { readonly seq: string; readonly head: readonly Buffer[] },
): Download {
  const date = Date.parse(reply.header('date') ?? '');
  return {
    seq,
    httpStatus: reply.status,
    date: Number.isNaN(date) ? null : date,
    charset: readCharset(reply.header('content-type')),
    body: replay(head, reader),
    get bytes() {
      return reader.bytes;
    },
    sha256: () => reader.sha256(),
  };
}

/** An answer that is no table: its facts, and its JSON object if it is one. */
export interface Measured {
  readonly facts: Facts;
  readonly object: ReturnType<typeof readObject>;
}

/** How an answer that is no table is read. */
export interface MeasureOptions {
  readonly clock: Clock;
  readonly charset: 'auto' | 'utf-8' | 'gb18030';
  /** Texts that must not be shown. */
  readonly secrets: readonly string[];
}

/**
 * Reads on, up to 1 MiB, to describe an answer that is no table, and gives its connection up (P5).
 *
 * @throws SyncError if the body is cut or stalls and the HTTP status does not already say what failed
 */
export async function measure(
  reply: Reply,
  reader: BodyReader,
  head: readonly Buffer[],
  { clock, charset, secrets }: MeasureOptions,
): Promise<Measured> {
  const pieces = [...head];
  let atLeast = false;
  try {
    for (;;) {
      atLeast = reader.bytes >= MEASURED;
      const piece = atLeast ? null : await reader.next();
      if (piece === null) break;
      pieces.push(piece);
    }
  } catch (error) {
    // A server in trouble cuts its error pages too: its status tells more than the cut.
    const interrupted = error instanceof SyncError && error.code === 'INTERRUPTED';
    if (reply.status < 300 || interrupted) throw error;
    atLeast = true;
  } finally {
    reader.stop();
  }
  const object = atLeast ? null : readObject(Buffer.concat(pieces), charset);
  const facts: Facts = {
    status: reply.status,
    contentType: readMediaType(reply.header('content-type')),
    retryAfter: readRetryAfter(reply.header('retry-after'), clock()),
    result: object && readResult(object.fields, secrets),
    bytes: reader.bytes,
    atLeast,
    sha256: reader.sha256(),
  };
  return { facts, object };
}

/** The first line that is not blank, or as much of it as is looked at. */
async function readFirstLine(reader: BodyReader, head: Buffer[]): Promise<Buffer> {
  for (;;) {
    const piece = await reader.next();
    if (piece !== null) head.push(piece);
    const isLast = piece === null || reader.bytes >= LONGEST_HEAD;
    // Joined only where a line may have ended, so that a body in single bytes costs no more.
    if (!isLast && !piece.includes(0x0a)) continue;
    const line = firstLine(Buffer.concat(head).subarray(0, LONGEST_HEAD), isLast);
    if (line !== null) return line;
  }
}

/** The first line with anything in it, without leading space and BOM; null if more must be read. */
function firstLine(bytes: Buffer, isLast: boolean): Buffer | null {
  const blank = /^(?:\xef\xbb\xbf)?[ \t\r\n]*/.exec(bytes.toString('latin1'))?.[0].length ?? 0;
  const end = bytes.indexOf(0x0a, blank);
  if (end === -1 && !isLast) return null;
  return bytes.subarray(blank, end === -1 ? undefined : end);
}

async function* replay(head: readonly Buffer[], reader: BodyReader): AsyncGenerator<Buffer> {
  try {
    yield* head;
    for (;;) {
      const piece = await reader.next();
      if (piece === null) return;
      yield piece;
    }
  } finally {
    reader.stop();
  }
}
