import type { PoolClient } from 'pg';
import type { Dataset } from '../core/dataset.ts';
import { InterruptedError } from '../core/errors.ts';
import { type Header, keptHeader } from '../core/table/header.ts';
import type { Row } from '../core/table/row.ts';
import type { OpenRequest } from '../core/work.ts';
import { CATALOGUE } from '../datasets/catalogue.ts';
import type {
  ClaimedFeed,
  CompareOptions,
  Differences,
  FeedClaim,
  FeedStaging,
  ImportCommit,
  Merged,
  MergeOptions,
  NextTurn,
  RunCommit,
  RunStart,
  TableProgress,
  WindowCommit,
} from '../sync/ports.ts';
import type { Backend } from './backend.ts';
import { cancelOnAbort } from './cancellation.ts';
import { type ClaimSignal, followClaim } from './claim-signal.ts';
import { compareStaged, markAbsent, stagedKeys } from './compare.ts';
import { databaseError, isRefused } from './database-error.ts';
import { PREVIEW, type Purpose, RUN } from './feed-lock.ts';
import type { RunsInHand } from './heartbeat.ts';
import { type HeldFeed, holdFeed } from './held-feed.ts';
import { advanceByImport } from './imports.ts';
import { type Intake, mergedOf, mergeIntake, stageAll, takeIn } from './intake.ts';
import { absentSince, classifyStaged } from './load-window.ts';
import { type Database, sendTogether } from './pool.ts';
import { resolveRejects, storeRejects } from './rejects.ts';
import { advanceFeed, closeRun, settleFeed, startRun } from './runs.ts';
import { STAGING } from './staging.ts';
import type { StraightPlan } from './straight.ts';

/** What a claim needs besides its own connection. */
export interface ClaimSurroundings {
  /** Short statements outside the run's transaction. */
  readonly db: Database;
  /** Told of each run from its start to its end, so that a heartbeat can show life for it. */
  readonly running: RunsInHand;
}

/** What `take` hands over. */
interface Held extends HeldFeed {
  readonly signal: AbortSignal;
  readonly stopCancelling: () => void;
}

/** A feed held by its advisory lock: one transaction on one connection (design invariant 5). */
export class PostgresClaim implements FeedClaim {
  readonly feed: ClaimedFeed;
  readonly requests: readonly OpenRequest[];
  readonly databaseNow: number;
  readonly #client: PoolClient;
  /** Typed queries on `#client`, and so in the claim's transaction. */
  readonly #db: Database;
  readonly #surroundings: ClaimSurroundings;
  readonly #backend: Backend;
  readonly #dataset: Dataset;
  readonly #signal: AbortSignal;
  readonly #stopCancelling: () => void;
  readonly #following: ClaimSignal;
  #runId: number | null = null;
  #intake: Intake | null = null;
  #open = true;
  /** Whether the staging table may have been touched. */
  #hasStaged = false;

  private constructor(client: PoolClient, surroundings: ClaimSurroundings, held: Held) {
    this.#client = client;
    this.#db = held.db;
    this.#signal = held.signal;
    this.#stopCancelling = held.stopCancelling;
    this.#surroundings = surroundings;
    this.feed = held.feed;
    this.requests = held.requests;
    this.databaseNow = held.databaseNow;
    this.#backend = held.backend;
    this.#dataset = CATALOGUE[held.feed.dataset];
    this.#following = followClaim(client, held.signal);
  }

  get signal(): AbortSignal {
    return this.#following.signal;
  }

  /**
   * Takes a feed's lock on a connection of its own; null if another holds it.
   *
   * @throws SyncError `DATABASE_…`, or `INTERRUPTED` when the signal aborts
   */
  static take(
    client: PoolClient,
    feedId: number,
    signal: AbortSignal,
    surroundings: ClaimSurroundings,
  ): Promise<FeedClaim | null> {
    return PostgresClaim.#take(client, feedId, signal, RUN, surroundings);
  }

  /**
   * Opens a feed for a preview, with a lock that only previews take: runs go on beside it. Postgres
   * refuses every write but those to the staging table. Null while there is another preview.
   *
   * @throws SyncError `DATABASE_…`, or `INTERRUPTED` when the signal aborts
   */
  static look(
    client: PoolClient,
    feedId: number,
    signal: AbortSignal,
    surroundings: ClaimSurroundings,
  ): Promise<FeedStaging | null> {
    return PostgresClaim.#take(client, feedId, signal, PREVIEW, surroundings);
  }

