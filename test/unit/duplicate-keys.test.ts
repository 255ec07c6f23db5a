import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { watchRepeats } from '../../src/core/table/duplicate-keys.ts';

function repeatsAmong(keys: Iterable<string>): readonly string[] | 'many' {
  const watch = watchRepeats();
  for (const key of keys) watch.see(key);
  return watch.repeats();
}

function* numbered(count: number, from = 0): Generator<string> {
  for (let number = from; number < from + count; number++) yield `WJ${number}`;
}

function* backwards(count: number): Generator<string> {
  for (let number = count; number > 0; number--) yield `WJ${320_500_000_000 + number}`;
}

function heapAfterCollection(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}

describe('a watch for repeated keys', () => {
  it.each<[number, string[]]>([
    [0, []],
    [3, ['a', 'b', 'c']],
    [2, ['a', 'b', 'b', 'c']],
    [2, ['a', 'c', 'b', 'd']],
    [1, ['b', 'a', 'c', 'd', 'e']],
  ])('tells that %i keys came first, each greater than the one before: %j', (risen, keys) => {
    const watch = watchRepeats();
    for (const key of keys) watch.see(key);
    expect(watch.risen()).toBe(risen);
  });

  it('names just those that repeat, while they are few', () => {
    const keys = fc.array(fc.string({ unit: 'binary', maxLength: 3 }), { maxLength: 40 });
    fc.assert(
      fc.property(keys, (keys) => {
        const twice = keys.filter((key, index) => keys.indexOf(key) < index);
        expect(new Set(repeatsAmong(keys))).toEqual(new Set(twice));
      }),
    );
  });

  it('misses none among many', () => {
    const which = fc.uniqueArray(fc.integer({ min: 0, max: 49_999 }), { maxLength: 50 });
    fc.assert(
      fc.property(which, (which) => {
        const again = which.map((number) => `WJ${number}`);
        const named = repeatsAmong(['Z', ...numbered(50_000), ...again]);
        expect(named).toEqual(expect.arrayContaining(again));
      }),
      { numRuns: 20 },
    );
  });

  it('misses none that comes after many in order, and tells those after the order from new ones', () => {
    const sorted = [...numbered(60_000, 100_000)];
    const which = fc.uniqueArray(fc.integer({ min: 0, max: 59_999 }), { maxLength: 50 });
    fc.assert(
      fc.property(which, (which) => {
        const again = which.map((number) => sorted[number]!);
        // Out of order, and seen twice themselves.
        const fresh = again.map((key) => `X${key}`).toReversed();
        const named = repeatsAmong([...sorted, ...again, ...fresh, ...fresh]);
        expect(new Set(named)).toEqual(new Set([...again, ...fresh]));
      }),
      { numRuns: 20 },
    );
  });

  it('goes on beside keys that repeat at once among many in order', () => {
    const watch = watchRepeats();
    for (const key of numbered(60_000, 100_000)) {
      watch.see(key);
      if (key.endsWith('5000')) watch.see(key);
    }
    expect(watch.repeats()).toEqual(
      ['105000', '115000', '125000', '135000', '145000', '155000'].map((number) => `WJ${number}`),
    );
    expect(watch.ascending()).toBe(true);
  });

  it('says many where more come after many in order than could be named', () => {
    const keys = [...numbered(60_000, 100_000)];
    expect(repeatsAmong([...keys, ...keys.slice(30_000, 32_000)])).toBe('many');
  });

  it('tells whether all came in order', () => {
    const watch = watchRepeats();
    for (const key of ['a', 'b', 'c']) watch.see(key);
    expect(watch.ascending()).toBe(true);
    watch.see('c');
    expect(watch.ascending()).toBe(true);
    expect(watch.repeats()).toEqual(['c']);
    watch.see('b');
    watch.see('d');
    expect(watch.ascending()).toBe(false);
    expect(watch.repeats()).toEqual(['c', 'b']);
  });

  it('names none of those that all come in order, however many they are', () => {
    expect(repeatsAmong(numbered(3_000_000, 320_500_000_000))).toEqual([]);
  });

  it('can still tell three millions that do not repeat', () => {
    expect(repeatsAmong(backwards(3_000_000))).not.toBe('many');
  });

  it('names hardly any of a million that do not repeat', () => {
    const named = repeatsAmong(backwards(1_000_000));
    expect(named).not.toBe('many');
    expect(named.length).toBeLessThan(10);
  });

  it('keeps the keys that it names, not the text that they were cut from', () => {
    const watch = watchRepeats();
    const room = 64 * 1024;
    const before = heapAfterCollection();
    for (let number = 0; number < 900; number++) {
      const key = `key ${number} `.padEnd(20);
      const text = key.padEnd(room);
      watch.see(key);
      watch.see(text.slice(0, 20));
    }
    for (const key of numbered(30_000)) watch.see(key);
    expect(watch.repeats().length).toBeGreaterThan(800);
    expect(heapAfterCollection() - before).toBeLessThan(100 * room);
  });

  it('says many where too many repeat to be named', () => {
    expect(repeatsAmong([...numbered(30_000), ...numbered(30_000)])).toBe('many');
  });
});
