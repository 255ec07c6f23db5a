import { createHash } from 'node:crypto';
import type { Dataset } from '../core/dataset.ts';
import type { RejectReason } from '../core/table/row.ts';
import type { BadLine } from './fault.ts';
import { digits, integer, type Random } from './random.ts';

/** A line is too long from 64 KiB on; a little over it will do. */
const TOO_LONG = 70_000;

/** The most bad lines that a table gets: a run keeps no more than 1,000. */
export const MOST_BAD_LINES = 500;

/** Which bad lines to add. */
export interface BadLineOrder {
  readonly dataset: Dataset;
  readonly orgCode: string;
  readonly reasons: readonly RejectReason[];
  readonly count: number;
  /** Length of lines that are too long, in bytes. */
  readonly length?: number;
  readonly random: Random;
}

/**
 * Adds bad lines between the right ones, at random places and of each reason in turn, and tells
 * exactly which. No right line is lost or changed; a superseded one stands before its right one,
 * and where there is no right line, none can be superseded.
 *
 * @param lines the table's lines without header and line ends
 */
export function addBadLines(
  lines: readonly string[],
  order: BadLineOrder,
): { readonly lines: Buffer[]; readonly badLines: BadLine[] } {
  const { count, random } = order;
  const reasons = order.reasons.filter((reason) => reason !== 'superseded' || lines.length > 0);
  const before = new Map<number, { bytes: Buffer; reason: RejectReason }[]>();
  const superseded = new Set<number>();
  for (let number = 0; reasons.length > 0 && number < count; number += 1) {
    const reason = reasons[number % reasons.length] as RejectReason;
    const place = integer(random, 0, lines.length + (reason === 'superseded' ? 0 : 1));
    const mark = `${digits(random, 8)}${number}`;
    // Two superseded lines of one key would be told apart by nobody.
    if (reason === 'superseded' && superseded.has(place)) continue;
    if (reason === 'superseded') superseded.add(place);
    const bytes = badLine(reason, mark, lines[place] ?? '', order);
    before.set(place, [...(before.get(place) ?? []), { bytes, reason }]);
  }
  const all: Buffer[] = [];
  const badLines: BadLine[] = [];
  for (let place = 0; place <= lines.length; place += 1) {
    for (const { bytes, reason } of before.get(place) ?? []) {
      all.push(bytes);
      badLines.push({ hash: hashOf(bytes), reason, lineNo: all.length + 1 });
    }
    const right = lines[place];
    if (right !== undefined) all.push(Buffer.from(right));
  }
  return { lines: all, badLines };
}

function badLine(
  reason: RejectReason,
  mark: string,
  right: string,
  { dataset, orgCode, length = TOO_LONG }: BadLineOrder,
): Buffer {
  const made = dataset.columns.map(({ name, codes }) => {
    if (name === dataset.key) return `BAD${mark}`;
    return name === 'org_code' ? orgCode : (Object.keys(codes ?? {})[0] ?? '1');
  });
  const key = dataset.columns.findIndex(({ name }) => name === dataset.key);
  const org = dataset.columns.findIndex(({ name }) => name === 'org_code');
  // A column that is neither: its value tells lines apart that have no key.
  const free = dataset.columns.findIndex((_, index) => index !== key && index !== org);
  const line = (over: Readonly<Record<number, string>>, fields: readonly string[] = made) =>
    Buffer.from(fields.map((field, index) => over[index] ?? field).join('|'));
  switch (reason) {
    case 'field_count':
      return line({}, made.slice(0, -1));
    case 'no_key':
      return line({ [key]: '', [free]: mark });
    case 'no_org':
      return line({ [org]: '' });
    case 'other_org':
      return line({ [org]: `${orgCode.slice(0, 10)}-OTHER` });
    case 'encoding':
      // A byte that stands nowhere in UTF-8.
      return Buffer.concat([line({}), Buffer.from([0xff])]);
    case 'nul':
      return line({ [free]: '\0' });
    case 'too_long':
      return line({ [free]: 'x'.repeat(length) });
    case 'superseded':
      return line({ [free]: `${mark}` }, right.split('|'));
  }
}

function hashOf(line: Buffer): string {
  return createHash('sha256').update(line).digest('hex');
}
