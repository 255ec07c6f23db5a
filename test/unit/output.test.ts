import { describe, expect, test } from 'vitest';
import {
  chinaTime,
  displayWidth,
  isoTime,
  type Listing,
  type Output,
  printRows,
  range,
  renderTable,
  seconds,
} from '../../src/cli/output.ts';

interface Place {
  readonly name: string;
  readonly lines: number;
}

const LISTING: Listing<Place> = {
  columns: [
    { title: 'NAME', text: ({ name }) => name },
    { title: 'LINES', text: ({ lines }) => String(lines), right: true },
    { title: 'END', text: () => 'x' },
  ],
  record: ({ name, lines }) => ({ name, lines }),
  empty: 'no places to show',
};

function capture(styled = false): Output & { readonly data: string[]; readonly notes: string[] } {
  const data: string[] = [];
  const notes: string[] = [];
  return {
    data,
    notes,
    styled,
    line: (text) => void data.push(text),
    note: (text) => void notes.push(text),
  };
}

describe('the width of a text', () => {
  test.each([
    ['', 0],
    ['abc', 3],
    ['南京 A', 6],
    ['，（）', 6],
    ['Ａ１', 4],
    ['𠮷', 2],
    ['한글', 4],
    ['é', 1],
    ['e\u0301', 1],
    ['🔥', 2],
    ['👨‍👩‍👧', 2],
    ['±·…', 3],
  ])('%j takes %i columns', (text, width) => {
    expect(displayWidth(text)).toBe(width);
  });
});

describe('a table for people', () => {
  test('stays aligned with Chinese in it', () => {
    const rows = [
      { name: '南京港华', lines: 7 },
      { name: 'WJ0105', lines: 12_345 },
    ];
    expect(renderTable(rows, LISTING.columns)).toEqual([
      'NAME      LINES  END',
      '南京港华      7  x',
      'WJ0105    12345  x',
    ]);
  });

  test('keeps each row on its line and gives the terminal no commands', () => {
    const [, row] = renderTable([{ name: 'a\n\u001b[31mb\u2028c', lines: 1 }], LISTING.columns);
    expect(row).toMatch(/^a \[31mb c +1 {2}x$/);
  });

  test('dims its header only where that is wanted', () => {
    const rows = [{ name: 'a', lines: 1 }];
    const plain = capture();
    printRows(rows, LISTING, { out: plain });
    expect(plain.data[0]).toBe('NAME  LINES  END');
    const styled = capture(true);
    printRows(rows, LISTING, { out: styled });
    expect(styled.data[0]).toBe('\u001b[2mNAME  LINES  END\u001b[22m');
    expect(styled.data[1]).toBe('a         1  x');
  });

  test('says on stderr that there is nothing', () => {
    const out = capture();
    printRows([], LISTING, { out });
    expect(out).toMatchObject({ data: [], notes: ['no places to show'] });
  });
});

describe('a list for programs', () => {
  test('is one JSON array, empty where there is nothing', () => {
    const out = capture();
    printRows([{ name: '南京', lines: 2 }], LISTING, { json: true, out });
    printRows([], LISTING, { json: true, out });
    expect(out.data.map((text) => JSON.parse(text))).toEqual([[{ name: '南京', lines: 2 }], []]);
    expect(out.notes).toEqual([]);
  });

  test('has times in UTC, durations in seconds, and null for what has no end', () => {
    expect(isoTime(0)).toBe('1970-01-01T00:00:00.000Z');
    expect(isoTime(new Date(1000))).toBe('1970-01-01T00:00:01.000Z');
    expect(isoTime(null)).toBeNull();
    expect(seconds(1999)).toBe(1);
    expect(seconds(null)).toBeNull();
    const endless = range({ from: Number.NEGATIVE_INFINITY, to: 0 });
    expect(endless).toEqual({ from: null, to: '1970-01-01T00:00:00.000Z' });
  });
});

test('times for people are China time', () => {
  expect(chinaTime(Date.UTC(2026, 10, 21, 12, 41, 7))).toBe('2026-11-21 20:41:07');
  expect(chinaTime(null)).toBe('-');
});
