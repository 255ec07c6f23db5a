import { sql } from 'kysely';
import type pg from 'pg';
import { type PoolUse, readPoolUse } from '../core/pool-use.ts';
import type { FeedStore } from '../sync/ports.ts';
import { PostgresClaim } from './claim.ts';
import { guarded } from './database-error.ts';
import { exclusively } from './exclusive.ts';
import {
  countActiveFeeds,
  dueFeeds,
  findFeed,
  lastRunsOf,
  orgCodesWithFeeds,
  recentRuns,
} from './feeds.ts';
import { type Fence, openFence } from './fence.ts';
import { beat, HEARTBEAT_EVERY, type RunsInHand, reapRuns, SILENCE_LIMIT } from './heartbeat.ts';
import { type Database, openDatabase, openPool, openPrepared, RUN_CONNECTIONS } from './pool.ts';
import { knownRejects } from './rejects.ts';
import { failRun } from './runs.ts';

/** How many connections a process may hold. */
export interface StoreOptions {
  /** Runs at once; each holds a connection for its whole length. */
  readonly runs: number;
  readonly onError?: (code: string) => void;
  /** Milliseconds between signs of life. */
  readonly heartbeat?: number;
  /** Milliseconds without an answer of Postgres after which connections in use are given up. */
  readonly silence?: number;
  /** Longest wait for the answer to a short statement, in milliseconds. */
  readonly statement?: number;
  /** Told that so many connections were given up. */
  readonly onCut?: (connections: number) => void;
}

/**
 * How long a short statement may take, in milliseconds: far longer than any does, and longer than a token's
 * renewal is waited for.
 */
export const STATEMENT_LIMIT = 2 * 60_000;

/** Advisory lock of work that must not run twice at once. */
const EXCLUSIVE_LOCK = 0x7665;

/** How long such work may take, in milliseconds. */
const EXCLUSIVE_LIMIT = 30_000;

/**
 * How long a run's connection is kept when idle, in milliseconds: longer than most feeds' interval, since
 * the staging table of a new one is rows of the system catalogue.
 */
const RUN_IDLE = 30 * 60_000;

/** Previews at once in one process; further ones are told to come back. */
const PREVIEWS = 4;

/** Statements at once for pages, scripts and scrapes of one process; further ones wait. */
const LOOKS = 4;

/**
 * Notices of the platform at once in one process; further ones wait. Two, so that one that waits for a feed
 * holds no other up.
 */
const NOTICES = 2;

/** How long such a statement may take, in milliseconds: whoever looks must not hold the database up. */
const LOOK_LIMIT = 10_000;

/** Postgres as the service uses it: pools, feeds and their heartbeat. */
export class Store {
  /** Short statements. */
  readonly pool: pg.Pool;
  /** Typed queries on `pool`. */
  readonly db: Database;
  /** What every run asks, on `pool`. */
  readonly prepared: Database;
  /** Typed queries for whoever looks; Postgres ends those that take long. */
  readonly looks: Database;
  /** The same for the platform's notices, apart: a burst of them and the pages must not hold each other up. */
  readonly notices: Database;
  readonly feeds: FeedStore;
  /** Transactions of runs; apart, so that runs can not starve their own bookkeeping. */
  readonly #runPool: pg.Pool;
  /** Apart too, so that looking holds no run up. */
  readonly #previewPool: pg.Pool;
  readonly #lookPool: pg.Pool;
  readonly #noticePool: pg.Pool;
  readonly #running: RunsInHand = new Map();
  readonly #fence: Fence;
  readonly #heartbeat: NodeJS.Timeout;

