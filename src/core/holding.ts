import type { FeedCoverage } from './coverage.ts';
import { clip, subtract } from './interval.ts';

/** What a feed's rows amount to; times in milliseconds. */
export interface Holding {
  /** Whether there was a full extract; without one there are only changes here (P7). */
  readonly isFull: boolean;
  /** As of when there was, or since when there are changes. */
  readonly from: number;
  /** What lacks from there up to the watermark. */
  readonly lacks: 'nothing' | 'accepted gaps' | 'gaps';
}

/**
 * Judges what a feed holds; null while that is nothing.
 *
 * Without a full extract there are only changes here: since the start of what is covered, which is
 * later than promised where the beginning has not been had. With one it is all only as long as nothing
 * lacks in between, accepted or not.
 */
export function holdingOf({
  since,
  baselineAt,
  coverage,
  accepted,
  watermark,
}: FeedCoverage & {
  /** Time as of which a full extract was imported. */
  readonly baselineAt: number | null;
  readonly watermark: number | null;
}): Holding | null {
  const [first] = since === null ? [] : clip(coverage, { from: since, to: Infinity });
  const from = baselineAt ?? first?.from;
  if (from === undefined) return null;
  const holes = subtract([{ from, to: watermark ?? from }], coverage);
  const lacks = subtract(holes, accepted).length > 0 ? 'gaps' : 'accepted gaps';
  return { isFull: baselineAt !== null, from, lacks: holes.length === 0 ? 'nothing' : lacks };
}
