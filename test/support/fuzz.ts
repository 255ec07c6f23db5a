import fc from 'fast-check';
import { test } from 'vitest';

/** Cases of each target: some hundred as part of all tests, by `FUZZ_RUNS` as many as wanted. */
const RUNS = Number(process.env.FUZZ_RUNS ?? 200);

/** Repeats what a failure printed: the same seed, the same cases. */
const SEED = process.env.FUZZ_SEED === undefined ? {} : { seed: Number(process.env.FUZZ_SEED) };

/** Longest time for one case, and for what a target needs besides, in milliseconds: guards against hangs. */
const CASE_TIMEOUT = 10_000;
const PATIENCE = 120_000;

/**
 * Tries a property on many generated cases; a failure prints its seed and its smallest case.
 *
 * @param share part of the cases to try, where one costs much more than elsewhere
 * @example fuzz('any text is read or refused', fc.property(fc.string(), (text) => { … }))
 */
export function fuzz<T>(
  name: string,
  property: fc.IAsyncProperty<T> | fc.IProperty<T>,
  share = 1,
): void {
  const numRuns = Math.ceil(RUNS * share);
  test(name, { timeout: PATIENCE + numRuns * 300 }, async () => {
    await fc.assert(property as fc.IAsyncProperty<T>, { numRuns, timeout: CASE_TIMEOUT, ...SEED });
  });
}

/** Bytes of pieces, each of them repeated so many times: a long run costs a generator nothing. */
export function runsOf(
  piece: fc.Arbitrary<Uint8Array>,
  times: fc.Arbitrary<number>,
): fc.Arbitrary<Buffer> {
  return fc
    .tuple(piece, times)
    .map(([bytes, count]) => Buffer.concat(Array.from({ length: count }, () => bytes)));
}

/** Pieces, one behind the other. */
export function joined(
  piece: fc.Arbitrary<Uint8Array>,
  maxLength: number,
  minLength = 0,
): fc.Arbitrary<Buffer> {
  return fc.array(piece, { minLength, maxLength }).map((pieces) => Buffer.concat(pieces));
}

/** The bytes of texts. */
export function bytesOf(...texts: readonly string[]): fc.Arbitrary<Buffer> {
  return fc.constantFrom(...texts).map((text) => Buffer.from(text));
}

/** Sizes of chunks, used in turn. */
export const chunkSizes = fc.oneof(
  fc.constant([1 << 22]),
  fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 4 }),
  fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 4 }),
);

/** Cuts bytes into chunks of these sizes; a body in single bytes is one of them. */
export function* cut(bytes: Uint8Array, sizes: readonly number[]): Generator<Buffer> {
  const all = Buffer.from(bytes);
  for (let start = 0, turn = 0; start < all.length; turn++) {
    const size = sizes[turn % sizes.length]!;
    yield all.subarray(start, start + size);
    start += size;
  }
}
