import type { DatasetName } from './dataset.ts';
import type { Interval } from './interval.ts';

/** A feed as a person may choose it. */
export interface KnownFeed {
  readonly id: number;
  readonly dataset: DatasetName;
  /** Whether it is synchronised at all: organisation and feed enabled, feed not paused. */
  readonly active: boolean;
}

/** Requests to load an interval again, one a feed, as they are written down. */
export interface NewRequests {
  readonly feedIds: readonly number[];
  /** Source time, in milliseconds of whole seconds since the epoch. */
  readonly during: Interval;
  /** Whether older content may overwrite newer. */
  readonly force: boolean;
  /** Percent of lines that may be refused; null: the default. */
  readonly maxRejects: number | null;
  readonly reason: string | null;
  /** Who wants it, such as `cli:root` or `web:alice`. */
  readonly requestedBy: string;
}

/** A request as it was recorded. */
export interface RecordedRequest {
  readonly id: number;
  readonly feedId: number;
}
