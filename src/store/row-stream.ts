import { transcode } from 'node:buffer';
import type { Row } from '../core/table/row.ts';

/** A table's rows as they come, of which some can be put back. */
export interface RowStream {
  /** The next rows; null at the end. */
  next(): Promise<readonly Row[] | null>;
  /** Gives rows back: they come next. */
  putBack(rows: readonly Row[]): void;
  /** What `write` makes of the rows, in UTF-8, up to those that it does not take: they stay. */
  texts(write: (rows: readonly Row[]) => Written): AsyncGenerator<Buffer>;
  /** Ends the download, though there may be more. */
  end(): Promise<void>;
}

/** Text of the first rows of some. */
export interface Written {
  readonly text: string;
  /** How many they were. */
  readonly taken: number;
}

/** Text in UTF-8; `Buffer.from` would measure it first, and take half as long again. */
function encode(text: string): Buffer {
  return transcode(Buffer.from(text, 'utf16le'), 'utf16le', 'utf8') as Buffer;
}

/** Opens the stream of a table's rows, each of which is looked at once. */
export function rowStream(
  batches: AsyncIterable<readonly Row[]>,
  look: (row: Row) => void,
): RowStream {
  const iterator = batches[Symbol.asyncIterator]();
  let back: readonly Row[] = [];
  const next: RowStream['next'] = async () => {
    if (back.length > 0) {
      const rows = back;
      back = [];
      return rows;
    }
    const { done, value } = await iterator.next();
    if (done) return null;
    for (const row of value) look(row);
    return value;
  };
  return {
    next,
    putBack: (rows) => {
      back = rows;
    },
    async *texts(write) {
      for (let rows = await next(); rows !== null; rows = await next()) {
        const { text, taken } = write(rows);
        if (taken > 0) yield encode(text);
        if (taken === rows.length) continue;
        back = rows.slice(taken);
        return;
      }
    },
    async end() {
      await iterator.return?.();
    },
  };
}
