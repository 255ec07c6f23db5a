import { FatalError, type SyncError, toSyncError } from '../core/errors.ts';
import { balances, type Receipt, tooManyRejects } from '../core/receipt.ts';
import type { Charset } from '../core/table/charset.ts';
import type { Quotes } from '../core/table/field-parser.ts';
import type { Reject, SeenReject } from '../core/table/row.ts';
import type { Table, TableOptions } from '../core/table/table-reader.ts';
import { type RunObserver, watchRun } from './observer.ts';
import type {
  DownloadFacts,
  FeedClaim,
  FeedStore,
  MergeOptions,
  RunFailure,
  RunStart,
  Surroundings,
  TableBytes,
  TableProgress,
} from './ports.ts';
import { stageTable } from './staged-table.ts';
import { Tally } from './tally.ts';

/** How tables are read. */
export interface LoadSettings {
  readonly charset: Charset | 'auto';
  readonly quotes: Quotes;
  /** Whether rows of another organisation are refused or stored under their own. */
  readonly otherOrgs: 'reject' | 'accept';
}

/** What a load needs of the world. */
export interface LoadWorld extends Surroundings {
  readonly feeds: FeedStore;
  readonly settings: LoadSettings;
  /** Told how a table comes along; for a progress bar. */
  readonly onProgress?: (progress: Progress) => void;
  /** Told of every run as it ends; for metrics. */
  readonly observer?: RunObserver;
}

/** How far a run's table has come. */
export interface Progress extends Pick<TableProgress, 'bytes' | 'lines'> {
  readonly runId: number;
}

/** A table whose rows are merged and wait for their commit. */
export interface LoadedTable {
  readonly runId: number;
  /** End of what is covered now, in milliseconds. */
  readonly coveredTo: number;
  readonly receipt: Receipt;
  readonly facts: DownloadFacts;
  readonly rejects: readonly Reject[];
  /** Refused lines that came before too. */
  readonly seen: readonly SeenReject[];
  /** How long the run has taken so far, in milliseconds. */
  elapsed(): number;
}

/** How the rows of a table are merged, and how far it covers source time. */
export interface Merging extends MergeOptions {
  /** Milliseconds; never past `syncedThrough`. */
  readonly coveredTo: number;
}

/** One table to load: where interval and bytes come from, and what follows; `R` is what it answers. */
export interface Load<R> {
  readonly run: RunStart;
  /** Opens the table, once the run is on record. */
  open(): Promise<TableBytes>;
  /** Reads the table; by default its bytes as one file. */
  read?(table: TableBytes, options: TableOptions): Promise<Table>;
  /** False: the lines that it refuses are counted, but not put on record. */
  readonly keepsRejects?: boolean;
  /** Percent of lines that may be refused; null: the default. */
  readonly maxRejects: number | null;
  /**
   * Looks at the staged rows before they are merged; what it throws fails the run. Without it, rows may go
   * straight to their place.
   *
   * @param unread refused lines whose rows may be those of the organisation
   */
  inspect?(unread: number): Promise<void>;
  /** How its rows are merged, by when the table was made. */
  merging(table: TableBytes): Merging;
  /** Commits all of it together. */
  commit(loaded: LoadedTable): Promise<R>;
  /** What a failure means for the feed. */
  afterFailure(error: SyncError): Pick<RunFailure, 'nextDueAt' | 'counts'>;
}

const recorded = new WeakMap<SyncError, number>();

/** Whether the ledger knows of a run's failure: the database could still be written to. */
export function isRecorded(error: SyncError): boolean {
  return recorded.has(error);
}

/** The run under which the ledger knows a failure; undefined if it does not. */
export function failedRun(error: SyncError): number | undefined {
  return recorded.get(error);
}

/**
 * Loads one table into a claimed feed: check, stage, classify, merge, and commit rows, rejects,
 * receipt and coverage together (design section 3); the one way for downloads, imports and replays.
 *
 * A failure is recorded and leaves tables and coverage as they were; the claim is given up either way.
 *
 * @throws SyncError why the run failed, after it was recorded; or why not even that could be done
 */
export async function loadTable<R>(world: LoadWorld, claim: FeedClaim, load: Load<R>): Promise<R> {
  const { feed } = claim;
  const tally = new Tally((hashes) => world.feeds.knownRejects(feed.id, hashes));
  const watch = watchRun(world, feed);
  let runId: number | null = null;
  try {
    runId = await claim.start(load.run);
    const { coveredTo } = await mergeTable(world, claim, { load, runId }, tally);
    const receipt = tally.receipt();
    if (!balances(receipt)) throw new Error('the receipt does not balance');
    const facts = tally.facts();
    const { elapsed } = watch;
    const loaded = { runId, coveredTo, receipt, facts, elapsed, ...keptBy(load, tally) };
    const outcome = await load.commit(loaded);
    watch.done(receipt, tally.rejectedBy);
    return outcome;
  } catch (cause) {
    const error = toSyncError(cause);
    // Before the record, so that no lock is held while other connections are waited for.
    await claim.release();
    if (runId !== null) {
      watch.failed(error, tally.rejectedBy);
      await world.feeds.recordFailure({
        runId,
        feed,
        error,
        facts: tally.facts(),
        lines: tally.lines,
        rejected: tally.rejected,
        ...keptBy(load, tally),
        header: tally.header,
        ...load.afterFailure(error),
        knownRequests: claim.requests.map(({ id }) => id),
      });
      recorded.set(error, runId);
    }
    throw error;
  }
}

function keptBy<R>(
  { keepsRejects = true }: Load<R>,
  { rejects, seen }: Tally,
): Pick<LoadedTable, 'rejects' | 'seen'> {
  return keepsRejects ? { rejects, seen } : { rejects: [], seen: [] };
}

/** Everything between the run's record and its commit. */
async function mergeTable<R>(
  world: LoadWorld,
  claim: FeedClaim,
  { load, runId }: { readonly load: Load<R>; readonly runId: number },
  tally: Tally,
): Promise<Merging> {
  const bytes = await load.open();
  tally.started(bytes, world.clock);
  const report = () => {
    const { length } = bytes;
    const far = { bytes: bytes.bytes, lines: tally.lines, length };
    claim.note(far);
    world.onProgress?.({ runId, ...far });
  };
  const merge = load.merging(bytes);
  await stageTable(world, claim, bytes, tally, {
    report,
    ...(load.read && { read: load.read }),
    // What is looked at before must not lie in its place by then.
    ...(!load.inspect && { merging: merge }),
  });
  checkRejects(tally, load.maxRejects);
  await load.inspect?.(tally.unread);
  tally.merged(await claim.merge(merge));
  return merge;
}

/**
 * Checks that not too many lines of a table were refused (design invariant 8).
 *
 * @param maxPercent percent of lines that may be; null: the default
 * @throws FatalError TOO_MANY_REJECTS
 */
export function checkRejects(tally: Tally, maxPercent: number | null): void {
  const { lines, rejected } = tally;
  if (!tooManyRejects(lines, rejected, maxPercent)) return;
  throw new FatalError(
    'TOO_MANY_REJECTS',
    `${rejected} of ${lines} lines were refused (${tally.reasons()})`,
  );
}
