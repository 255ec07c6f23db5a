import type { DatasetName, FeedName } from '../core/dataset.ts';
import type { RejectReason } from '../core/table/row.ts';

/** Which refused lines are to be replayed; undefined: all that are unresolved. */
export interface ReplayFilter {
  readonly orgCode?: string | undefined;
  readonly dataset?: DatasetName | undefined;
  readonly reason?: RejectReason | undefined;
  /** The run that saw them last. */
  readonly runId?: number | undefined;
  /** This one alone. */
  readonly id?: number | undefined;
}

/** An unresolved refused line, without its text; times in milliseconds. */
export interface OpenReject extends FeedName {
  readonly id: number;
  readonly feedId: number;
  /** Header of its file; null if it is the document's own. */
  readonly header: string | null;
  readonly windowTo: number;
  /** SHA-256 (hex) of the line's bytes. */
  readonly hash: string;
  /** SHA-256 (hex) of its text as stored; null once that is gone. */
  readonly textHash: string | null;
}

/** The refused lines. */
export interface RejectStore {
  /** Those that are unresolved, oldest first. */
  open(filter: ReplayFilter): Promise<readonly OpenReject[]>;
  /** The texts, by id, of those among them that are still unresolved; null once a text is gone. */
  texts(ids: readonly number[]): Promise<ReadonlyMap<number, string | null>>;
}