  constructor(
    databaseUrl: string,
    {
      runs,
      onError = () => {},
      onCut = () => {},
      heartbeat = HEARTBEAT_EVERY,
      silence = SILENCE_LIMIT,
      statement = STATEMENT_LIMIT,
    }: StoreOptions,
  ) {
    this.pool = openPool(databaseUrl, {
      max: Math.max(4, runs),
      name: 'vcc-sync',
      limit: statement,
      onError,
    });
    this.db = openDatabase(this.pool);
    this.prepared = openPrepared(this.pool);
    this.#runPool = openPool(databaseUrl, {
      max: runs,
      name: 'vcc-sync run',
      idle: RUN_IDLE,
      ...RUN_CONNECTIONS,
      onError,
    });
    this.#previewPool = openPool(databaseUrl, {
      max: PREVIEWS,
      name: 'vcc-sync preview',
      idle: RUN_IDLE,
      ...RUN_CONNECTIONS,
      onError,
    });
    const looking = { settings: { statement_timeout: String(LOOK_LIMIT) }, onError };
    this.#lookPool = openPool(databaseUrl, { max: LOOKS, name: 'vcc-sync web', ...looking });
    this.looks = openDatabase(this.#lookPool);
    this.#noticePool = openPool(databaseUrl, { max: NOTICES, name: 'vcc-sync push', ...looking });
    this.notices = openDatabase(this.#noticePool);
    this.feeds = this.#openFeeds();
    this.#fence = openFence({
      pools: this.#pools(),
      ask: () => beat(this.db, this.#running),
      limit: silence,
      onCut,
    });
    this.#heartbeat = setInterval(() => {
      this.#fence.check().catch((error) => onError(error.code ?? error.name));
    }, heartbeat);
    this.#heartbeat.unref();
  }

  #openFeeds(): FeedStore {
    const { db, prepared } = this;
    const runPool = this.#runPool;
    const previewPool = this.#previewPool;
    const running = this.#running;
    return {
      find: (name) => guarded(findFeed(prepared, name)),
      due: (now, limit) => guarded(dueFeeds(db, now, limit)),
      claim: async (feedId, signal) => {
        const client = await guarded(runPool.connect());
        return PostgresClaim.take(client, feedId, signal, { db: prepared, running });
      },
      knownRejects: (feedId, hashes) => guarded(knownRejects(db, feedId, hashes)),
      preview: async (feedId, signal) => {
        if (isFull(previewPool)) return 'full';
        const client = await guarded(previewPool.connect());
        return (
          (await PostgresClaim.look(client, feedId, signal, { db: prepared, running })) ?? 'busy'
        );
      },
      lastRuns: (feedIds) => guarded(lastRunsOf(db, feedIds)),
      recordFailure: (failure) => guarded(failRun(db, failure)),
      recentRuns: (limit) => guarded(recentRuns(db, limit)),
      countActive: (limit) => guarded(countActiveFeeds(db, limit)),
      orgCodes: () => guarded(orgCodesWithFeeds(db)),
      reap: () => guarded(reapRuns(db)),
    };
  }

  /** The database's name, which tells installations apart that share one Redis. */
  async databaseName(): Promise<string> {
    const { rows } = await sql<{ name: string }>`select current_database() as name`.execute(
      this.db,
    );
    return rows[0]!.name;
  }

  /** How far the pools are used, now. */
  poolUse(): readonly PoolUse[] {
    return [
      readPoolUse('statements', this.pool),
      readPoolUse('runs', this.#runPool),
      readPoolUse('previews', this.#previewPool),
      readPoolUse('web', this.#lookPool),
      readPoolUse('push', this.#noticePool),
    ];
  }

  /** Runs work of which only one may be under way, in all processes on this database. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    return exclusively(
      this.db,
      sql`pg_advisory_xact_lock(${EXCLUSIVE_LOCK})`,
      EXCLUSIVE_LIMIT,
      work,
    );
  }

  /** Ends the heartbeat and all connections; runs must have ended before. */
  async close(): Promise<void> {
    clearInterval(this.#heartbeat);
    await Promise.all(this.#pools().map((pool) => pool.end()));
  }

  #pools(): pg.Pool[] {
    return [this.pool, this.#runPool, this.#previewPool, this.#lookPool, this.#noticePool];
  }
}

/** Whether whoever asks now would have to wait for a connection. */
function isFull(pool: pg.Pool): boolean {
  return pool.totalCount - pool.idleCount + pool.waitingCount >= pool.options.max;
}
