import { completeThrough, type FeedCoverage, type Gap, gaps, watermark } from './coverage.ts';
import { settledUntil } from './window.ts';

/** How a feed is doing, in one word or two. */
export type FeedState =
  | 'in step'
  /** Behind by more than twice its interval, but without a hole. */
  | 'late'
  | 'failing'
  /** There is a hole in what was promised. */
  | 'gap'
  | 'paused'
  | 'disabled'
  /** Nothing has been loaded yet. */
  | 'new'
  | 'running';

/** What a feed's health is judged by; times and durations in milliseconds. */
export interface FeedFacts extends FeedCoverage {
  /** Interval between synchronisations; null: the service's own. */
  readonly every: number | null;
  /** Whether the organisation is enabled and takes this dataset. */
  readonly enabled: boolean;
  readonly paused: boolean;
  /** Whether a run is under way that shows life. */
  readonly running: boolean;
  readonly consecutiveFailures: number;
}

/** What the service promises of every feed, in milliseconds. */
export interface HealthSettings {
  /** Interval of feeds that have none of their own. */
  readonly every: number;
  /** How far behind now the newest window ends. */
  readonly settle: number;
}

/** How complete a feed is; times and durations in milliseconds. */
export interface FeedHealth {
  readonly state: FeedState;
  readonly completeThrough: number | null;
  readonly watermark: number | null;
  /** Now less complete through; null before the first commit. */
  readonly lag: number | null;
  readonly gaps: readonly Gap[];
}

/**
 * The gaps of a feed by now.
 *
 * A hole is a gap once it is older than twice the interval, counted from when it could first be
 * asked for: a feed with a short interval and a long settle time is not forever in want.
 *
 * @param now the platform's time, in milliseconds
 */
export function gapsOf(
  feed: FeedCoverage & Pick<FeedFacts, 'every'>,
  now: number,
  { every, settle }: HealthSettings,
): Gap[] {
  const grace = 2 * (feed.every ?? every) + settle;
  return gaps(feed, settledUntil(now, settle), now, grace);
}

/**
 * Judges a feed by its coverage, its failures and its switches.
 *
 * @param now the platform's time, in milliseconds
 */
export function feedHealth(feed: FeedFacts, now: number, settings: HealthSettings): FeedHealth {
  const holes = gapsOf(feed, now, settings);
  const complete = completeThrough(feed);
  return {
    state: stateOf(feed, holes),
    completeThrough: complete,
    watermark: watermark(feed.coverage),
    lag: complete === null ? null : Math.max(0, now - complete),
    gaps: holes,
  };
}

/** What stops a feed comes first, then what a person must look at, then how far it has come. */
function stateOf(feed: FeedFacts, holes: readonly Gap[]): FeedState {
  if (!feed.enabled) return 'disabled';
  if (feed.paused) return 'paused';
  if (feed.consecutiveFailures > 0) return 'failing';
  if (feed.running) return 'running';
  const end = watermark(feed.coverage);
  if (end === null) return 'new';
  // What lacks only at the end will come with the next run.
  if (holes.some((hole) => hole.state === 'expired' || hole.from < end)) return 'gap';
  return holes.length > 0 ? 'late' : 'in step';
}
