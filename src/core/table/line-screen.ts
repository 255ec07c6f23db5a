import { isAscii, isUtf8, transcode } from 'node:buffer';
import { createHash, type Hash } from 'node:crypto';
import { TextDecoder } from 'node:util';
import { RetryableError } from '../errors.ts';
import type { Charset } from './charset.ts';
import type { Reject, RejectReason } from './row.ts';

/** The longest line that is read, in bytes (P6). */
export const LONGEST_LINE = 64 * 1024;

/** How much of a refused line is kept for people, in bytes of the table or characters. */
const KEPT = 64 * 1024;

/** The most that is kept of the lines taken out of one record in quotes, in characters. */
const MOST_KEPT = 1024 * 1024;

const LF = 0x0a;
const CR = 0x0d;

/** A line that the screen took out, before its number is known. */
export type Screened = Omit<Reject, 'lineNo' | 'rowKey'>;

/**
 * Cuts bytes into whole lines and decodes them, so that a parser behind it sees only clean text.
 *
 * A line that holds a NUL or bytes invalid in the charset, or is longer than 64 KiB, is taken out
 * and leaves a placeholder line in its place: `\0` and a number, for `takenOut` (P6). A NUL can not
 * come from anywhere else, and the count of lines stays right. Memory is bounded by one line.
 */
export class LineScreen {
  readonly #charset: Charset;
  readonly #decode: (bytes: Buffer) => string;
  /** The start of a line whose end has not come; filled in place, so that single bytes cost no more. */
  readonly #rest = Buffer.alloc(LONGEST_LINE + 1);
  #filled = 0;
  readonly #screened = new Map<number, Screened>();
  #placeholders = 0;
  /** Characters of the lines in `#screened`. */
  #kept = 0;
  #overlong: { hash: Hash; head: Buffer; cr: boolean } | null = null;

  constructor(charset: Charset) {
    this.#charset = charset;
    this.#decode = charset === 'utf-8' ? decodeUtf8 : strictDecoder(charset);
  }

