import { createHash, type Hash } from 'node:crypto';
import { TextDecoder } from 'node:util';
import type { Charset } from './charset.ts';
import type { Reject, RejectReason } from './row.ts';

/** The longest line that is read, in bytes (P6). */
export const LONGEST_LINE = 64 * 1024;

/** How much of a refused line is kept for people, in bytes of the table or characters. */
const KEPT = 64 * 1024;

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
  readonly #decoder: TextDecoder;
  #rest: Buffer = Buffer.alloc(0);
  readonly #screened = new Map<number, Screened>();
  #placeholders = 0;
  #overlong: { hash: Hash; head: Buffer; cr: boolean } | null = null;

  constructor(charset: Charset) {
    this.#charset = charset;
    // ignoreBOM keeps a BOM in the text: only the header's is one, and that is cut by its reader.
    this.#decoder = new TextDecoder(charset, { fatal: true, ignoreBOM: true });
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
    const whole = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const end = whole.lastIndexOf(LF) + 1;
    const rest = whole.subarray(end);
    text += this.#decodeLines(whole.subarray(0, end));
    // A byte more, since it may be the CR of the line end.
    if (rest.length > LONGEST_LINE + 1) {
      const head = Buffer.from(rest.subarray(0, KEPT));
      this.#overlong = { hash: createHash('sha256'), head, cr: false };
      this.#hashOn(rest);
      this.#rest = Buffer.alloc(0);
    } else {
      // A copy, since a view would keep the whole chunk alive.
      this.#rest = Buffer.from(rest);
    }
    return text;
  }

  /** Gives the text of a last line without line end. */
  end(): string {
    if (this.#overlong) {
      if (this.#overlong.cr) this.#overlong.hash.update('\r');
      return this.#finishOverlong();
    }
    const rest = this.#rest;
    this.#rest = Buffer.alloc(0);
    return rest.length === 0 ? '' : this.#decodeLine(rest, rest);
  }

  /** The line that was taken out where one of these fields stands, if it was; answers once. */
  takenOut(fields: readonly string[]): Screened | null {
    if (this.#screened.size === 0) return null;
    const mark = fields.find((field) => field.includes('\0'));
    if (mark === undefined) return null;
    const number = Number(/\0(\d+)/.exec(mark)?.[1]);
    const screened = this.#screened.get(number) ?? null;
    this.#screened.delete(number);
    return screened;
  }

  #decodeLines(block: Buffer): string {
    if (block.length === 0) return '';
    if (!block.includes(0) && !hasOverlongLine(block)) {
      try {
        return this.#decoder.decode(block);
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
      return this.#decoder.decode(line);
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
    return `\0${number}`;
  }

  #legible(line: Buffer): string {
    // A stream leaves out a character that is cut in two.
    const cut = line.length > KEPT;
    const decoder = new TextDecoder(this.#charset);
    return legible(decoder.decode(cut ? line.subarray(0, KEPT) : line, { stream: cut }));
  }
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
