import { ownText } from './own-text.ts';

/** Bits of the filter, a power of two: 8 MiB of memory, enough to tell millions of keys apart. */
const BITS = 2 ** 26;

/** Bits set for each key. */
const PROBES = 3;

/** Up to so many keys are remembered themselves, which takes less than the filter. */
const FEW_KEYS = 20_000;

/** So many keys that may repeat are named; where there are more, they are not worth naming. */
const MOST_NAMED = 1000;

/** Watches the keys of a table for such as stand more than once. */
export interface RepeatWatch {
  see(key: string): void;
  /** The keys that may have been seen twice, all that were among them; `many` is too many to tell. */
  repeats(): readonly string[] | 'many';
}

/**
 * Watches for keys that repeat, in a fixed amount of memory: a few are remembered, of many only bits
 * in a Bloom filter.
 *
 * No repeat goes unseen. Of a million keys that do not repeat about twenty are named all the same;
 * from some two and a half millions on the answer is `many`.
 */
export function watchRepeats(): RepeatWatch {
  const few = new Set<string>();
  const named = new Set<string>();
  let filter: Uint32Array | null = null;
  const name = (key: string) => {
    if (named.size <= MOST_NAMED) named.add(ownText(key));
  };
  return {
    see(key) {
      if (filter === null) {
        if (few.has(key)) name(key);
        else few.add(key);
        if (few.size < FEW_KEYS) return;
        filter = new Uint32Array(BITS / 32);
        for (const known of few) mark(filter, known);
        few.clear();
        return;
      }
      if (mark(filter, key)) name(key);
    },
    repeats: () => (named.size > MOST_NAMED ? 'many' : [...named]),
  };
}

/** Sets a key's bits; answers whether all of them were set before. */
function mark(filter: Uint32Array, key: string): boolean {
  let one = 0x811c9dc5;
  let other = 0x9747b28c;
  for (let index = 0; index < key.length; index++) {
    const unit = key.charCodeAt(index);
    one = Math.imul(one ^ unit, 0x01000193);
    other = Math.imul(other ^ unit, 0x5bd1e995);
  }
  // Mixed through, since keys often differ in their last digits alone.
  let at = mix(one);
  const step = mix(other) | 1;
  let seen = true;
  for (let probe = 0; probe < PROBES; probe++) {
    const word = (at >>> 5) & (filter.length - 1);
    const bit = 1 << (at & 31);
    if ((filter[word]! & bit) === 0) {
      seen = false;
      filter[word]! |= bit;
    }
    at += step;
  }
  return seen;
}

function mix(hash: number): number {
  const half = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  const most = Math.imul(half ^ (half >>> 13), 0xc2b2ae35);
  return most ^ (most >>> 16);
}
