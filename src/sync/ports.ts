import type { Clock } from '../core/clock.ts';
import type { FeedCoverage } from '../core/coverage.ts';
import type { Dataset, FeedName } from '../core/dataset.ts';
import type { ErrorCode, SyncError } from '../core/errors.ts';
import type { Interval } from '../core/interval.ts';
import type { FinishedRun } from '../core/outage.ts';
import type { MergeCounts, Receipt } from '../core/receipt.ts';
import type { Header } from '../core/table/header.ts';
import type { Reject, Row } from '../core/table/row.ts';
import type { WindowRun } from '../core/window-limit.ts';
import type { OpenRequest } from '../core/work.ts';

/** What to download: one window of one feed. */
export interface DownloadRequest {
  readonly dataset: Dataset;
  readonly orgCode: string;
  /** Sent as `areaCode` where an organisation sets it (P7). */
  readonly areaCode: string | null;
  /** Sent as `lastTimestamp` and `timestamp`: whole seconds in milliseconds since the epoch (P7). */
  readonly requested: Interval;
}

/** An answer that has proved to be a table, whose body is still to be read. */
export interface Download {
  /** The message number that was sent (P2). */
  readonly seq: string;
  readonly httpStatus: number;
  /** The answer's `Date` (milliseconds since the epoch), or null without one (P7). */
  readonly date: number | null;
  /** Charset named by the content type, in lower case, or null. */
  readonly charset: string | null;
  /**
   * The decoded body (gzip and the like undone), from its first byte; read it once, to its end.
   *
   * Throws a `SyncError` when it is cut, stalls, grows too large or the signal aborts.
   */
  readonly body: AsyncIterable<Buffer>;
  /** Bytes of the decoded body read so far. */
  readonly bytes: number;
  /** SHA-256 (hex) of the decoded body; call it once the body is read. */
  sha256(): string;
}

/** The platform, as far as a sync needs it. */
export interface Platform {
  /**
   * Asks for a window and answers once the body has proved to be a table (P5).
   *
   * @throws SyncError classed by P5; a refused token has already been renewed and the call repeated once
   */
  download(request: DownloadRequest, signal: AbortSignal): Promise<Download>;
}

/** The session token as it is shared by all processes (P4). */
export interface SessionToken {
  readonly token: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** Where the session token is shared between processes (P4). */
export interface TokenStore {
  /** The token stored for this app and key, expired or not; null if there is none. */
  read(appId: string, keyFingerprint: string): Promise<SessionToken | null>;
  /**
   * Lets one caller at a time, across all processes, replace the token.
   *
   * `renew` gets what is stored now (another process may have just renewed it) and answers what
   * shall be stored, which may be what it got.
   */
  replace(
    appId: string,
    keyFingerprint: string,
    renew: (stored: SessionToken | null) => Promise<SessionToken>,
  ): Promise<SessionToken>;
}

/** Spaces requests out across all processes (`VCC_MAX_RPS`). */
export interface RequestPacer {
  /** Takes the next free slot and answers how long to wait for it, in milliseconds. */
  reserve(): Promise<number>;
}

/** A feed as its row stands; times and durations in milliseconds. */
export interface Feed extends FeedName, FeedCoverage {
  readonly id: number;
  readonly areaCode: string | null;
  /** Whether both the organisation and the feed are enabled and the feed is not paused. */
  readonly active: boolean;
  /** Interval between synchronisations; null: the service's own. */
  readonly every: number | null;
  readonly nextDueAt: number;
  readonly consecutiveFailures: number;
  readonly lastErrorCode: ErrorCode | null;
}

/** A feed under its lock, with what its next window is chosen by. */
export interface ClaimedFeed extends Feed {
  /** Its last finished runs, newest first. */
  readonly lastRuns: readonly WindowRun[];
}

/** What woke a run. */
export type Trigger = 'schedule' | 'request' | 'import' | 'push' | 'cli';

/** What a run is about to do. */
export interface RunStart {
  readonly trigger: Trigger;
  readonly requestId: number | null;
  readonly window: Interval;
  readonly requested: Interval;
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
  /** Requests of which nothing remains. */
  readonly finishedRequests: readonly number[];
}

/** What is committed together with a window's rows. */
export interface WindowCommit extends NextTurn {
  /** What is covered now; its end is never past the platform's clock less the settle time. */
  readonly window: Interval;
  /** Where the feed's promise begins, if nothing has set it by then. */
  readonly since: number;
  readonly receipt: Receipt;
  readonly facts: DownloadFacts;
  readonly rejects: readonly Reject[];
}

/** A feed held by its lock: one transaction on one connection, for one window (design invariant 5). */
export interface FeedClaim {
  /** The feed as it stands under the lock. */
  readonly feed: ClaimedFeed;
  /** Its open requests, oldest first. */
  readonly requests: readonly OpenRequest[];
  /** Postgres's clock when the lock was taken. */
  readonly databaseNow: number;
  /** Records the run as `running`, visible to all at once; answers its id. */
  start(run: RunStart): Promise<number>;
  /** Takes the rows into the connection's staging table. */
  stage(header: Header, rows: AsyncIterable<readonly Row[]>): Promise<void>;
  /** Counts what a merge of the staged rows would do, without doing it; duplicates are taken out. */
  classify(options: MergeOptions): Promise<Merged>;
  /** Merges what `classify` has counted. */
  merge(options: MergeOptions): Promise<void>;
  /** Commits rows, rejects, receipt, coverage and the next due time together. */
  commit(commit: WindowCommit): Promise<void>;
  /** Commits that there is nothing to load now. */
  settle(next: NextTurn): Promise<void>;
  /** Gives the feed up without a trace of the transaction; harmless after a commit. */
  release(): Promise<void>;
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
  find(name: FeedName): Promise<Feed | null>;
  /** Active feeds that are due, the longest due first. */
  due(now: number, limit: number): Promise<readonly FeedName[]>;
  /**
   * Takes a feed's lock; null if another holds it.
   *
   * @throws SyncError `DATABASE_BUSY`, or `INTERRUPTED` when the signal aborts
   */
  claim(feedId: number, signal: AbortSignal): Promise<FeedClaim | null>;
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

/** Whether the platform may be asked: after a refusal of all, one caller at a time may `probe`. */
export interface Gate {
  readonly state: 'open' | 'probe' | 'closed';
  /** Why the queue waits; null while it does not. */
  readonly code: ErrorCode | null;
}

/** What all processes know of the platform together. */
export interface PlatformState {
  /** Whether the queue may go on, waits, or may be probed now. */
  gate(now: number): Promise<Gate>;
  /** Claims the probe that is due; true for one caller, then for none for a while. */
  takeProbe(now: number): Promise<boolean>;
  /** Makes the whole queue wait; answers true to the one who closed it first. */
  block(error: SyncError, now: number): Promise<boolean>;
  /** Lets the queue go on; answers true if it had been waiting. */
  unblock(): Promise<boolean>;
  /** Platform's clock less ours in milliseconds, as last seen; 0 before the first answer. */
  clockSkew(): Promise<number>;
  /** Notes the platform's clock less ours, in milliseconds. */
  noteClockSkew(skew: number): Promise<void>;
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
