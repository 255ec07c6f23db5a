import { styleText } from 'node:util';
import { formatChinaIso } from '../core/china-time.ts';
import { formatDuration } from '../core/duration.ts';
import type { Json } from '../core/record.ts';

export { isoTime, type Json, range, seconds } from '../core/record.ts';

/** What a command writes to: data on stdout, everything else on stderr. */
export interface Output {
  /** One line of data. */
  line(text: string): void;
  /** One line for people beside the data. */
  note(text: string): void;
  /** Whether headers may be dimmed: stdout is a terminal with colours. */
  readonly styled: boolean;
}

/** One column of a table for people. */
export interface TableColumn<R> {
  readonly title: string;
  readonly text: (row: R) => string;
  /** Numbers stand at the right. */
  readonly right?: boolean;
}

/** A list of rows, written for people or for programs. */
export interface Listing<R> {
  readonly columns: readonly TableColumn<R>[];
  /** The row for programs, by the tables' column names. */
  readonly record: (row: R) => Json;
  /** What people read on stderr where there are no rows. */
  readonly empty: string;
}

/** The process's own stdout and stderr. */
export const processOutput: Output = {
  line: (text) => void process.stdout.write(`${text}\n`),
  note: (text) => void process.stderr.write(`${text}\n`),
  // hasColors minds NO_COLOR; a pipe has no such method.
  get styled() {
    return process.stdout.isTTY === true && process.stdout.hasColors(16);
  },
};

/** Writes rows as one JSON array, or as a table with a header. */
export function printRows<R>(
  rows: readonly R[],
  listing: Listing<R>,
  { json, out = processOutput }: { readonly json?: boolean | undefined; readonly out?: Output },
): void {
  if (json) {
    out.line(JSON.stringify(rows.map(listing.record), null, 2));
  } else if (rows.length === 0) {
    out.note(listing.empty);
  } else {
    const [head = '', ...lines] = renderTable(rows, listing.columns);
    out.line(paint('dim', head, out));
    for (const line of lines) out.line(line);
  }
}

/** Styles a text where the output shows styles. */
export function paint(
  style: Parameters<typeof styleText>[0],
  text: string,
  { styled }: Pick<Output, 'styled'>,
): string {
  return styled ? styleText(style, text, { validateStream: false }) : text;
}

/** Lays rows out in aligned columns, the header first; wide characters count two. */
export function renderTable<R>(rows: readonly R[], columns: readonly TableColumn<R>[]): string[] {
  const cells = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map(({ text }) => plain(text(row)))),
  ];
  const widths = columns.map((_, index) =>
    Math.max(...cells.map((line) => displayWidth(line[index]!))),
  );
  return cells.map((line) =>
    line
      .map((cell, index) => {
        const padding = ' '.repeat(widths[index]! - displayWidth(cell));
        return columns[index]!.right ? padding + cell : cell + padding;
      })
      .join('  ')
      .trimEnd(),
  );
}

/** A cell is one line, and nothing in it commands the terminal. */
function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ');
}

/** First and last code points of what terminals draw two columns wide (East Asian Width W and F). */
const WIDE: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0xa4cf],
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe10, 0xfe19],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x1f300, 0x1f64f],
  [0x1f900, 0x1f9ff],
  [0x20000, 0x3fffd],
];

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/**
 * How many columns a terminal needs for a text.
 *
 * @example displayWidth('南京 A') // 6
 */
export function displayWidth(text: string): number {
  let width = 0;
  for (const { segment } of graphemes.segment(text)) {
    if (/^[\p{Mn}\p{Me}\p{Cf}]+$/u.test(segment)) continue;
    const code = segment.codePointAt(0)!;
    const wide = WIDE.some(([first, last]) => first <= code && code <= last);
    width += wide || /^\p{Emoji_Presentation}/u.test(segment) ? 2 : 1;
  }
  return width;
}

/**
 * A time (milliseconds, or a `Date`) for people: China time; `-` if there is none.
 *
 * @example chinaTime(0) // "1970-01-01 08:00:00"
 */
export function chinaTime(at: number | Date | null): string {
  return at === null ? '-' : formatChinaIso(Number(at)).slice(0, 19).replace('T', ' ');
}

/** A duration (milliseconds) for people; `-` if there is none. */
export function duration(ms: number | null): string {
  return ms === null ? '-' : formatDuration(ms);
}

/** Whole numbers for people: 12,345. */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}
