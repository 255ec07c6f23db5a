import { finished, pipeline } from 'node:stream/promises';
import type { PoolClient } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import type { Dataset } from '../core/dataset.ts';
import type { Header } from '../core/table/header.ts';
import type { Row } from '../core/table/row.ts';
import { setPipeline } from './pool.ts';

/** In which order a header's columns are copied: its own, so that its lines need not be taken apart. */
export interface CopyLayout {
  /** Names of the dataset's columns that the header has. */
  readonly columns: readonly string[];
  /** For each of them: its index among the dataset's columns. */
  readonly order: readonly number[];
  /** Whether a line holds nothing but these. */
  readonly whole: boolean;
}

export function copyLayout({ columns }: Dataset, { positions, unknown }: Header): CopyLayout {
  const order = positions
    .flatMap((position, index) => (position === -1 ? [] : [{ position, index }]))
    .sort((a, b) => a.position - b.position)
    .map(({ index }) => index);
  const names = order.map((index) => columns[index]!.name);
  return { columns: names, order, whole: unknown.length === 0 };
}

/** Streams lines of COPY's text format in UTF-8, delimited by `|`, into columns of a table; answers how many. */
export async function copyInto(
  client: PoolClient,
  table: string,
  columns: readonly string[],
  lines: AsyncIterable<Buffer>,
): Promise<number> {
  // A COPY has the connection to itself; one that fails leaves it so.
  setPipeline(client, false);
  // The table's own dialect as far as it goes: an empty field is NULL there too (P6).
  const copy = client.query(
    copyFrom(`copy ${table} (${columns.join(', ')}) from stdin (delimiter '|', null '')`),
  );
  const end = finished(copy);
  // Awaited below; a failure before that must not count as unhandled.
  end.catch(() => {});
  try {
    await pipeline(lines, copy);
  } catch (error) {
    // The COPY has been ended on the server too; its own complaint about that is not the cause.
    await end.catch(() => {});
    throw error;
  }
  setPipeline(client, true);
  return copy.rowCount;
}

/**
 * Writes a row's columns, flags and extra in COPY's text format, and then the end of all lines; a line
 * that needs no escaping is passed on as it came.
 */
export function lineWriter({ order, whole }: CopyLayout, end: string): (row: Row) => string {
  const bare = `||${end}`;
  return (row) => {
    const { text, flags, extra } = row;
    const fields = whole && text && !SPECIAL.test(text) ? text : fieldsOf(row, order);
    if (flags === null && extra === null) return fields + bare;
    const more = extra === null ? '' : escapeCopy(JSON.stringify(extra));
    return `${fields}|${flagsAsText(row) ?? ''}|${more}${end}`;
  };
}

function fieldsOf({ values }: Row, order: CopyLayout['order']): string {
  return order.map((index) => escapeCopy(values[index] ?? '')).join('|');
}

/** A row's flags as a Postgres array; they are names of columns and faults: nothing to quote. */
export function flagsAsText({ flags }: Row): string | null {
  return flags === null ? null : `{${flags.join(',')}}`;
}

/** What COPY's text format treats as special within a line, `|` apart. */
const SPECIAL = /[\\\n\r]/;

const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '|': '\\|',
  '\n': '\\n',
  '\r': '\\r',
};

/** Escapes what COPY's text format treats as special in a field; the text `\N` becomes `\\N`. */
function escapeCopy(field: string): string {
  return /[\\|\n\r]/.test(field) ? field.replace(/[\\|\n\r]/g, (found) => ESCAPES[found]!) : field;
}
