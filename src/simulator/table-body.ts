import type { Dataset } from '../core/dataset.ts';
import type { Row } from './history.ts';

/** Characters a chunk holds at least, before the next begins. */
const CHUNK = 32_768;

/**
 * How the document heads the column of the organisation in table 3002, unlike everywhere else (P6).
 */
const HEADERS: Readonly<Record<string, string>> = { 'supply_points org_code': '机构编码' };

/** A table's first line as the document writes it, without its line end. */
export function tableHeader({ name, columns }: Dataset): string {
  return columns.map((column) => HEADERS[`${name} ${column.name}`] ?? column.header).join('|');
}

/** Writes a table chunk by chunk: header, then a line per row, `|` between fields, LF at each end (P6). */
export function* tableBody(dataset: Dataset, rows: readonly Row[]): Generator<string, void> {
  let chunk = `${tableHeader(dataset)}\n`;
  for (const row of rows) {
    chunk += `${dataset.columns.map(({ name }) => row[name] ?? '').join('|')}\n`;
    if (chunk.length >= CHUNK) {
      yield chunk;
      chunk = '';
    }
  }
  if (chunk !== '') yield chunk;
}
