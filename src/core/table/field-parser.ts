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
  /** Whether the text is just the fields joined by `|`. */
  readonly plain: boolean;
}

interface QuotedRecord {
  readonly record: string[];
  readonly raw: string;
}

/** A record in quotes that never end must not fill the memory; in characters. */
const LONGEST_QUOTED_RECORD = 1024 * 1024;

/** Splits whole lines into records; blank lines come as one empty field, so that lines can be counted. */
export interface Splitter {
  /**
   * Takes text and gives the records that are surely complete; the last may come with the next push.
   *
   * @throws RetryableError `MALFORMED_TABLE`
   */
  push(text: string): TextRecord[];
  /**
   * Gives the records that were still held back.
   *
   * @throws RetryableError `MALFORMED_TABLE`
   */
  end(): Promise<TextRecord[]>;
}

/** Opens the splitter for a dialect. */
export function openSplitter(quotes: Quotes): Splitter {
  return quotes === 'none' ? plainSplitter() : new FieldParser(quotes);
}

/**
 * Splits lines of the document's own dialect, where `|` and line ends mean themselves everywhere:
 * just what csv-parse gives without quotes (a test holds the two equal), in a small part of its time.
 */
export function plainSplitter(): Splitter {
  let rest = '';
  let count = 0;
  const record = (text: string): TextRecord => {
    count += 1;
    return new PlainRecord(text, count);
  };
  return {
    push(text) {
      const lines = (rest + text).split('\n');
      rest = lines.pop()!;
      return lines.map((line) => record(line.endsWith('\r') ? line.slice(0, -1) : line));
    },
    async end() {
      // Without a line end behind it, a CR is a character like any other.
      const last = rest === '' ? [] : [record(rest)];
      rest = '';
      return last;
    },
  };
}

/** A line that is taken apart when it is asked for its fields: for most, nobody asks. */
class PlainRecord implements TextRecord {
  readonly plain = true;
  readonly text: string;
  readonly line: number;

  constructor(text: string, line: number) {
    this.text = text;
    this.line = line;
  }

  get fields(): readonly string[] {
    return this.text.split('|');
  }
}

/**
 * Splits whole lines into fields by csv-parse: `|` between fields; quotes only where asked for (P6).
 *
 * Quotes that make no sense end the reading: to skip a record there could skip any number of lines.
 */
export class FieldParser implements Splitter {
  readonly #quoted: boolean;
  readonly #parser: Parser;
  #line = 0;
  /** Whether the text so far ends with a line end. */
  #isEnded = true;
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
            max_record_size: LONGEST_QUOTED_RECORD,
          }
        : { quote: null, escape: null }),
    });
    this.#parser.on('error', (error: CsvError) => {
      this.#error = error;
    });
  }

  push(text: string): TextRecord[] {
    this.#parser.write(text);
    if (text !== '') this.#isEnded = text.endsWith('\n');
    const records: TextRecord[] = [];
    for (let next = this.#parser.read(); next !== null; next = this.#parser.read()) {
      records.push(this.#record(next));
    }
    return this.#hand(records);
  }

  async end(): Promise<TextRecord[]> {
    this.#parser.end();
    const left: (string[] | QuotedRecord)[] = [];
    try {
      for await (const next of this.#parser) left.push(next);
    } catch (error) {
      this.#error = error as CsvError;
    }
    const isEnded = (index: number) => this.#isEnded || index < left.length - 1;
    return this.#hand(left.map((next, index) => this.#record(next, isEnded(index))));
  }

  #record(next: string[] | QuotedRecord, isEnded = true): TextRecord {
    if (Array.isArray(next)) {
      this.#line += 1;
      return { fields: next, line: this.#line, text: null, plain: true };
    }
    // Of the line end csv-parse keeps the first character, be it LF or the CR before it.
    const text = isEnded ? next.raw.slice(0, -1) : next.raw;
    // Its own count takes a lone CR for a line.
    this.#line += 1 + countLineEnds(text);
    return { fields: next.record, line: this.#line, text, plain: false };
  }

  #hand(records: TextRecord[]): TextRecord[] {
    if (this.#error) {
      throw new RetryableError('MALFORMED_TABLE', `csv-parse stopped with ${this.#error.code}`);
    }
    return records;
  }
}

function countLineEnds(text: string): number {
  let count = 0;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) count += 1;
  return count;
}
