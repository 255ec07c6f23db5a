import type { Clock } from '../core/clock.ts';
import type { FeedCoverage } from '../core/coverage.ts';
import type { FeedName } from '../core/dataset.ts';
import type { DeepPlan } from '../core/deep.ts';
import type { ErrorCode, SyncError } from '../core/errors.ts';
import type { CoverageGain, OwnRequest } from '../core/import.ts';
import type { Interval } from '../core/interval.ts';
import type { FinishedRun } from '../core/outage.ts';
import type { MergeCounts, Receipt } from '../core/receipt.ts';
import type { Header } from '../core/table/header.ts';
import type { Reject, Row, SeenReject } from '../core/table/row.ts';
import type { WindowRun } from '../core/window-limit.ts';
import type { OpenRequest } from '../core/work.ts';
import type { CompareOptions, Comparison, Differences } from './comparison-ports.ts';

export type * from './comparison-ports.ts';
export type * from './platform-ports.ts';
export type * from './replay-ports.ts';
export type * from './sample-ports.ts';

/** A feed as its row stands; times and durations in milliseconds. */
export interface Feed extends FeedName, FeedCoverage {
  readonly id: number;
  readonly areaCode: string | null;
  /** Whether both the organisation and the feed are enabled and the feed is not paused. */
  readonly active: boolean;
  /** Interval between synchronisations; null: the service's own. */
  readonly every: number | null;
  readonly nextDueAt: number;
  /** When its recent past is read again next; null before that is planned. */
  readonly nextDeepAt: number | null;
  /** Platform's time of its last notice that something has changed; null without one. */
  readonly notifiedAt: number | null;
  readonly consecutiveFailures: number;
  readonly lastErrorCode: ErrorCode | null;
}

/** A feed as it was found, with what decides whether it may take any slot. */
export interface FoundFeed extends Feed {
  /** How long its last failed run took, in milliseconds; null where the feed does not fail. */
  readonly failedAfter: number | null;
}

/** A feed under its lock, with what its next window is chosen by. */
export interface ClaimedFeed extends Feed {
  /** Time of the newest full extract by which what it lacked was marked absent (milliseconds); null without one. */
  readonly extractAt: number | null;
  /** Its last finished runs, newest first. */
  readonly lastRuns: readonly WindowRun[];
}

/** What woke a run. */
export type Trigger = 'schedule' | 'request' | 'import' | 'push' | 'cli';

/** What a run is about to do. */
export interface RunStart {
  readonly trigger: Trigger;
  readonly requestId: number | null;
  /** An import's or replay's own request, written down along with the run; it ends with it. */
  readonly own?: OwnRequest;
  readonly window: Interval;
  /** What the platform is asked for; null if it is not. */
  readonly requested: Interval | null;
}

/** What is known of a run's download. */
export interface DownloadFacts {
  readonly seq: string | null;
  readonly httpStatus: number | null;
  /** Length of the decoded body. */
  readonly bytes: number;
  /** SHA-256 (hex) of the decoded body. */
  readonly sha256: string | null;
  /** Platform's clock less ours, in seconds. */
  readonly clockSkew: number | null;
}

/** How the rows of a window are merged. */
export interface MergeOptions {
  /** Start of what was asked for: what they tell changed no earlier. */
  readonly from: number;
  /** End of what they cover: what each row's `synced_through` becomes (design invariant 4). */
  readonly syncedThrough: number;
  /** Whether older content may overwrite newer. */
  readonly force: boolean;
}

/** What a merge did. */
export interface Merged {
  readonly counts: MergeCounts;
  readonly flagged: number;
  /** Earlier lines of a key that differed from the one that was kept; some of them, if there are many. */
  readonly superseded: readonly Reject[];
}

/** What follows a turn with a feed. */
export interface NextTurn {
  readonly nextDueAt: number;
  /** When it is due instead, if a notice tells of a change that is not covered then. */
  readonly noticeDueAt: number;
  /** Requests of which nothing remains. */
  readonly finishedRequests: readonly number[];
  /** What of the recent past is read again, and when next; null if nothing changes. */
  readonly deep: DeepPlan | null;
}

