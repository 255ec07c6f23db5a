import { sql } from 'kysely';
import type pg from 'pg';
import type { FeedStore } from '../sync/ports.ts';
import { PostgresClaim } from './claim.ts';
import { guarded } from './database-error.ts';
import { exclusively } from './exclusive.ts';
import { countActiveFeeds, dueFeeds, findFeed, orgCodesWithFeeds, recentRuns } from './feeds.ts';
import { type Database, openDatabase, openPool } from './pool.ts';
import { beat, failRun, HEARTBEAT_EVERY, reapRuns } from './runs.ts';

/** How many connections a process may hold. */
export interface StoreOptions {
  /** Runs at once; each holds a connection for its whole length. */
  readonly runs: number;
  readonly onError?: (code: string) => void;
}

/** Advisory lock of work that must not run twice at once. */
const EXCLUSIVE_LOCK = 0x7665;

/** How long such work may take, in milliseconds. */
const EXCLUSIVE_LIMIT = 30_000;

/** Postgres as the service uses it: pools, feeds and their heartbeat. */
export class Store {
  /** Short statements. */
  readonly pool: pg.Pool;
  /** Typed queries on `pool`. */
  readonly db: Database;
  readonly feeds: FeedStore;
  /** Transactions of runs; apart, so that runs can not starve their own bookkeeping. */
  readonly #runPool: pg.Pool;
  readonly #running = new Set<number>();
  readonly #heartbeat: NodeJS.Timeout;

  constructor(databaseUrl: string, { runs, onError = () => {} }: StoreOptions) {
    this.pool = openPool(databaseUrl, { max: Math.max(4, runs), name: 'vcc-sync', onError });
    this.db = openDatabase(this.pool);
    this.#runPool = openPool(databaseUrl, { max: runs, name: 'vcc-sync run', onError });
    this.feeds = this.#openFeeds();
    this.#heartbeat = setInterval(() => {
      beat(this.db, [...this.#running]).catch((error) => onError(error.code ?? error.name));
    }, HEARTBEAT_EVERY);
    this.#heartbeat.unref();
  }

  #openFeeds(): FeedStore {
    const { db } = this;
    const runPool = this.#runPool;
    return {
      find: (name) => guarded(findFeed(db, name)),
      due: (now, limit) => guarded(dueFeeds(db, now, limit)),
      claim: async (feedId, signal) => {
        const client = await guarded(runPool.connect());
        return PostgresClaim.take(client, feedId, signal, { db, running: this.#running });
      },
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
    await Promise.all([this.pool.end(), this.#runPool.end()]);
  }
}
