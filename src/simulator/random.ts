/** A source of numbers in `[0, 1)` that repeats itself for the same seed. */
export type Random = () => number;

/** A small generator of 32-bit state (mulberry32): the same seed gives the same numbers everywhere. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Turns a text into a 32-bit seed (FNV-1a), so that each name has numbers of its own. */
export function seedOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text, 'utf8')) {
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return hash >>> 0;
}

/** A whole number in `[from, to)`; `from` if that is empty. */
export function integer(random: Random, from: number, to: number): number {
  return from + Math.floor(random() * Math.max(to - from, 0));
}

/**
 * One of the given values.
 *
 * @throws RangeError if there are none
 */
export function pick<T>(random: Random, values: ArrayLike<T>): T {
  if (values.length === 0) throw new RangeError('there is nothing to pick from');
  return values[integer(random, 0, values.length)] as T;
}

/** A text of `length` random decimal digits. */
export function digits(random: Random, length: number): string {
  return Array.from({ length }, () => integer(random, 0, 10)).join('');
}
