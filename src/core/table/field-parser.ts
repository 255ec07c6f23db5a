import { type CsvError, Parser } from 'csv-parse';
import { RetryableError } from '../errors.ts';

/** How fields are delimited: as the document describes, or with quotes added by a gateway (P6). */
export type Quotes = 'none' | 'rfc4180';

/** One record as it stands in the text. */
export interface TextRecord {
  readonly fields: readonly string[];
  /** Number of its last line, the first line pushed being 1. */
  readonly line: number;
  /** The record's own text, or null where its fields joined by `|` are just that. */
  readonly text: string | null;
}

interface QuotedRecord {
  readonly record: string[];
  readonly raw: string;
  readonly info: { readonly lines: number };
}

/** A record in quotes that never end must not fill the memory; in characters. */
const LONGEST_QUOTED_RECORD = 1024 * 1024;

/**
 * Splits whole lines into fields by csv-parse: `|` between fields; quotes only where asked for (P6).
 *
 * Quotes that make no sense end the reading: to skip a record there could skip any number of lines.
 *
 * Blank lines come as one empty field, so that lines can be counted.
 */
export class FieldParser {
  readonly #quoted: boolean;
  readonly #parser: Parser;
  #line = 0;
  #error: CsvError | null = null;

  constructor(quotes: Quotes) {
    this.#quoted = quotes === 'rfc4180';
    this.#parser = new Parser({
      delimiter: '|',
      record_delimiter: ['\r\n', '\n'],
      relax_column_count: true,
      ...(this.#quoted
        ? {
            quote: '"',
            escape: '"',
            raw: true,
            info: true,
            max_record_size: LONGEST_QUOTED_RECORD,
          }
        : { quote: null, escape: null }),
    });
    this.#parser.on('error', (error: CsvError) => {
      this.#error = error;
    });
  }

  /**
   * Takes text and gives the records that are surely complete; the last may come with the next push.
   *
   * @throws RetryableError `MALFORMED_TABLE`
   */
  push(text: string): TextRecord[] {
    this.#parser.write(text);
    const records: TextRecord[] = [];
    for (let next = this.#parser.read(); next !== null; next = this.#parser.read()) {
      records.push(this.#record(next));
    }
    return this.#hand(records);
  }

  /**
   * Gives the records that were still held back.
   *
   * @throws RetryableError `MALFORMED_TABLE`
   */
  async end(): Promise<TextRecord[]> {
    this.#parser.end();
    const records: TextRecord[] = [];
    try {
      for await (const next of this.#parser) records.push(this.#record(next));
    } catch (error) {
      this.#error = error as CsvError;
    }
    return this.#hand(records);
  }

  #record(next: string[] | QuotedRecord): TextRecord {
    if (Array.isArray(next)) {
      this.#line += 1;
      return { fields: next, line: this.#line, text: null };
    }
    const { record, raw, info } = next;
    return { fields: record, line: info.lines, text: raw.replace(/\r?\n?$/, '') };
  }

  #hand(records: TextRecord[]): TextRecord[] {
    if (this.#error) {
      throw new RetryableError('MALFORMED_TABLE', `csv-parse stopped with ${this.#error.code}`);
    }
    return records;
  }
}
