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
  /** Values in the order of the dataset's columns; an empty field is null. */
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

/**
 * Checks the records of one table; make one for each header.
 *
 * @param text the record's line, if it is nothing but the fields joined by `|`
 */
export type RowCheck = (
  fields: readonly string[],
  lineNo: number,
  text?: string | null,
) => Row | Refusal;

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
  const faults = columns.map(faultFinder);

  return (fields, lineNo, text = null) => {
    if (fields.length !== width) return { reason: 'field_count', rowKey: null };
    const values = positions.map((position) => fields[position] || null);
    const rowKey = values[keyIndex] ?? null;
    if (rowKey === null) return { reason: 'no_key', rowKey };
    const org = values[orgIndex] ?? null;
    if (org === null) return { reason: 'no_org', rowKey };
    if (org !== orgCode && !acceptOrg(org)) return { reason: 'other_org', rowKey };
    let flags: string[] | null = absent.length > 0 ? [...absent] : null;
    for (let index = 0; index < faults.length; index++) {
      const fault = faults[index]!(values[index]!);
      if (fault === null) continue;
      flags ??= [];
      flags.push(`${columns[index]!.name}:${fault}`);
    }
    const extra = unknown.length === 0 ? null : extraOf(unknown, fields);
    return { lineNo, values, flags, extra, text };
  };
}

/** Makes the check of one column's values: what of a value the document does not allow. */
function faultFinder({ required, maxLength, codes }: Column) {
  const known = codes ? new Set(Object.keys(codes)) : null;
  return (value: string | null): string | null => {
    if (value === null) return required ? 'missing' : null;
    // Code units are never fewer than characters: only a value that looks too long is counted.
    if (value.length > maxLength && [...value].length > maxLength) return 'length';
    return known && !known.has(value) ? 'code' : null;
  };
}

function extraOf(unknown: Header['unknown'], fields: readonly string[]): Row['extra'] {
  const entries = unknown.flatMap(({ position, name }) => {
    const value = fields[position];
    return value ? [[name, value] as const] : [];
  });
  return entries.length === 0 ? null : Object.fromEntries(entries);
}
