import { createHash } from 'node:crypto';
import { SyncError } from '../core/errors.ts';
import { legible } from '../core/table/line-screen.ts';
import type { Reject, Row } from '../core/table/row.ts';
import {
  type Batch,
  hashLine,
  readTable,
  type Table,
  type TableOptions,
} from '../core/table/table-reader.ts';
import type { TableBytes } from './ports.ts';

/** A refused line that is to be read again. */
export interface ReplayLine {
  /** Id of its reject. */
  readonly id: number;
  readonly line: string;
}

/** Lines in one batch. */
const BATCH = 200;

/** Refused lines as a table below their header, which remembers what became of each. */
export class LineTable {
  readonly bytes: TableBytes;
  /** Ids of the lines that could be stored. */
  readonly accepted: number[] = [];
  /** Why the others could not. */
  readonly refused: string[] = [];
  readonly #header: string;
  readonly #lines: readonly ReplayLine[];

  constructor(header: string, lines: readonly ReplayLine[]) {
    this.#header = header;
    this.#lines = lines;
    const text = Buffer.from([header, ...lines.map(({ line }) => line), ''].join('\n'));
    this.bytes = {
      seq: null,
      httpStatus: null,
      date: null,
      charset: null,
      body: pieces(text),
      length: text.length,
      bytes: text.length,
      sha256: () => createHash('sha256').update(text).digest('hex'),
    };
  }

  /**
   * Reads each line by itself, so that none can swallow the next.
   *
   * @throws FatalError `HEADER_MISMATCH`
   */
  async read(options: TableOptions): Promise<Table> {
    const how: TableOptions = { ...options, declaredCharset: null, forcedCharset: 'utf-8' };
    const { header } = await readTable(pieces(Buffer.from(`${this.#header}\n`)), how);
    return { header, batches: this.#batches(how) };
  }

  async *#batches(options: TableOptions): AsyncGenerator<Batch> {
    let rows: Row[] = [];
    let rejects: Reject[] = [];
    for (const [index, { id, line }] of this.#lines.entries()) {
      const result = await this.#readLine(line, index + 2, options);
      if ('values' in result) {
        rows.push(result);
        this.accepted.push(id);
      } else {
        rejects.push(result);
        this.refused.push(result.reason);
      }
      if (rows.length + rejects.length < BATCH) continue;
      yield { rows, rejects };
      [rows, rejects] = [[], []];
    }
    yield { rows, rejects };
  }

  /** A text that is not exactly one line of a table has the wrong number of fields. */
  async #readLine(line: string, lineNo: number, options: TableOptions): Promise<Row | Reject> {
    const found: (Row | Reject)[] = [];
    try {
      const text = Buffer.from(`${this.#header}\n${line}\n`);
      const { batches } = await readTable(pieces(text), options);
      for await (const { rows, rejects } of batches) found.push(...rows, ...rejects);
    } catch (error) {
      if (!(error instanceof SyncError && error.code === 'MALFORMED_TABLE')) throw error;
    }
    const [only] = found;
    if (only && found.length === 1) {
      // A row's values need not be its own property.
      return 'values' in only ? { ...only, values: only.values, lineNo } : { ...only, lineNo };
    }
    const hash = hashLine(line);
    return { lineNo, reason: 'field_count', rowKey: null, hash, line: legible(line) };
  }
}

async function* pieces(text: Buffer): AsyncGenerator<Buffer> {
  yield text;
}
