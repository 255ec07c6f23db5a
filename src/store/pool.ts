import {
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresDialect,
  PostgresIntrospector,
  type PostgresPoolClient,
  PostgresQueryCompiler,
} from 'kysely';
import pg, { type PoolClient } from 'pg';
import type { DB } from './database.ts';

// int8 counters stay far below 2^53; numbers spare every reader a conversion.
pg.types.setTypeParser(pg.types.builtins.INT8, Number);

/** Typed access to the database's tables. */
export type Database = Kysely<DB>;

/** Settings of a pool. */
export interface PoolOptions {
  /** Most connections at once. */
  readonly max: number;
  /** Shown in `pg_stat_activity`. */
  readonly name: string;
  /** Server settings of each connection (`-c name=value`), such as `search_path`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Told of the SQLSTATE or system code when an idle connection breaks; the pool replaces it by itself. */
  readonly onError?: (code: string) => void;
}

/**
 * Opens a pool of connections; nothing is connected until the first query.
 *
 * Sessions work in UTC, and a run may hold its transaction open while it waits for the platform.
 */
export function openPool(databaseUrl: string, options: PoolOptions): pg.Pool {
  const settings = {
    TimeZone: 'UTC',
    idle_in_transaction_session_timeout: '0',
    ...options.settings,
  };
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: options.max,
    application_name: options.name,
    keepAlive: true,
    connectionTimeoutMillis: 10_000,
    options: Object.entries(settings)
      .map(([name, value]) => `-c ${name}=${value}`)
      .join(' '),
  });
  // A connection in use reports its break to its query; without this listener it would end the process.
  pool.on('connect', (client) => client.on('error', () => {}));
  pool.on('error', (error: Error & { code?: string }) => {
    // A connection that is being closed anyway is no loss.
    if (!pool.ending) options.onError?.(error.code ?? error.name);
  });
  return pool;
}

/** Puts Kysely's typed queries on a pool. */
export function openDatabase(pool: pg.Pool): Database {
  return new Kysely<DB>({ dialect: new PostgresDialect({ pool }) });
}

/**
 * Puts Kysely's typed queries on one connection that is held anyway, such as a claim's: every query
 * goes there, and none gives the connection back.
 *
 * Begin and end transactions on the connection itself.
 */
export function databaseOn(client: PoolClient): Database {
  const held: PostgresPoolClient = {
    query: client.query.bind(client) as PostgresPoolClient['query'],
    release: () => {},
  };
  const pool = { connect: async () => held, end: async () => {} };
  return new Kysely<DB>({ dialect: new PostgresDialect({ pool }) });
}

/**
 * Builds queries apart from any connection: what every run asks is built once, which costs three
 * times as much as to compile it, and is executed where it is wanted.
 *
 * @example const { rows } = await db.executeQuery(unbound.selectFrom('vcc.feed').select('id'));
 */
export const unbound: Database = new Kysely<DB>({
  dialect: {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  },
});
