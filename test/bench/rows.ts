import type { DatasetName } from '../../src/core/dataset.ts';
import { CATALOGUE } from '../../src/datasets/catalogue.ts';

/** The organisation that single loads are made for. */
export const ORG = 'WJ0105';

/** What a row of the address table says: as first loaded, or changed since. */
export type Version = 'first' | 'changed';

const { columns } = CATALOGUE.addresses;

/** The first line of an address table. */
export const ADDRESS_HEADER = columns.map(({ header }) => header).join('|');

/** Columns of an address table, in the order of its lines. */
export const ADDRESS_COLUMNS: readonly string[] = columns.map(({ name }) => name);

/**
 * One row of the address table, some 90 bytes long; rows of a first load have even numbers, so that
 * new ones (odd) lie between them.
 *
 * @param number even for rows of the first load
 * @param separator what stands between its fields
 */
export function addressLine(
  orgCode: string,
  number: number,
  version: Version,
  separator: '|' | '\t' = '|',
): string {
  const house = (number >> 1) % 200;
  const village = Math.floor(number / 400);
  const name = version === 'changed' ? `新${house}幢` : `${house}幢`;
  const whole = `苏州市吴江区松陵镇${village % 5000}号小区${name}`;
  const fields = [`3205${pad(number)}`, `3204${pad(village)}`, 'B', name, whole, orgCode, 'A'];
  return fields.join(separator);
}

function pad(number: number): string {
  return String(number).padStart(9, '0');
}

/** A small table of any dataset, for a feed of the sweep. */
export function smallTable(name: DatasetName, orgCode: string, rows: number): string {
  const dataset = CATALOGUE[name];
  const lines = Array.from({ length: rows }, (_, number) =>
    dataset.columns
      .map(({ name: column, codes, maxLength }) => {
        if (column === 'org_code') return orgCode;
        if (column === dataset.key) return `K${pad(number)}`;
        return codes ? Object.keys(codes)[0]! : `${column}${number}`.slice(0, maxLength);
      })
      .join('|'),
  );
  return `${dataset.columns.map(({ header }) => header).join('|')}\n${lines.join('\n')}\n`;
}

/** Numbers from 0 to `end`, that one not included, in an order of their own by seed. */
export function shuffled(end: number, seed: number): Uint32Array {
  const numbers = Uint32Array.from({ length: end }, (_, index) => index);
  const random = createRandom(seed);
  for (let index = end - 1; index > 0; index -= 1) {
    const other = Math.floor(random() * (index + 1));
    const number = numbers[index]!;
    numbers[index] = numbers[other]!;
    numbers[other] = number;
  }
  return numbers;
}

/** Numbers in `[0, 1)`, the same for the same seed. */
export function createRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
