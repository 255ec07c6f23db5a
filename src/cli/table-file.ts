import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { basename } from 'node:path';
import { addAbortSignal, pipeline, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { FatalError, InterruptedError, RetryableError } from '../core/errors.ts';
import { looksLikeTable } from '../core/table/charset.ts';
import { KNOWN_HEADERS } from '../datasets/catalogue.ts';
import type { TableBytes } from '../sync/ports.ts';

/** The longest header line that is looked at, in bytes; a longer one is refused anyway (P6). */
const LONGEST_HEAD = 65_536;

/** A table in a file, or coming by stdin. */
export interface TableFile extends TableBytes {
  /** Length of the file as it lies there, in bytes; null where it can not be known. */
  readonly size: number | null;
  /** Bytes of the file read so far, before anything is unpacked. */
  readonly position: number;
  /** Gives the file up; harmless twice and at the end. */
  close(): void;
}

/** How people know a file: its name without the folders. */
export function nameOfFile(path: string): string {
  return path === '-' ? 'stdin' : basename(path);
}

/**
 * Opens a table file, plain or gzip (told by its first bytes), and makes sure that it is a table.
 *
 * Memory stays flat, whatever the file's size. Its body throws `TRUNCATED` where the file ends early,
 * and `INTERRUPTED` when the signal aborts.
 *
 * @param path `-` stands for stdin
 * @throws FatalError CONFIG that names the file if it is not there, can not be read or is no table
 */
export async function openTableFile(path: string, signal: AbortSignal): Promise<TableFile> {
  const name = nameOfFile(path);
  const { raw, size } = path === '-' ? { raw: process.stdin, size: null } : await openFile(path);
  addAbortSignal(signal, raw);
  const reader = new FileReader(raw, signal);
  const head = await readHead(() => reader.next());
  if (!looksLikeTable(firstLine(head), KNOWN_HEADERS)) {
    reader.close();
    const what =
      head.length === 0
        ? 'it is empty'
        : "its first line holds no | and none of the document's columns";
    throw new FatalError(
      'CONFIG',
      `${name} is not a table: ${what}; give a file whose first line is the header`,
    );
  }
  return {
    seq: null,
    httpStatus: null,
    date: null,
    charset: null,
    // Compressed or not shows only as it is read.
    length: null,
    size,
    get position() {
      return reader.position;
    },
    get bytes() {
      return reader.bytes;
    },
    sha256: () => reader.sha256(),
    body: reader.body(head),
    close: () => reader.close(),
  };
}

/** Reads a file piece by piece, unpacked, counting and hashing what comes out. */
class FileReader {
  position = 0;
  bytes = 0;
  readonly #hash = createHash('sha256');
  readonly #raw: Readable;
  readonly #pieces: AsyncGenerator<Buffer>;
  readonly #signal: AbortSignal;

  constructor(raw: Readable, signal: AbortSignal) {
    this.#raw = raw;
    this.#signal = signal;
    this.#pieces = unpack(raw, (length) => {
      this.position += length;
    });
  }

  /** The next piece, or null at the end. */
  async next(): Promise<Buffer | null> {
    try {
      const { done, value } = await this.#pieces.next();
      if (done) return null;
      this.bytes += value.length;
      this.#hash.update(value);
      return value;
    } catch (error) {
      this.close();
      throw readingError(error, this.bytes, this.#signal);
    }
  }

  /** All pieces, the head that was read already first. */
  async *body(head: Buffer): AsyncGenerator<Buffer> {
    try {
      yield head;
      for (let piece = await this.next(); piece !== null; piece = await this.next()) yield piece;
    } finally {
      this.close();
    }
  }

  sha256(): string {
    return this.#hash.copy().digest('hex');
  }

  close(): void {
    this.#raw.destroy();
  }
}

async function openFile(path: string): Promise<{ raw: Readable; size: number | null }> {
  const name = nameOfFile(path);
  let file: FileHandle | undefined;
  try {
    file = await open(path);
    const stats = await file.stat();
    if (stats.isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' });
    const size = stats.isFile() ? stats.size : null;
    return { raw: file.createReadStream({ highWaterMark: 262_144 }), size };
  } catch (error) {
    await file?.close();
    throw new FatalError('CONFIG', `${name}: ${whyUnreadable(error)}`);
  }
}

/** Why a file can not be read, and what to do. */
export function whyUnreadable(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'there is no such file; check the path';
  if (code === 'EISDIR') return 'it is a directory; name the table file in it';
  if (code === 'EACCES' || code === 'EPERM') return 'this user may not read it; check its rights';
  return `it can not be read (${code ?? 'unknown'})`;
}

/** The file's bytes, unpacked where its first two are those of gzip. */
async function* unpack(raw: Readable, onRead: (length: number) => void): AsyncGenerator<Buffer> {
  const pieces = counted(raw, onRead);
  let head: Buffer = Buffer.alloc(0);
  while (head.length < 2) {
    const { done, value } = await pieces.next();
    if (done) break;
    head = Buffer.concat([head, value]);
  }
  const whole = prepend(head, pieces);
  if (head[0] !== 0x1f || head[1] !== 0x8b) yield* whole;
  // The reader sees the error; the callback only keeps it from being unhandled.
  else yield* pipeline(whole, createGunzip({ chunkSize: 65_536 }), () => {});
}

async function* counted(
  raw: AsyncIterable<Buffer>,
  onRead: (length: number) => void,
): AsyncGenerator<Buffer, void> {
  for await (const piece of raw) {
    onRead(piece.length);
    yield piece;
  }
}

async function* prepend(head: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  if (head.length > 0) yield head;
  yield* rest;
}

/** Reads on until the header line is there, or as much of it as is looked at. */
async function readHead(next: () => Promise<Buffer | null>): Promise<Buffer> {
  let head: Buffer = Buffer.alloc(0);
  for (;;) {
    const piece = await next();
    if (piece === null) return head;
    head = Buffer.concat([head, piece]);
    if (head.length >= LONGEST_HEAD || head.indexOf(0x0a, blankLength(head)) >= 0) return head;
  }
}

/** How many bytes stand before the first line with anything in it: a BOM, blank lines. */
function blankLength(bytes: Buffer): number {
  const head = bytes.subarray(0, LONGEST_HEAD).toString('latin1');
  return /^(?:\xef\xbb\xbf)?[ \t\r\n]*/.exec(head)![0].length;
}

function firstLine(bytes: Buffer): Buffer {
  const start = blankLength(bytes);
  const end = bytes.indexOf(0x0a, start);
  return bytes.subarray(start, end === -1 ? LONGEST_HEAD : end);
}

function readingError(error: unknown, bytes: number, signal: AbortSignal): Error {
  if (signal.aborted) return new InterruptedError();
  const { code = 'unknown' } = error as NodeJS.ErrnoException;
  const what = code.startsWith('Z_') ? 'the gzip file was cut or is damaged' : 'the file failed';
  return new RetryableError('TRUNCATED', `${what} after ${bytes} bytes, unpacked (${code})`);
}