/** What every run commits together with its rows. */
export interface RunCommit {
  /** Its end is never past the platform's clock less the settle time. */
  readonly window: Interval;
  readonly receipt: Receipt;
  readonly facts: DownloadFacts;
  readonly rejects: readonly Reject[];
  /** Refused lines that came before too. */
  readonly seen: readonly SeenReject[];
}

/** What is committed together with a window's rows; the window is covered now. */
export interface WindowCommit extends RunCommit, NextTurn {
  /** Where the feed's promise begins, if nothing has set it by then. */
  readonly since: number;
  /** Rows that had been missed, if that is what the run was to find out. */
  readonly missed: number;
}

/** What is committed together with rows got by other means; schedule and failures stay as they are. */
export interface ImportCommit extends RunCommit, CoverageGain {
  /** Refused lines, by id, that went in after all. */
  readonly resolved: readonly number[];
  /** What the run has repaired, as it was found; null if nothing was compared. */
  readonly comparison: Comparison | null;
}

/** A window's rows beside the tables: one transaction on one connection. */
export interface FeedStaging {
  /** The feed as it stands. */
  readonly feed: ClaimedFeed;
  /** Postgres's clock at the beginning. */
  readonly databaseNow: number;
  /** Aborts when the caller stops, or when the connection is lost; its reason is a `SyncError`. */
  readonly signal: AbortSignal;
  /**
   * Takes the rows in; duplicates are taken out.
   *
   * @param merging how a run will merge them, if nothing else is ever asked of them: rows of an organisation
   *   that has none yet may go straight to their place then
   */
  stage(
    header: Header,
    rows: AsyncIterable<readonly Row[]>,
    merging?: MergeOptions | null,
  ): Promise<void>;
  /** Counts what a merge of the staged rows would do, without doing it. */
  classify(options: MergeOptions): Promise<Merged>;
  /** Tells how the staged rows and the table differ, without doing anything about it. */
  compare(options: CompareOptions): Promise<Differences>;
  /** Which of these keys of the feed's organisation are among the staged rows. */
  staged(keys: readonly string[]): Promise<ReadonlySet<string>>;
  /** Gives it up without a trace of the transaction; harmless after a commit. */
  release(): Promise<void>;
}

/** How far a table has come. */
export interface TableProgress {
  /** Bytes of the decoded table so far. */
  readonly bytes: number;
  readonly lines: number;
  /** Bytes of all of it; null if that is not known beforehand. */
  readonly length: number | null;
}

/** A feed held by its lock: one transaction on one connection, for one window (design invariant 5). */
export interface FeedClaim extends FeedStaging {
  /** Its open requests, oldest first. */
  readonly requests: readonly OpenRequest[];
  /** Records the run as `running`, visible to all at once; answers its id. */
  start(run: RunStart): Promise<number>;
  /** Takes note of how far the run's table has come: its next sign of life tells it. */
  note(far: TableProgress): void;
  /** Merges the rows and counts the same as `classify`. */
  merge(options: MergeOptions): Promise<Merged>;
  /**
   * Marks the feed's rows that the staged ones, a full extract of that time, lack as absent since then;
   * rows that are newer stay. Answers how many there were.
   */
  markAbsent(asOf: number): Promise<number>;
  /** Commits rows, rejects, receipt, coverage and the next due time together. */
  commit(commit: WindowCommit): Promise<void>;
  /** Commits rows got by other means, rejects, receipt and what they cover together. */
  commitImport(commit: ImportCommit): Promise<void>;
  /** Commits that there is nothing to load now. */
  settle(next: NextTurn): Promise<void>;
}

