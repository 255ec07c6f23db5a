import { createHash } from 'node:crypto';

/** Share of wrong rows of which the default sample shows, if none is wrong, that there are fewer. */
export const SHOWN_SHARE = 0.015;

/**
 * How many rows to draw so that, if none of them is wrong, fewer than a share of all are.
 *
 * @param share of all rows, above 0 and below 1
 * @param confidence above 0 and below 1
 * @example sampleSize(0.015, 0.95) // 199
 */
export function sampleSize(share: number, confidence: number): number {
  return Math.ceil(Math.log(1 - confidence) / Math.log(1 - share));
}

/**
 * The share of wrong rows among all that a sample leaves possible, from 0 to 1: with the confidence
 * given it is no higher (Clopper and Pearson's exact bound; a finite stock makes it lower still).
 *
 * @param wrong rows of the sample that are wrong
 * @param drawn rows of the sample, each drawn with the same chance
 * @example upperBound(0, 200, 0.95) // 0.0149: fewer than 1.5 %
 */
export function upperBound(wrong: number, drawn: number, confidence: number): number {
  if (wrong >= drawn) return 1;
  let [low, high] = [wrong / drawn, 1];
  // 50 halvings are exact to the last digit that anybody prints.
  for (let step = 0; step < 50; step += 1) {
    const share = (low + high) / 2;
    if (atMost(wrong, drawn, share) > 1 - confidence) low = share;
    else high = share;
  }
  return high;
}

/** The chance that at most so many of the drawn rows are wrong. */
function atMost(wrong: number, drawn: number, share: number): number {
  let log = drawn * Math.log1p(-share);
  let sum = Math.exp(log);
  for (let count = 1; count <= wrong; count += 1) {
    log += Math.log((drawn - count + 1) / count) + Math.log(share) - Math.log1p(-share);
    sum += Math.exp(log);
  }
  return sum;
}

/**
 * Draws places from 1 to `total`, none of them twice; the same seed draws the same again.
 *
 * @returns all of them if there are no more
 */
export function drawPlaces(total: number, count: number, seed: number): readonly number[] {
  if (count >= total) return Array.from({ length: total }, (_, index) => index + 1);
  const places = new Set<number>();
  for (let draw = 0; places.size < count; draw += 1) {
    const hash = createHash('sha256').update(`${seed} ${draw}`).digest();
    places.add((hash.readUIntBE(0, 6) % total) + 1);
  }
  return [...places];
}

/** What the rows that were compared say about all of them. */
export interface Proof {
  /** Rows that were compared. */
  readonly drawn: number;
  readonly wrong: number;
  /** Whether they are all there are. */
  readonly isWhole: boolean;
  /** The share of all rows, from 0 to 1, that is wrong at most, with the confidence given. */
  readonly atMost: number;
}

/** What rows that were drawn prove; nothing, where none was. */
export function proofOf(
  wrong: number,
  drawn: number,
  isWhole: boolean,
  confidence: number,
): Proof | null {
  if (drawn === 0) return null;
  return {
    drawn,
    wrong,
    isWhole,
    atMost: isWhole ? wrong / drawn : upperBound(wrong, drawn, confidence),
  };
}
