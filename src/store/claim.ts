import { sql } from 'kysely';
import type { PoolClient } from 'pg';
import type { Dataset } from '../core/dataset.ts';
import { InterruptedError } from '../core/errors.ts';
import type { Header } from '../core/table/header.ts';
import type { Row } from '../core/table/row.ts';
import type { OpenRequest } from '../core/work.ts';
import { CATALOGUE } from '../datasets/catalogue.ts';
import type {
  ClaimedFeed,
  FeedClaim,
  Merged,
  MergeOptions,
  NextTurn,
  RunStart,
  WindowCommit,
} from '../sync/ports.ts';
import { databaseError } from './database-error.ts';
import { openRequests, readClaimedFeed } from './feeds.ts';
import { classifyStaged, mergeStaged, planFor } from './load-window.ts';
import { type Database, databaseOn } from './pool.ts';
import { resolveRejects, storeRejects } from './rejects.ts';
import { FEED_LOCK, finishRun, settleFeed, startRun } from './runs.ts';
import { prepareStaging, stageRows, stagingTable } from './staging.ts';
import { milliseconds } from './time.ts';

/** What a claim needs besides its own connection. */
export interface ClaimSurroundings {
  /** Short statements outside the run's transaction. */
  readonly db: Database;
  /** Told which run starts and ends, so that a heartbeat can show life for it. */
  readonly running: Set<number>;
}

/** What `take` has found out. */
interface Held {
  readonly db: Database;
  readonly feed: ClaimedFeed;
  readonly requests: readonly OpenRequest[];
  readonly databaseNow: number;
  readonly backendPid: number;
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
  readonly #backendPid: number;
  readonly #dataset: Dataset;
  readonly #signal: AbortSignal;
  readonly #stopCancelling: () => void;
  #runId: number | null = null;
  #header: Header | null = null;
  #merged: (Merged & { readonly advanced: number }) | null = null;
  #open = true;

  private constructor(client: PoolClient, surroundings: ClaimSurroundings, held: Held) {
    this.#client = client;
    this.#db = held.db;
    this.#signal = held.signal;
    this.#stopCancelling = held.stopCancelling;
    this.#surroundings = surroundings;
    this.feed = held.feed;
    this.requests = held.requests;
    this.databaseNow = held.databaseNow;
    this.#backendPid = held.backendPid;
    this.#dataset = CATALOGUE[held.feed.dataset];
  }

  /**
   * Takes a feed's lock on a connection of its own; null if another holds it.
   *
   * @throws SyncError `DATABASE_BUSY`, or `INTERRUPTED` when the signal aborts
   */
  static async take(
    client: PoolClient,
    feedId: number,
    signal: AbortSignal,
    surroundings: ClaimSurroundings,
  ): Promise<PostgresClaim | null> {
    const stopCancelling = cancelOnAbort(client, surroundings.db, signal);
    try {
      for (const dataset of Object.values(CATALOGUE)) await prepareStaging(client, dataset);
      await client.query('begin');
      const db = databaseOn(client);
      const { held, now, pid } = await lockFeed(db, feedId);
      if (!held) {
        stopCancelling();
        await client.query('rollback');
        client.release(signal.aborted);
        return null;
      }
      const feed = await readClaimedFeed(db, feedId);
      const requests = await openRequests(db, feedId);
      const found = { db, feed, requests, databaseNow: now, backendPid: pid };
      return new PostgresClaim(client, surroundings, { ...found, signal, stopCancelling });
    } catch (error) {
      stopCancelling();
      client.release(true);
      throw signal.aborted ? new InterruptedError() : databaseError(error);
    }
  }

  async start(run: RunStart): Promise<number> {
    this.#runId = await this.#guard(() =>
      startRun(this.#surroundings.db, this.feed, run, this.#backendPid),
    );
    this.#surroundings.running.add(this.#runId);
    return this.#runId;
  }

  async stage(header: Header, rows: AsyncIterable<readonly Row[]>): Promise<void> {
    this.#header = header;
    await this.#guard(async () => {
      const count = await stageRows(this.#client, this.#dataset, header, rows);
      await planFor(this.#client, count);
    });
  }

  async classify(options: MergeOptions): Promise<Merged> {
    this.#merged = await this.#guard(() =>
      classifyStaged(this.#client, this.#dataset, this.#header!, options),
    );
    return this.#merged;
  }

  async merge(options: MergeOptions): Promise<void> {
    const { counts, advanced } = this.#merged!;
    const plan = { ...options, runId: this.#runId!, counts, advanced };
    await this.#guard(() => mergeStaged(this.#client, this.#dataset, this.#header!, plan));
  }

  async commit(commit: WindowCommit): Promise<void> {
    await this.#guard(async () => {
      await resolveRejects(this.#db, {
        feedId: this.feed.id,
        runId: this.#runId!,
        stage: stagingTable(this.#dataset),
        key: this.#dataset.key,
        windowTo: commit.window.to,
      });
      await storeRejects(this.#db, this.feed.id, this.#runId!, commit.rejects);
      await finishRun(this.#db, this.#runId!, this, commit);
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
      this.#close(false);
    } catch {
      // The connection is lost, and with it transaction and lock.
      this.#close(true);
    }
  }

  #close(broken: boolean): void {
    this.#open = false;
    this.#stopCancelling();
    if (this.#runId !== null) this.#surroundings.running.delete(this.#runId);
    // A cancellation on its way could hit the next run on this connection.
    this.#client.release(broken || this.#signal.aborted);
  }

  async #guard<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.#signal.aborted ? new InterruptedError() : databaseError(error);
    }
  }
}

/** Asks for the feed's advisory lock and reads Postgres's clock, all in one round trip. */
async function lockFeed(
  db: Database,
  feedId: number,
): Promise<{ held: boolean; now: number; pid: number }> {
  const { rows } = await sql<{ held: boolean; now: number; pid: number }>`
    select pg_try_advisory_xact_lock(${FEED_LOCK}, ${feedId}) as held, ${milliseconds(sql`clock_timestamp()`)} as now, pg_backend_pid() as pid`.execute(
    db,
  );
  return rows[0]!;
}

/** Milliseconds between cancellations of a claim that must end. */
const CANCEL_EVERY = 250;

/** Cancels the statement in hand when the signal aborts: a long merge would else go on. */
function cancelOnAbort(client: PoolClient, db: Database, signal: AbortSignal): () => void {
  const { processID } = client as PoolClient & { processID?: number | null };
  let repeat: NodeJS.Timeout | undefined;
  const cancel = () => {
    sql`select pg_cancel_backend(${processID})`.execute(db).catch(() => {});
  };
  // Between two statements there is nothing to cancel, and the next one may wait: so again and again.
  const start = () => {
    cancel();
    repeat = setInterval(cancel, CANCEL_EVERY);
  };
  if (signal.aborted) start();
  signal.addEventListener('abort', start, { once: true });
  return () => {
    clearInterval(repeat);
    signal.removeEventListener('abort', start);
  };
}
