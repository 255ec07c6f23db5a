import type pg from 'pg';
import type { FeedStore } from '../sync/ports.ts';
import { PostgresClaim } from './claim.ts';
import { databaseError } from './database-error.ts';
import { dueFeeds, findFeed, orgCodesWithFeeds } from './feeds.ts';
import { openPool } from './pool.ts';
import { beat, failRun, HEARTBEAT_EVERY, reapRuns } from './runs.ts';

/** How many connections a process may hold. */
export interface StoreOptions {
  /** Runs at once; each holds a connection for its whole length. */
  readonly runs: number;
  readonly onError?: (code: string) => void;
}

/** Advisory lock of work that must not run twice at once. */
const EXCLUSIVE_LOCK = 0x7665;

/** Postgres as the service uses it: pools, feeds and their heartbeat. */
export class Store {
  /** Short statements. */
  readonly pool: pg.Pool;
  readonly feeds: FeedStore;
  /** Transactions of runs; apart, so that runs can not starve their own bookkeeping. */
  readonly #runPool: pg.Pool;
  readonly #running = new Set<number>();
  readonly #heartbeat: NodeJS.Timeout;

  constructor(databaseUrl: string, { runs, onError = () => {} }: StoreOptions) {
    this.pool = openPool(databaseUrl, { max: Math.max(4, runs), name: 'vcc-sync', onError });
    this.#runPool = openPool(databaseUrl, { max: runs, name: 'vcc-sync run', onError });
    this.feeds = this.#openFeeds();
    this.#heartbeat = setInterval(() => {
      beat(this.pool, [...this.#running]).catch((error) => onError(error.code ?? error.name));
    }, HEARTBEAT_EVERY);
    this.#heartbeat.unref();
  }

  #openFeeds(): FeedStore {
    const { pool } = this;
    const runPool = this.#runPool;
    const guard = async <T>(work: Promise<T>): Promise<T> => {
      try {
        return await work;
      } catch (error) {
        throw databaseError(error);
      }
    };
    return {
      find: (name) => guard(findFeed(pool, name)),
      due: (now, limit) => guard(dueFeeds(pool, now, limit)),
      claim: async (feedId, wait, signal) => {
        const client = await guard(runPool.connect());
        return PostgresClaim.take(client, feedId, wait, signal, { pool, running: this.#running });
      },
      recordFailure: (failure) => guard(failRun(pool, failure)),
      orgCodes: () => guard(orgCodesWithFeeds(pool)),
      reap: () => guard(reapRuns(pool)),
    };
  }

  /** The database's name, which tells installations apart that share one Redis. */
  async databaseName(): Promise<string> {
    const { rows } = await this.pool.query<{ name: string }>('select current_database() as name');
    return rows[0]!.name;
  }

  /** Runs work of which only one may be under way, in all processes on this database. */
  async exclusively<T>(work: () => Promise<T>): Promise<T> {
    const client = await this.pool.connect();
    try {
      await client.query('begin');
      await client.query('select pg_advisory_xact_lock($1)', [EXCLUSIVE_LOCK]);
      const result = await work();
      await client.query('commit');
      client.release();
      return result;
    } catch (error) {
      // The lock goes with the connection.
      client.release(true);
      throw error;
    }
  }

  /** Ends the heartbeat and all connections; runs must have ended before. */
  async close(): Promise<void> {
    clearInterval(this.#heartbeat);
    await Promise.all([this.pool.end(), this.#runPool.end()]);
  }
}