  /** Takes bytes and gives the text of all lines that they complete. */
  push(chunk: Buffer): string {
    let bytes = chunk;
    let text = '';
    if (this.#overlong) {
      const end = bytes.indexOf(LF);
      this.#hashOn(end < 0 ? bytes : bytes.subarray(0, end));
      if (end < 0) return '';
      text = `${this.#finishOverlong()}\n`;
      bytes = bytes.subarray(end + 1);
    }
    const end = bytes.lastIndexOf(LF) + 1;
    if (end > 0) {
      const block = bytes.subarray(0, end);
      text += this.#decodeLines(
        this.#filled === 0 ? block : Buffer.concat([this.#takeRest(), block]),
      );
    }
    this.#hold(bytes.subarray(end));
    return text;
  }

  /** Gives the text of a last line without line end. */
  end(): string {
    if (this.#overlong) {
      if (this.#overlong.cr) this.#overlong.hash.update('\r');
      return this.#finishOverlong();
    }
    const rest = this.#takeRest();
    return rest.length === 0 ? '' : this.#decodeLine(rest, rest);
  }

  /** Whether it has taken out a line that nobody has asked for yet. */
  hasTakenOut(): boolean {
    return this.#screened.size > 0;
  }

  /**
   * The first line that was taken out where these fields stand, if one was; answers once.
   *
   * @throws RetryableError `MALFORMED_TABLE` if they hold more such lines than may be kept
   */
  takenOut(fields: readonly string[]): Screened | null {
    let first: Screened | null = null;
    let kept = 0;
    for (const field of fields) {
      if (!field.includes('\0')) continue;
      for (const [, mark] of field.matchAll(/\0(\d+)/g)) {
        const screened = this.#screened.get(Number(mark));
        if (!screened) continue;
        this.#screened.delete(Number(mark));
        first ??= screened;
        kept += screened.line.length;
      }
    }
    this.#kept -= kept;
    if (kept > MOST_KEPT) throw endlessRecord();
    return first;
  }

  /**
   * Sees that what nobody asked for yet stays within bounds: it belongs to a record that goes on.
   *
   * @throws RetryableError `MALFORMED_TABLE`
   */
  checkKept(): void {
    // The parser may hold back the ends of records before it; then that record's own is too much still.
    if (this.#kept > MOST_KEPT + 4 * KEPT) throw endlessRecord();
  }

  /** Keeps bytes of a line whose end has not come; of one that is too long only the start and a hash. */
  #hold(bytes: Buffer): void {
    // What is kept may be a byte longer than a line, since that byte may be the CR of its end.
    if (this.#filled + bytes.length <= this.#rest.length) {
      this.#filled += bytes.copy(this.#rest, this.#filled);
      return;
    }
    const start = this.#takeRest();
    // A byte more than is shown tells that the line was cut.
    const head = Buffer.concat([start, bytes.subarray(0, KEPT + 1 - start.length)]);
    this.#overlong = { hash: createHash('sha256'), head, cr: false };
    this.#hashOn(start);
    this.#hashOn(bytes);
  }

  /** The bytes held, which the next ones held overwrite. */
  #takeRest(): Buffer {
    const rest = this.#rest.subarray(0, this.#filled);
    this.#filled = 0;
    return rest;
  }

  #decodeLines(block: Buffer): string {
    if (block.length === 0) return '';
    if (!block.includes(0) && !hasOverlongLine(block)) {
      try {
        return this.#decode(block);
      } catch {
        // Some line is invalid: find out which.
      }
    }
    let text = '';
    for (let start = 0; start < block.length; ) {
      const end = block.indexOf(LF, start);
      const line = block.subarray(start, end);
      text += `${this.#decodeLine(line, line.at(-1) === CR ? line.subarray(0, -1) : line)}\n`;
      start = end + 1;
    }
    return text;
  }

  /** Decodes a line; `content` is the line without its line end. */
  #decodeLine(line: Buffer, content: Buffer): string {
    if (content.length > LONGEST_LINE) return this.#takeOut('too_long', content);
    if (content.includes(0)) return this.#takeOut('nul', content);
    try {
      return this.#decode(line);
    } catch {
      return this.#takeOut('encoding', content);
    }
  }

  /** Hashes on, but holds back a CR that may belong to the line end. */
  #hashOn(bytes: Buffer): void {
    const overlong = this.#overlong!;
    if (bytes.length === 0) return;
    if (overlong.cr) overlong.hash.update('\r');
    overlong.cr = bytes.at(-1) === CR;
    overlong.hash.update(overlong.cr ? bytes.subarray(0, -1) : bytes);
  }

  #finishOverlong(): string {
    const { hash, head } = this.#overlong!;
    this.#overlong = null;
    return this.#placeholder({
      reason: 'too_long',
      hash: hash.digest('hex'),
      line: this.#legible(head),
    });
  }

  #takeOut(reason: RejectReason, line: Buffer): string {
    const hash = createHash('sha256').update(line).digest('hex');
    return this.#placeholder({ reason, hash, line: this.#legible(line) });
  }

  #placeholder(screened: Screened): string {
    const number = this.#placeholders++;
    this.#screened.set(number, screened);
    this.#kept += screened.line.length;
    return `\0${number}`;
  }

  #legible(line: Buffer): string {
    // A stream leaves out a character that is cut in two.
    const cut = line.length > KEPT;
    const decoder = new TextDecoder(this.#charset);
    return legible(decoder.decode(cut ? line.subarray(0, KEPT) : line, { stream: cut }));
  }
}

/** Makes what decodes whole lines and throws where bytes are not valid in the charset. */
function strictDecoder(charset: Charset): (bytes: Buffer) => string {
  // ignoreBOM keeps a BOM in the text: only the header's is one, and that is cut by its reader.
  const decoder = new TextDecoder(charset, { fatal: true, ignoreBOM: true });
  return (bytes) => decoder.decode(bytes);
}

/** What `strictDecoder` of UTF-8 does, in a quarter of its time. */
function decodeUtf8(bytes: Buffer): string {
  if (isAscii(bytes)) return bytes.toString('latin1');
  if (!isUtf8(bytes)) throw new RangeError('the bytes are not UTF-8');
  return transcode(bytes, 'utf8', 'utf16le').toString('utf16le');
}

function endlessRecord(): RetryableError {
  return new RetryableError(
    'MALFORMED_TABLE',
    `a record in quotes holds over ${MOST_KEPT} characters of lines that can not be read`,
  );
}

/** A line as it may be stored and shown: NULs made visible, the end of an endless one cut off. */
export function legible(line: string): string {
  return line
    .slice(0, KEPT)
    .replace(/[\ud800-\udbff]$/, '')
    .replaceAll('\0', '\u2400');
}

/** Leaps from line end to line end, no further apart than the longest line: cheap where all are short. */
function hasOverlongLine(block: Buffer): boolean {
  let start = 0;
  while (block.length - start > LONGEST_LINE) {
    const end = block.lastIndexOf(LF, start + LONGEST_LINE);
    if (end < start) return true;
    start = end + 1;
  }
  return false;
}
