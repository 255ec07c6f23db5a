import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { ADDRESS_HEADER, addressLine, shuffled } from './rows.ts';

/** Lines written at once. */
const AT_ONCE = 5_000;

/** Which table: rows by key, the same with changes in random order, or clean fields for `COPY`. */
export type Kind = 'first' | 'changed' | 'clean';

/** One prepared table of one organisation. */
export interface TableFile {
  readonly orgCode: string;
  readonly kind: Kind;
  readonly rows: number;
}

/** What the files of a table have in common, whatever the organisation; a file's name goes on with it. */
export function filePrefix({ kind, rows }: Pick<TableFile, 'kind' | 'rows'>): string {
  return `${kind}-${rows}-`;
}

/**
 * Writes a table into the folder, once.
 *
 * `changed` has as many rows as `first`: a tenth changed, a tenth new in place of others, the rest as
 * they were, in random order.
 *
 * @returns its path
 */
export async function writeTable(
  folder: string,
  table: TableFile,
  signal: AbortSignal,
): Promise<string> {
  const path = join(folder, filePrefix(table) + table.orgCode);
  if (await exists(path)) return path;
  const file = createWriteStream(path);
  const end = finished(file);
  end.catch(() => {});
  if (table.kind !== 'clean') file.write(`${ADDRESS_HEADER}\n`);
  const lineAt = lineOf(table);
  for (let start = 0; start < table.rows; start += AT_ONCE) {
    signal.throwIfAborted();
    let text = '';
    const stop = Math.min(start + AT_ONCE, table.rows);
    for (let index = start; index < stop; index += 1) text += `${lineAt(index)}\n`;
    if (!file.write(text)) await Promise.race([once(file, 'drain'), end]);
  }
  file.end();
  await end;
  return path;
}

function lineOf({ orgCode, kind, rows }: TableFile): (index: number) => string {
  if (kind === 'first') return (index) => addressLine(orgCode, 2 * index, 'first');
  if (kind === 'clean') return (index) => addressLine(orgCode, 2 * index, 'first', '\t');
  const order = shuffled(rows, rows);
  return (index) => {
    const row = order[index]!;
    if (row % 10 === 0) return addressLine(orgCode, 2 * row + 1, 'first');
    return addressLine(orgCode, 2 * row, row % 10 === 1 ? 'changed' : 'first');
  };
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
