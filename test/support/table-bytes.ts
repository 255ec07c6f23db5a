import { createHash } from 'node:crypto';
import { CATALOGUE } from '../../src/datasets/catalogue.ts';
import type { TableBytes } from '../../src/sync/ports.ts';

/** The document's own header of table meters. */
export const METER_HEADER = CATALOGUE.meters.columns.map(({ header }) => header).join('|');

/** A line of table meters. */
export function meterLine(
  code: string,
  {
    org = 'WJ0105',
    location = '',
    state = 'A',
  }: { org?: string; location?: string; state?: string } = {},
): string {
  return [code, '01', '01', '1', state, location, 'S1', '', '', org].join('|');
}

/** A table as it comes out of a file, in pieces of a few bytes or as a whole. */
export function tableBytes(text: string | Buffer, pieceLength = 65_536): TableBytes {
  const whole = Buffer.from(text);
  const hash = createHash('sha256');
  let bytes = 0;
  async function* pieces(): AsyncGenerator<Buffer> {
    while (bytes < whole.length) {
      const piece = whole.subarray(bytes, bytes + pieceLength);
      bytes += piece.length;
      hash.update(piece);
      yield piece;
    }
  }
  return {
    seq: null,
    httpStatus: null,
    date: null,
    charset: null,
    body: pieces(),
    length: whole.length,
    get bytes() {
      return bytes;
    },
    sha256: () => hash.copy().digest('hex'),
  };
}

/** Lines below the document's header of table meters. */
export function meterTable(lines: readonly string[], header = METER_HEADER): string {
  return [header, ...lines, ''].join('\n');
}
