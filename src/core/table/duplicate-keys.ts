import { ownText } from './own-text.ts';

/** Words of the filter, a power of two: 8 MiB of memory, enough to tell millions of keys apart. */
const WORDS = 2 ** 21;

/** Words of one block, 512 bits: all bits of a key lie in one, and so the processor fetches it once. */
const BLOCK = 16;

/** Up to so many keys are remembered themselves, which takes less than the filter. */
const FEW_KEYS = 20_000;

/** So many keys that may repeat are named; where there are more, they are not worth naming. */
const MOST_NAMED = 1000;

/** Keys that may stand more than once: all that do are among them. `many` is too many to tell. */
export type Repeats = readonly string[] | 'many';

/** Watches the keys of a table for such as stand more than once. */
export interface RepeatWatch {
  see(key: string): void;
  /** Those that may have been seen twice. */
  repeats(): Repeats;
  /** Whether no key so far was less than the one before it. */
  ascending(): boolean;
  /** How many keys came first, each greater than the one before it. */
  risen(): number;
}

/**
 * Watches for keys that repeat, in a fixed amount of memory: a few are remembered, of many only bits
 * in a Bloom filter of blocks. As long as all ascend, of many only the first and the last are remembered;
 * where that ends, each key between the two may be among them.
 *
 * No repeat goes unseen. Of a million keys that do not repeat hardly ever one is named all the same, of
 * three millions some hundred; from some four and a half millions on the answer is `many`, and where many
 * in order are followed by a thousand that lie between them.
 */
export function watchRepeats(): RepeatWatch {
  const few = new Set<string>();
  const named = new Set<string>();
  let filter: Uint32Array | null = null;
  let ascending = true;
  let first: string | null = null;
  /** The last key for as long as they ascended. */
  let last: string | null = null;
  /** Whether those from `first` to `last` are no longer remembered themselves. */
  let forgotten = false;
  let risen = 0;
  let rising = true;
  const name = (key: string) => {
    if (named.size <= MOST_NAMED) named.add(ownText(key));
  };
  const goOn = (key: string) => {
    first ??= key;
    last = key;
    if (rising) risen += 1;
    if (forgotten) return;
    few.add(key);
    if (few.size < FEW_KEYS) return;
    few.clear();
    forgotten = true;
  };
  return {
    see(key) {
      if (ascending && (last === null || key > last)) return goOn(key);
      rising = false;
      if (key === last) return name(key);
      ascending = false;
      if (forgotten && key >= first! && key <= last!) return name(key);
      if (filter === null) {
        if (few.has(key)) return name(key);
        few.add(key);
        if (few.size < FEW_KEYS) return;
        filter = new Uint32Array(WORDS);
        for (const known of few) mark(filter, known);
        few.clear();
      } else if (mark(filter, key)) name(key);
    },
    repeats: () => (named.size > MOST_NAMED ? 'many' : [...named]),
    ascending: () => ascending,
    risen: () => risen,
  };
}

/** Sets a key's six bits; answers whether all of them were set before. */
function mark(filter: Uint32Array, key: string): boolean {
  let one = 0x811c9dc5;
  let other = 0x9747b28c;
  for (let index = 0; index < key.length; index++) {
    const unit = key.charCodeAt(index);
    one = Math.imul(one ^ unit, 0x01000193);
    other = Math.imul(other ^ unit, 0x5bd1e995);
  }
  // Mixed through, since keys often differ in their last digits alone.
  const first = mix(one);
  const second = mix(other);
  const block = (mix(first ^ (second >>> 7)) & (WORDS / BLOCK - 1)) * BLOCK;
  // Both in any case: each sets its bits.
  const seen = setThree(filter, block, first);
  return setThree(filter, block, second) && seen;
}

/** Sets three bits of a block, each at the place that nine bits of the hash tell. */
function setThree(filter: Uint32Array, block: number, hash: number): boolean {
  let seen = true;
  for (let shift = 0; shift < 27; shift += 9) {
    const at = hash >>> shift;
    const word = block + ((at >>> 5) & (BLOCK - 1));
    const bit = 1 << (at & 31);
    if ((filter[word]! & bit) === 0) {
      seen = false;
      filter[word]! |= bit;
    }
  }
  return seen;
}

function mix(hash: number): number {
  const half = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  const most = Math.imul(half ^ (half >>> 13), 0xc2b2ae35);
  return most ^ (most >>> 16);
}
