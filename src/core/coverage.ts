import { clip, type Interval, type IntervalSet, normalise, subtract, union } from './interval.ts';
import { reach, recoverableUntil } from './window.ts';

/** What decides how complete a feed is; times in milliseconds since the epoch. */
export interface FeedCoverage {
  /** Where the promise begins; null until the first commit sets it. */
  readonly since: number | null;
  /** All source time whose rows are committed. */
  readonly coverage: IntervalSet;
  /** Expired gaps that a person accepted. */
  readonly accepted: IntervalSet;
}

/** The upper end of the coverage; null while there is none. */
export function watermark(coverage: IntervalSet): number | null {
  return coverage.at(-1)?.to ?? null;
}

/**
 * The end of the stretch that is covered without a hole from `since` on; accepted gaps bridge.
 *
 * Null before the first commit; `since` itself if its very first instant is missing.
 */
export function completeThrough({ since, coverage, accepted }: FeedCoverage): number | null {
  if (since === null) return null;
  const bridged = union(coverage, accepted);
  const first = bridged.find(({ from, to }) => from <= since && since < to);
  return first?.to ?? since;
}

/**
 * What a feed still lacks and the platform still serves, oldest first: `[since, until)` less its
 * coverage, clipped to reach (design invariant 2).
 *
 * Before the first commit the promise begins at reach.
 *
 * @param until end of what may be asked for now (`settledUntil`)
 */
export function missing(
  { since, coverage }: Pick<FeedCoverage, 'since' | 'coverage'>,
  until: number,
  now: number,
): IntervalSet {
  const from = Math.max(since ?? reach(now), reach(now));
  return from < until ? subtract([{ from, to: until }], coverage) : [];
}

/** A gap of a feed, by whether it can still be had. */
export interface Gap extends Interval {
  readonly state: 'open' | 'expired';
  /** When its first instant drops out of reach (milliseconds); null once it has expired. */
  readonly recoverableUntil: number | null;
}

/**
 * The uncovered, unaccepted parts of `[since, until)` that are older than `grace`, cut at reach:
 * before it they are expired, after it open.
 *
 * @param until end of what may be asked for now (`settledUntil`)
 * @param grace twice the feed's interval, in milliseconds: a younger hole is work, not a gap
 */
export function gaps(feed: FeedCoverage, until: number, now: number, grace: number): Gap[] {
  const end = Math.min(until, now - grace);
  if (feed.since === null || end <= feed.since) return [];
  const horizon = reach(now);
  const holes = subtract([{ from: feed.since, to: end }], union(feed.coverage, feed.accepted));
  const expired = clip(holes, { from: -Infinity, to: horizon });
  const open = clip(holes, { from: horizon, to: Infinity });
  return [
    ...expired.map((hole): Gap => ({ ...hole, state: 'expired', recoverableUntil: null })),
    ...open.map(
      (hole): Gap => ({ ...hole, state: 'open', recoverableUntil: recoverableUntil(hole.from) }),
    ),
  ];
}

/** What of the gaps is still open but will have dropped out of reach by `at` (milliseconds). */
export function expiringBy(holes: readonly Gap[], at: number): IntervalSet {
  const open = holes.filter(({ state }) => state === 'open');
  return clip(open, { from: -Infinity, to: reach(at) });
}

/** A coverage with one more window; an empty window adds nothing. */
export function cover(coverage: IntervalSet, window: Interval): IntervalSet {
  return normalise([...coverage, window]);
}
