import type { Clock } from '../core/clock.ts';
import { RetryableError, SyncError } from '../core/errors.ts';
import { looksLikeTable } from '../core/table/charset.ts';
import { KNOWN_HEADERS } from '../datasets/catalogue.ts';
import type { Download } from '../sync/ports.ts';
import {
  type Facts,
  type JsonText,
  objectOf,
  readCharset,
  readHttpDate,
  readJson,
  readMediaType,
  type readObject,
  readResult,
  readRetryAfter,
} from './answer.ts';
import { announcedLength, type BodyReader, isFramed } from './body.ts';
import type { Reply } from './transport.ts';

/** The longest header line that is looked at; a line longer than this is refused anyway (P6). */
const LONGEST_HEAD = 65_536;
/** How much of a body that is no table is read to describe it. */
const MEASURED = 1_048_576;

const BRACE = 0x7b;
const BRACKET = 0x5b;
const ANGLE = 0x3c;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);
/** Space, tab, CR and LF. */
const BLANK: readonly number[] = [0x20, 0x09, 0x0d, 0x0a];

/** How an answer's body is looked at. */
export interface SniffOptions {
  /** Whether a body without Content-Length and chunks is accepted (P6). */
  readonly allowUnframed: boolean;
}

/**
 * What an answer's first line shows it to be; `nothing` has no line that says anything, or comes with a
 * status of failure and was not looked at.
 */
export type Form = 'table' | 'json' | 'markup' | 'other' | 'nothing';

/** An answer's first bytes, read to tell what it is. */
export interface Sniffed {
  readonly form: Form;
  /** What was read to find out, in pieces. */
  readonly head: Buffer[];
}

/**
 * Reads an answer's first line and tells what it heads (P5).
 *
 * @throws RetryableError TRUNCATED if the body is unframed and no JSON, or cut
 */
export async function sniff(
  reply: Reply,
  reader: BodyReader,
  { allowUnframed }: SniffOptions,
): Promise<Sniffed> {
  if (reply.status >= 300) return { form: 'nothing', head: [] };
  const head: Buffer[] = [];
  const line = await readFirstLine(reader, head);
  const isJson = line[0] === BRACE || line[0] === BRACKET;
  // JSON shows by itself that it is whole; of everything else a cut could not be seen.
  if (!isJson && !allowUnframed && !isFramed(reply)) {
    reader.stop();
    throw new RetryableError(
      'TRUNCATED',
      'the body came without a length, so a cut would not show',
    );
  }
  return { form: isJson ? 'json' : formOf(line, reply.status), head };
}

/** A JSON error or an HTML page may hold a column's name between bars and is no table for that. */
function formOf(line: Buffer, status: number): Form {
  if (line.length === 0 || status === 206) return 'nothing';
  if (line[0] === ANGLE) return 'markup';
  return looksLikeTable(line, KNOWN_HEADERS) ? 'table' : 'other';
}

/** An answer that is a table or a file, whose body is still to be read. */
export interface Bytes extends Download {
  /** The media type that it claims, or null. */
  readonly mediaType: string | null;
  /** What it says of itself as a file (`Content-Disposition`), as sent; null if nothing. */
  readonly disposition: string | null;
  /** Gives the connection up where the body is not wanted; harmless twice and at its end. */
  stop(): void;
}

/** Makes a download of an answer that has proved to be a table or a file. */
export function toDownload(
  reply: Reply,
  reader: BodyReader,
  { seq, head }: { readonly seq: string; readonly head: readonly Buffer[] },
): Bytes {
  return {
    seq,
    httpStatus: reply.status,
    date: readHttpDate(reply.header('date')),
    charset: readCharset(reply.header('content-type')),
    mediaType: readMediaType(reply.header('content-type')),
    disposition: reply.header('content-disposition'),
    body: replay(head, reader),
    length: announcedLength(reply),
    get bytes() {
      return reader.bytes;
    },
    sha256: () => reader.sha256(),
    stop: () => reader.stop(),
  };
}

/** An answer that is no table: its facts, its JSON if it is such, and the object if it is one. */
export interface Measured {
  readonly facts: Facts;
  readonly json: JsonText | null;
  readonly object: ReturnType<typeof readObject>;
}

/** How an answer that is no table is read. */
export interface MeasureOptions {
  readonly clock: Clock;
  readonly charset: 'auto' | 'utf-8' | 'gb18030';
  /** Texts that must not be shown. */
  readonly secrets: readonly string[];
  /** Bytes that are read of it at most, about; 1 MiB by default. */
  readonly most?: number | undefined;
}

/**
 * Reads on, up to a limit, to describe an answer that is no table, and gives its connection up (P5).
 *
 * @throws SyncError if the body is cut or stalls and the HTTP status does not already say what failed
 */
export async function measure(
  reply: Reply,
  reader: BodyReader,
  head: readonly Buffer[],
  { clock, charset, secrets, most = MEASURED }: MeasureOptions,
): Promise<Measured> {
  const pieces = [...head];
  let atLeast = false;
  try {
    for (;;) {
      atLeast = reader.bytes >= most;
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
  const json = atLeast ? null : readJson(Buffer.concat(pieces), charset);
  const object = objectOf(json);
  const facts: Facts = {
    status: reply.status,
    contentType: readMediaType(reply.header('content-type')),
    retryAfter: readRetryAfter(reply.header('retry-after'), clock()),
    result: object && readResult(object.fields, secrets),
    bytes: reader.bytes,
    atLeast,
    sha256: reader.sha256(),
  };
  return { facts, json, object };
}

/** The first line that is not blank, or as much of it as is looked at. */
async function readFirstLine(reader: BodyReader, head: Buffer[]): Promise<Buffer> {
  let held: Buffer[] = [];
  let isStart = true;
  for (;;) {
    const piece = await reader.next();
    if (piece !== null) {
      head.push(piece);
      held.push(piece);
    }
    const isLast = piece === null || reader.bytes >= LONGEST_HEAD;
    // Joined only where a line may have ended, and without the blank lines before: a body in single
    // bytes costs no more.
    if (!isLast && !piece.includes(0x0a)) continue;
    const excess = Math.max(0, reader.bytes - LONGEST_HEAD);
    const joined = Buffer.concat(held);
    const bytes = joined.subarray(0, Math.max(0, joined.length - excess));
    const start = bytes.subarray(blankLength(bytes, isStart));
    const end = start.indexOf(0x0a);
    if (end !== -1 || isLast) return end === -1 ? start : start.subarray(0, end);
    held = [start];
    isStart = false;
  }
}

/** How much leading space there is; a BOM is space only at the very start. */
function blankLength(bytes: Buffer, isStart: boolean): number {
  let at = isStart && bytes.subarray(0, 3).equals(BOM) ? 3 : 0;
  while (BLANK.includes(bytes[at] ?? -1)) at += 1;
  return at;
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