  static async #take(
    client: PoolClient,
    feedId: number,
    signal: AbortSignal,
    purpose: Purpose,
    surroundings: ClaimSurroundings,
  ): Promise<PostgresClaim | null> {
    const stopCancelling = cancelOnAbort(client, surroundings.db, signal);
    try {
      const held = await holdFeed(client, purpose, feedId);
      if (held) return new PostgresClaim(client, surroundings, { ...held, signal, stopCancelling });
      stopCancelling();
      await client.query('rollback');
      client.release(signal.aborted);
      return null;
    } catch (error) {
      stopCancelling();
      client.release(true);
      throw signal.aborted ? new InterruptedError() : databaseError(error);
    }
  }

  async start(run: RunStart): Promise<number> {
    this.#runId = await this.#guard(() =>
      startRun(this.#surroundings.db, this.feed, run, this.#backend),
    );
    this.note({ bytes: 0, lines: 0, length: null });
    return this.#runId;
  }

  note(far: TableProgress): void {
    if (this.#runId !== null) this.#surroundings.running.set(this.#runId, far);
  }

  async stage(
    header: Header,
    batches: AsyncIterable<readonly Row[]>,
    merging: MergeOptions | null = null,
  ): Promise<void> {
    const straight = this.#straightPlan(merging);
    this.#hasStaged = true;
    const intake = await this.#guard(() =>
      takeIn(this.#client, this.#dataset, header, batches, straight),
    );
    this.#intake = intake;
    this.#hasStaged = intake.staged.held === null;
  }

  /** How first rows may go straight to their place; null if they may not. */
  #straightPlan(merging: MergeOptions | null): StraightPlan | null {
    const { orgCode, extractAt, consecutiveFailures } = this.feed;
    if (merging === null || absentSince(extractAt, merging) !== null) return null;
    // What fails leaves its rows behind until the next vacuum: not each time.
    if (consecutiveFailures > 0) return null;
    return { orgCode, runId: this.#runId!, syncedThrough: merging.syncedThrough };
  }

  async classify(options: MergeOptions): Promise<Merged> {
    const counts = await this.#onStaged(({ header }) =>
      classifyStaged(this.#client, this.#dataset, header, options),
    );
    return mergedOf(this.#intake!, counts);
  }

  compare(options: CompareOptions): Promise<Differences> {
    const { orgCode } = this.feed;
    return this.#onStaged(({ header }) =>
      compareStaged(this.#client, this.#dataset, header, { ...options, orgCode }),
    );
  }

  staged(keys: readonly string[]): Promise<ReadonlySet<string>> {
    return this.#onStaged(() => stagedKeys(this.#client, this.feed.orgCode, keys));
  }

  markAbsent(asOf: number): Promise<number> {
    return this.#onStaged(() => markAbsent(this.#client, this.#dataset, this.feed.orgCode, asOf));
  }

  async merge(options: MergeOptions): Promise<Merged> {
    const { orgCode, extractAt } = this.feed;
    const plan = { ...options, runId: this.#runId!, orgCode, extractAt };
    const intake = this.#intake!;
    const counts = await this.#guard(() => mergeIntake(this.#client, this.#dataset, intake, plan));
    return mergedOf(intake, counts);
  }

  async commit(commit: WindowCommit): Promise<void> {
    await this.#commit(commit, () => advanceFeed(this.#db, this, commit));
  }

  async commitImport(commit: ImportCommit): Promise<void> {
    await this.#commit(commit, () => advanceByImport(this.#db, this.feed.id, this.#runId!, commit));
  }

  async #commit(commit: RunCommit, advance: () => Promise<void>): Promise<void> {
    const intake = this.#intake;
    const header = intake && keptHeader(intake.header, this.#dataset);
    await this.#guard(async () => {
      sendTogether(this.#client);
      // One behind the other, in this order; nothing of a run that turns out to be closed is committed.
      const steps = await Promise.allSettled([
        resolveRejects(this.#client, {
          feedId: this.feed.id,
          runId: this.#runId!,
          windowTo: commit.window.to,
          stage: () => this.#stageAll(),
          straight: intake?.staged.straight
            ? { dataset: this.#dataset, orgCode: this.feed.orgCode }
            : null,
        }),
        closeRun(this.#db, this.#runId!, this.feed.id, commit),
        advance(),
      ]);
      // Not before all have ended: what comes after a rollback would be outside of the transaction.
      const failed = steps.flatMap((step) => (step.status === 'rejected' ? [step.reason] : []));
      // What was sent behind the one that failed is refused for that alone.
      if (failed.length > 0) throw failed.find((error) => !isRefused(error)) ?? failed[0];
      const { rejects, seen } = commit;
      await storeRejects(this.#db, this.feed.id, this.#runId!, { rejects, seen, header });
      await this.#client.query('commit');
    });
    this.#close(false);
  }

  async settle(next: NextTurn): Promise<void> {
    await this.#guard(async () => {
      await settleFeed(this.#db, this, next);
      await this.#client.query('commit');
    });
    this.#close(false);
  }

  async release(): Promise<void> {
    if (!this.#open) return;
    try {
      await this.#client.query('rollback');
      // A rollback leaves what was staged as dead pages; a commit that has seen the table empties it.
      if (this.#hasStaged) await this.#client.query(`select from ${STAGING} limit 0`);
      this.#close(false);
    } catch {
      // The connection is lost, and with it transaction and lock.
      this.#close(true);
    }
  }

  #close(broken: boolean): void {
    this.#open = false;
    this.#stopCancelling();
    this.#following.clear();
    if (this.#runId !== null) this.#surroundings.running.delete(this.#runId);
    // A cancellation on its way could hit the next run on this connection.
    this.#client.release(broken || this.#signal.aborted);
  }

  /** Work on the staging table, with all that was taken in there. */
  #onStaged<T>(work: (intake: Intake) => Promise<T>): Promise<T> {
    return this.#guard(async () => {
      await this.#stageAll();
      if (this.#intake!.staged.straight) throw new Error('not all rows are staged');
      return work(this.#intake!);
    });
  }

  async #stageAll(): Promise<void> {
    if (this.#intake === null) return;
    this.#hasStaged = true;
    this.#intake = await stageAll(this.#client, this.#dataset, this.#intake);
  }

  async #guard<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (this.#signal.aborted) throw new InterruptedError();
      throw databaseError(error);
    }
  }
}
