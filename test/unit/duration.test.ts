import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDuration, formatSize, parseDuration, parseSize } from '../../src/core/duration.ts';

describe('a duration', () => {
  it.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['15m', 900_000],
    ['1h', 3_600_000],
    ['28d', 2_419_200_000],
    ['0s', 0],
    [' 2m ', 120_000],
  ])('reads %s', (text, ms) => expect(parseDuration(text)).toBe(ms));

  it.each([
    '',
    '15',
    'm',
    '-1m',
    '1.5h',
    '1w',
    '1M',
    '15 m',
    '1h30m',
    '1e3s',
    '9999999999s',
    '999999999d',
  ])('refuses %j', (text) => expect(parseDuration(text)).toBeNull());

  it.each([
    [0, '0s'],
    [999, '0s'],
    [-5000, '0s'],
    [61_000, '1m 1s'],
    [93_784_000, '1d 2h'],
    [86_400_000, '1d'],
    [3_599_999, '59m 59s'],
  ])('of %i ms is written %s', (ms, text) => expect(formatDuration(ms)).toBe(text));

  it('is written in at most two units and never longer than it is', () => {
    fc.assert(
      fc.property(fc.nat(400 * 86_400), (seconds) => {
        const parts = formatDuration(seconds * 1000).split(' ');
        expect(parts.length).toBeLessThanOrEqual(2);
        const ms = parts.reduce((sum, part) => sum + (parseDuration(part) ?? Number.NaN), 0);
        expect(ms).toBeLessThanOrEqual(seconds * 1000);
        expect(seconds * 1000 - ms).toBeLessThan(86_400_000);
      }),
    );
  });
});

describe('a size', () => {
  it.each([
    ['0B', 0],
    ['64KiB', 65_536],
    ['512 MiB', 536_870_912],
    ['4GiB', 4_294_967_296],
  ])('reads %s', (text, bytes) => expect(parseSize(text)).toBe(bytes));

  it.each(['', '4', '4GB', '4gib', '-1B', '1.5GiB', '1TiB'])('refuses %j', (text) => {
    expect(parseSize(text)).toBeNull();
  });

  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [12_897_485, '12.3 MiB'],
    [5_368_709_120, '5.0 GiB'],
  ])('of %i bytes is written %s', (bytes, text) => expect(formatSize(bytes)).toBe(text));
});