/** A failed run, recorded apart from its own transaction. */
export interface RunFailure {
  readonly runId: number;
  readonly feed: Feed;
  readonly error: SyncError;
  readonly facts: DownloadFacts;
  readonly lines: number;
  readonly rejected: number;
  readonly rejects: readonly Reject[];
  /** Refused lines that came before too. */
  readonly seen: readonly SeenReject[];
  /** Header line of the table; null if it is the document's own, or was not read. */
  readonly header: string | null;
  /** When the feed is tried again; null leaves feed and schedule as they are. */
  readonly nextDueAt: number | null;
  /** Whether the failure is the feed's own and counts against it. */
  readonly counts: boolean;
  /** Open requests that the decision knew of: another makes the feed due at once. */
  readonly knownRequests: readonly number[];
}

/** The feeds and their ledgers. */
export interface FeedStore {
  /** The feed of that name, or null if there is none. */
  find(name: FeedName): Promise<FoundFeed | null>;
  /** Active feeds that are due, the longest due first. */
  due(now: number, limit: number): Promise<readonly FeedName[]>;
  /**
   * Takes a feed's lock; null if another holds it.
   *
   * @throws SyncError `DATABASE_…`, or `INTERRUPTED` when the signal aborts
   */
  claim(feedId: number, signal: AbortSignal): Promise<FeedClaim | null>;
  /**
   * Opens a feed to look at what a window would do, which runs neither wait for nor see: it can write
   * to nothing but its staging table. `busy` while another looks at the same feed; `full`
   * while as many look at feeds as this process lets.
   *
   * @throws SyncError `DATABASE_…`, or `INTERRUPTED` when the signal aborts
   */
  preview(feedId: number, signal: AbortSignal): Promise<FeedStaging | 'busy' | 'full'>;
  /** The last runs of feeds by which their windows are laid out, newest first. */
  lastRuns(feedIds: readonly number[]): Promise<ReadonlyMap<number, readonly WindowRun[]>>;
  /** Which of these refused lines, by hash, the feed has had before; their text is still kept. */
  knownRejects(feedId: number, hashes: readonly string[]): Promise<ReadonlySet<string>>;
  /** Closes a run as `failed` or `interrupted` and backs its feed off. */
  recordFailure(failure: RunFailure): Promise<void>;
  /** The newest finished runs of all feeds, newest first. */
  recentRuns(limit: number): Promise<readonly FinishedRun[]>;
  /** How many feeds are active; counts no further than `limit`. */
  countActive(limit: number): Promise<number>;
  /** Organisations that have feeds of their own. */
  orgCodes(): Promise<ReadonlySet<string>>;
  /** Ends backends whose run shows no life, and closes the runs of those that are gone. */
  reap(): Promise<number>;
}

/** Which runs: those that changed nothing, or all others that have ended. */
export type RunKind = 'unchanged' | 'others';

/**
 * Takes out of the ledgers what is over its time, a small batch at a call; ages are in milliseconds,
 * by the database's clock, which has also written the times.
 */
export interface Keeping {
  /**
   * Removes ended runs that are older than that; answers how many.
   *
   * A feed's newest run and the runs of open requests stay, however old.
   */
  thinRuns(kind: RunKind, age: number, limit: number): Promise<number>;
  /** Removes deep re-reads that ended longer ago and whose runs have gone; answers how many. */
  thinDeepRequests(age: number, limit: number): Promise<number>;
  /** Forgets notices that came longer ago; answers how many. */
  forgetNotices(age: number, limit: number): Promise<number>;
  /** Removes comparisons that began longer ago, with their findings; answers how many. */
  thinComparisons(age: number, limit: number): Promise<number>;
  /** Removes the text of refused lines that were last seen longer ago; answers of how many. */
  purgeLines(age: number, limit: number): Promise<number>;
}

/** What every use case may rely on. */
export interface Surroundings {
  readonly clock: Clock;
  /** A number in `[0, 1)`; handed in, so that tests can choose it. */
  readonly random: () => number;
  readonly log: SyncLog;
}

/** Where events go: a constant message and its facts; never a secret or personal data. */
export interface SyncLog {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}
