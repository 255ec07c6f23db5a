import type { Dataset } from '../dataset.ts';
import { FatalError } from '../errors.ts';

/** How a table's fields map to columns: by name, never by position (P6). */
export interface Header {
  /** The header line, without its line end. */
  readonly text: string;
  /** Fields that each line must have. */
  readonly width: number;
  /** For each column of the dataset, in its order: the field that holds it, or -1 if the header lacks it. */
  readonly positions: readonly number[];
  /** Fields that the document does not name: position and the name they are kept under in `extra`. */
  readonly unknown: readonly { readonly position: number; readonly name: string }[];
  /** Optional columns that the header lacks: what is stored in them stays as it is. */
  readonly absent: readonly string[];
}

/**
 * Maps a header's fields to the dataset's columns (P6).
 *
 * Columns may stand in any order; unknown ones are kept. Two unknown columns of one name are told
 * apart by their position.
 *
 * @param text the line that the fields come from, where it is more than the fields joined
 * @throws FatalError `HEADER_MISMATCH` if a required column is missing or a known one stands twice
 */
export function readHeader(
  fields: readonly string[],
  dataset: Dataset,
  text = fields.join('|'),
): Header {
  const positions = dataset.columns.map((column) => {
    const names = [column.header, ...(column.aliases ?? [])];
    const found = fields.flatMap((field, position) => (names.includes(field) ? [position] : []));
    if (found.length > 1) {
      throw mismatch(dataset, fields, `column ${column.header} stands ${found.length} times`);
    }
    return found[0] ?? -1;
  });
  const lacking = dataset.columns.filter((_, index) => positions[index] === -1);
  const required = lacking.filter((column) => column.required);
  if (required.length > 0) {
    const names = required.map((column) => column.header).join(', ');
    throw mismatch(dataset, fields, `column ${names} is missing`);
  }
  return {
    text,
    width: fields.length,
    positions,
    unknown: nameUnknown(fields, new Set(positions)),
    absent: lacking.map((column) => column.name),
  };
}

/** The header line of a dataset as the document has it. */
export function documentHeader({ columns }: Dataset): string {
  return columns.map(({ header }) => header).join('|');
}

/**
 * A header line as it is kept with the lines that were refused below it; null if it is the document's
 * own. No database stores a NUL.
 */
export function keptHeader({ text }: Header, dataset: Dataset): string | null {
  return text === documentHeader(dataset) ? null : text.replaceAll('\0', '\u2400');
}

function nameUnknown(fields: readonly string[], known: ReadonlySet<number>): Header['unknown'] {
  const taken = new Set<string>();
  return fields.flatMap((field, position) => {
    if (known.has(position)) return [];
    // No database stores a NUL.
    let name = field === '' ? `column_${position + 1}` : field.replaceAll('\0', '\u2400');
    while (taken.has(name)) name = `${name}_${position + 1}`;
    taken.add(name);
    return [{ position, name }];
  });
}

function mismatch(dataset: Dataset, fields: readonly string[], what: string): FatalError {
  const known = new Set(
    dataset.columns.flatMap(({ header, aliases = [] }) => [header, ...aliases]),
  );
  const count = fields.filter((field) => known.has(field)).length;
  return new FatalError(
    'HEADER_MISMATCH',
    `${what}; the header has ${fields.length} fields, ${count} of them known`,
  );
}
