import { describe, expect, it } from 'vitest';
import { DAY, SECOND } from '../../src/core/china-time.ts';
import {
  checkImportSpan,
  type ImportSpan,
  importCovers,
  importWindow,
} from '../../src/core/import.ts';
import { documentHeader, keptHeader, readHeader } from '../../src/core/table/header.ts';
import { CATALOGUE } from '../../src/datasets/catalogue.ts';

const UNTIL = Date.UTC(2026, 9, 20, 4, 0, 0);
const interval = (from: number, to: number): ImportSpan => ({
  kind: 'interval',
  during: { from, to },
});
const asOf = (at: number, full = false): ImportSpan => ({ kind: 'as-of', asOf: at, full });

describe('what an import stands for', () => {
  it('is its interval, nothing, or all before a full extract', () => {
    const during = { from: UNTIL - DAY, to: UNTIL };
    expect(importCovers(interval(during.from, during.to))).toEqual(during);
    expect(importCovers(asOf(UNTIL))).toBeNull();
    expect(importCovers(asOf(UNTIL, true))).toEqual({ from: -Infinity, to: UNTIL });
  });

  it('ends where its rows are known to hold, and no run has an endless window', () => {
    expect(importWindow(interval(UNTIL - DAY, UNTIL))).toEqual({ from: UNTIL - DAY, to: UNTIL });
    for (const full of [false, true]) {
      expect(importWindow(asOf(UNTIL, full))).toEqual({ from: UNTIL, to: UNTIL });
    }
  });

  it('may lie however far back, up to the last settled second', () => {
    for (const span of [interval(0, SECOND), interval(0, UNTIL), asOf(0), asOf(UNTIL, true)]) {
      expect(() => checkImportSpan(span, UNTIL)).not.toThrow();
    }
  });

  it('is refused in the future, upside down, empty or between two seconds', () => {
    expect(() => checkImportSpan(asOf(UNTIL + SECOND), UNTIL)).toThrow(/is not past/);
    expect(() => checkImportSpan(interval(0, UNTIL + SECOND), UNTIL)).toThrow(/is not past/);
    expect(() => checkImportSpan(interval(SECOND, 0), UNTIL)).toThrow(/ends before it begins/);
    expect(() => checkImportSpan(interval(SECOND, SECOND), UNTIL)).toThrow(/is empty/);
    for (const span of [interval(1, SECOND), interval(0, 1), asOf(1), asOf(Number.NaN)]) {
      expect(() => checkImportSpan(span, UNTIL)).toThrow(/whole second/);
    }
  });
});

describe('a header kept with refused lines', () => {
  const dataset = CATALOGUE.meters;
  const fields = dataset.columns.map(({ header }) => header);
  const kept = (given: readonly string[], text?: string) =>
    keptHeader(readHeader(given, dataset, text), dataset);

  it('is null where it is the document’s own, in its order', () => {
    expect(documentHeader(dataset)).toBe(fields.join('|'));
    expect(kept(fields)).toBeNull();
  });

  it('is the line itself where anything differs, without a NUL', () => {
    const reversed = fields.toReversed();
    expect(kept(reversed)).toBe(reversed.join('|'));
    expect(kept(fields, `"${fields.join('"|"')}"`)).toBe(`"${fields.join('"|"')}"`);
    expect(kept([...fields, 'a\0b'])).toBe(`${fields.join('|')}|a\u2400b`);
  });
});
