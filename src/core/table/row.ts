import type { Column, Dataset } from '../dataset.ts';
import type { Header } from './header.ts';

/** Why a line can be refused (P6). */
export const REJECT_REASONS = [
  'field_count',
  'no_key',
  'no_org',
  'other_org',
  'encoding',
  'nul',
  'too_long',
  'superseded',
] as const;

/** Why a line was refused. */
export type RejectReason = (typeof REJECT_REASONS)[number];

/**
 * The column by which a line was refused; null where it is the line as a whole.
 *
 * @example columnOf('no_key', CATALOGUE.meters) // "meter_code"
 */
export function columnOf(reason: RejectReason, { key }: Pick<Dataset, 'key'>): string | null {
  if (reason === 'no_key') return key;
  return reason === 'no_org' || reason === 'other_org' ? 'org_code' : null;
}

/** A line that was refused. */
export interface Reject {
  /** Its line in the file; the header is line 1. */
  readonly lineNo: number;
  readonly reason: RejectReason;
  /** Key of the row, where it could be read. */
  readonly rowKey: string | null;
  /** SHA-256 (hex) of the line's text in UTF-8, or of its bytes where they are no text. */
  readonly hash: string;
  /** The line for people: NULs and invalid bytes replaced, cut to a bearable length. */
  readonly line: string;
}

/** A refused line whose text is kept already. */
export type SeenReject = Pick<Reject, 'hash' | 'lineNo' | 'reason'>;

/** A line that can be stored. */
export interface Row {
  readonly lineNo: number;
  readonly key: string;
  readonly orgCode: string;
  /** Values in the order of the dataset's columns; an empty field is null. It may be found anew each time. */
  readonly values: readonly (string | null)[];
  /** Values that the document does not allow, as `column:what`; null if none. */
  readonly flags: readonly string[] | null;
  /** Values of columns that the document does not name, by header; null if none. */
  readonly extra: Readonly<Record<string, string>> | null;
  /** The line itself, where it is known to be nothing but its fields joined by `|`. */
  readonly text?: string | null;
}

/** What a line must satisfy beyond its form. */
export interface RowRules {
  readonly dataset: Dataset;
  readonly header: Header;
  /** Organisation that was asked for. */
  readonly orgCode: string;
  /** Whether rows of another organisation may be stored under their own, by that organisation. */
  readonly acceptOrg: (orgCode: string) => boolean;
}

/** A refused record before its text is attached. */
export interface Refusal {
  readonly reason: RejectReason;
  readonly rowKey: string | null;
}

/** Checks the records of one table; make one for each header. */
export interface RowCheck {
  /** Checks a record by its fields. */
  fields(fields: readonly string[], lineNo: number): Row | Refusal;
  /** Checks a line that is nothing but its fields joined by `|`: the same, without taking it apart if it is good. */
  line(text: string, lineNo: number): Row | Refusal;
}

/** Whether a check refused the record. */
export function isRefusal(result: Row | Refusal): result is Refusal {
  return 'reason' in result;
}

/**
 * Makes the check that turns a record's fields into a row or a refusal (P6).
 *
 * A value outside its code list, longer than documented or missing though required is stored and
 * flagged; only a record that can not be placed is refused.
 */
export function rowCheck({ dataset, header, orgCode, acceptOrg }: RowRules): RowCheck {
  const { columns } = dataset;
  const { positions, width, unknown } = header;
  const keyIndex = columns.findIndex((column) => column.name === dataset.key);
  const orgIndex = columns.findIndex((column) => column.name === 'org_code');
  const absent = header.absent.map((name) => `${name}:absent`);
  const finders = columns.map(flagFinder);
  const last = columns.length - 1;
  /** Whether the columns stand in their own order, and no others. */
  const isOwn =
    width === columns.length && positions.every((position, index) => position === index);

  const judge = (record: readonly string[], lineNo: number, text: string | null): Row | Refusal => {
    if (record.length !== width) return { reason: 'field_count', rowKey: null };
    const values = positions.map((position) => record[position] || null);
    const key = values[keyIndex] ?? null;
    if (key === null) return { reason: 'no_key', rowKey: key };
    const org = values[orgIndex] ?? null;
    if (org === null) return { reason: 'no_org', rowKey: key };
    if (org !== orgCode && !acceptOrg(org)) return { reason: 'other_org', rowKey: key };
    const found = values.flatMap((value, index) => finders[index]!.find(value) ?? []);
    const flags = absent.length + found.length === 0 ? null : [...absent, ...found];
    const extra = unknown.length === 0 ? null : extraOf(unknown, record);
    return { lineNo, key, orgCode: org, values, flags, extra, text };
  };

  const byFields: RowCheck['line'] = (text, lineNo) => judge(text.split('|'), lineNo, text);

  const line: RowCheck['line'] = (text, lineNo) => {
    if (!isOwn) return byFields(text, lineNo);
    let key = '';
    let flags: string[] | null = null;
    let start = 0;
    for (let index = 0; index <= last; index++) {
      const bar = text.indexOf('|', start);
      // Whatever is wrong with the line: its fields tell.
      if (bar < 0 !== (index === last)) return byFields(text, lineNo);
      const end = index === last ? text.length : bar;
      if (index === keyIndex) {
        if (end === start) return byFields(text, lineNo);
        key = text.slice(start, end);
      } else if (index === orgIndex) {
        if (text.slice(start, end) !== orgCode) return byFields(text, lineNo);
      }
      const finder = finders[index]!;
      if (finder.mayFind(end - start)) {
        const flag = finder.find(text.slice(start, end) || null);
        if (flag !== null) flags = [...(flags ?? []), flag];
      }
      start = end + 1;
    }
    return new LineRow(lineNo, key, orgCode, flags, text);
  };

  return { fields: (record, lineNo) => judge(record, lineNo, null), line };
}

/** A row that was not taken out of its line: of a million of them hardly any value is asked for. */
class LineRow implements Row {
  readonly extra = null;
  readonly lineNo: number;
  readonly key: string;
  readonly orgCode: string;
  readonly flags: readonly string[] | null;
  readonly text: string;

  constructor(
    lineNo: number,
    key: string,
    orgCode: string,
    flags: readonly string[] | null,
    text: string,
  ) {
    this.lineNo = lineNo;
    this.key = key;
    this.orgCode = orgCode;
    this.flags = flags;
    this.text = text;
  }

  get values(): readonly (string | null)[] {
    return this.text.split('|').map((field) => field || null);
  }
}

/** Finds what of a column's value the document does not allow. */
interface FlagFinder {
  /** The flag of such a value. */
  find(value: string | null): string | null;
  /** Whether a value of that length, in code units, needs a look at all. */
  mayFind(length: number): boolean;
}

function flagFinder({ name, required, maxLength, codes }: Column): FlagFinder {
  const known = codes ? new Set(Object.keys(codes)) : null;
  return {
    find(value) {
      if (value === null) return required ? `${name}:missing` : null;
      // Code units are never fewer than characters: only a value that looks too long is counted.
      if (value.length > maxLength && [...value].length > maxLength) return `${name}:length`;
      return known && !known.has(value) ? `${name}:code` : null;
    },
    mayFind: (length) => (length === 0 ? required : length > maxLength || known !== null),
  };
}

function extraOf(unknown: Header['unknown'], fields: readonly string[]): Row['extra'] {
  const entries = unknown.flatMap(({ position, name }) => {
    const value = fields[position];
    return value ? [[name, value] as const] : [];
  });
  return entries.length === 0 ? null : Object.fromEntries(entries);
}
