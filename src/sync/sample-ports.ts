import type { Finding } from '../core/finding.ts';
import type { ComparisonRequest } from './comparison-ports.ts';

/** A comparison by samples on record, which can be gone on with. */
export interface OpenSample {
  readonly id: number;
  readonly requestId: number;
  /** How many rows each side was to be asked for. */
  readonly sample: number;
  readonly seed: number;
  /** How many subscribers the platform counted at the beginning; null before it was asked. */
  readonly total: number | null;
  /** Pages of the platform's list that were read. */
  readonly pagesRead: number;
}

/** A subscriber as it is stored, of the columns that the platform tells too. */
export interface StoredSubscriber {
  readonly values: Readonly<Record<string, string | null>>;
  /** Whether a full extract lacked it. */
  readonly isAbsent: boolean;
  /** End of the newest window that delivered it, in milliseconds. */
  readonly syncedThrough: number;
}

/** What was compared at once; it is recorded together. */
export interface ComparedRows {
  readonly keys: readonly string[];
  /** How many pages of the platform's list were read with it; null: they were asked for by key. */
  readonly pagesRead: number | null;
  readonly findings: readonly Finding[];
}

/** How far a sample is. */
export interface SampleProgress {
  /** Rows that stood in the platform's list. */
  readonly listed: number;
  /** Rows that were asked for by their key. */
  readonly asked: number;
}

/** Where samples are written down: what was compared stays so. */
export interface SampleStore {
  /**
   * Runs work as the only comparison of a feed, in all processes.
   *
   * @throws SyncError `DATABASE_BUSY` if another is under way
   */
  alone<T>(feedId: number, work: () => Promise<T>): Promise<T>;
  /** The unfinished comparison of a feed; null if there is none. */
  open(feedId: number): Promise<OpenSample | null>;
  plan(request: ComparisonRequest, sample: number, seed: number): Promise<OpenSample>;
  /** Notes how many subscribers the platform counts. */
  begin(sample: OpenSample, total: number): Promise<void>;
  /** The stored rows of these keys. */
  stored(orgCode: string, keys: readonly string[]): Promise<ReadonlyMap<string, StoredSubscriber>>;
  /** Records what was compared; as `correct` and `finish`, @throws SyncError `DATABASE_BUSY` if it has ended. */
  note(sample: OpenSample, compared: ComparedRows): Promise<void>;
  /** Keys of rows that were not compared yet, in an order drawn by the seed. */
  next(sample: OpenSample, orgCode: string, limit: number): Promise<readonly string[]>;
  /** Keys of the rows that the newest windows have delivered. */
  newest(orgCode: string, limit: number): Promise<readonly string[]>;
  progress(sample: OpenSample): Promise<SampleProgress>;
  /** Keys of the rows that differ; null if there are more than that, or not all of them are known. */
  suspects(sample: OpenSample, limit: number): Promise<readonly string[] | null>;
  /** Replaces what was found of a row; null: it agrees after all. */
  correct(sample: OpenSample, rowKey: string, finding: Finding | null): Promise<void>;
  /** Ends the comparison and counts the rows that are here by then; `asOf` in milliseconds. */
  finish(sample: OpenSample, asOf: number): Promise<void>;
  /** Gives an unfinished comparison up, without a trace of it but the request. */
  abandon(sample: OpenSample): Promise<void>;
}
