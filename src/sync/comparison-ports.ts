import type { Finding, FindingCounts } from '../core/finding.ts';
import type { Interval } from '../core/interval.ts';

/** What staged rows are compared with the table for. */
export interface CompareOptions {
  /** Start of what was asked for, in milliseconds; of a full extract its own time. */
  readonly from: number;
  /** Time for which they hold (milliseconds): a row of the table that is newer is no difference. */
  readonly asOf: number;
  /** Whether they are all rows there are: what the table has besides is `extra`. */
  readonly full: boolean;
  /** How many findings of each kind are told; by default as many as are kept. */
  readonly told?: number;
}

/** How staged rows and the table differ. */
export interface Differences extends FindingCounts {
  /** Staged rows. */
  readonly sourceRows: number;
  /** Rows of the table that are not absent; null unless the staged rows are all there are. */
  readonly ownRows: number | null;
  /** Those of each kind that are told, by key. */
  readonly findings: readonly Finding[];
}

/** A comparison that has ended, as it is written down. */
export interface Comparison extends Omit<Differences, 'sourceRows'> {
  readonly kind: 'extract' | 'window' | 'sample';
  /** Source time that was read again; null unless it is a `window`. */
  readonly during: Interval | null;
  /** Moment for which it holds, in milliseconds. */
  readonly asOf: number;
  readonly sourceRows: number | null;
  readonly compared: number;
}

/** Who wants a comparison, and why. */
export interface ComparisonRequest {
  readonly kind: 'audit' | 'reconcile';
  readonly feedId: number;
  readonly during: Interval | null;
  readonly reason: string | null;
  /** Who wants it, such as `cli:root`. */
  readonly requestedBy: string;
}
