import type { Socket } from 'node:net';
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
  /** How long an idle connection is kept, in milliseconds (10 seconds). */
  readonly idle?: number;
  /** Server settings of each connection (`-c name=value`), such as `search_path`. */
  readonly settings?: Readonly<Record<string, string>>;
  /**
   * How long a statement may go unanswered before its connection is thrown away, in milliseconds;
   * undefined: as long as it takes. Postgres is not told, for a way that is lost: it may go on with it.
   */
  readonly limit?: number;
  /** Told of the SQLSTATE or system code when an idle connection breaks; the pool replaces it by itself. */
  readonly onError?: (code: string) => void;
}

/**
 * Connections that carry runs. What they ask is no query that compiling would pay for: it is one pass
 * over the rows.
 */
export const RUN_CONNECTIONS = { settings: { jit: 'off' } } as const;

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
    // A peer that is gone, or a firewall that forgot us, must not be met by the next run.
    keepAliveInitialDelayMillis: 30_000,
    idleTimeoutMillis: options.idle ?? 10_000,
    connectionTimeoutMillis: 10_000,
    // Alone, the limit would leave the connection to the next, behind the statement that hangs: only
    // where statements may be pipelined does the driver destroy it.
    ...(options.limit !== undefined && { query_timeout: options.limit, pipeline: true }),
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

/** Lets an idle connection take statements while others are under way, or no longer. */
export function setPipeline(client: PoolClient, pipeline: boolean): void {
  Object.assign(client, { pipeline });
}

/**
 * Sends what is asked of a connection from now on in one packet, until all that is ready to go on has done
 * so. Where statements are pipelined, each would else wake Postgres up once more, which costs more than most
 * of them do themselves.
 */
export function sendTogether(client: PoolClient): void {
  const { stream } = (client as unknown as { readonly connection: { readonly stream: Socket } })
    .connection;
  stream.cork();
  setImmediate(() => stream.uncork());
}

/** Puts Kysely's typed queries on a pool. */
export function openDatabase(pool: pg.Pool): Database {
  return new Kysely<DB>({ dialect: new PostgresDialect({ pool }) });
}

/**
 * The same for the few queries that every run asks: they are prepared on each connection of the pool,
 * since to plan them anew costs more than to execute them.
 */
export function openPrepared(pool: pg.Pool): Database {
  const prepared = {
    async connect(): Promise<PostgresPoolClient> {
      const client = await pool.connect();
      return preparing(client, () => client.release());
    },
    end: async () => {},
  };
  return new Kysely<DB>({ dialect: new PostgresDialect({ pool: prepared }) });
}

/** Most queries that are prepared; the same few are asked by every run. */
const MOST_PREPARED = 100;

const names = new Map<string, string>();

/** The name that a query is prepared under on every connection; undefined for one too many. */
function preparedName(text: string): string | undefined {
  const known = names.get(text);
  if (known !== undefined || names.size >= MOST_PREPARED) return known;
  const name = `vcc-sync ${names.size}`;
  names.set(text, name);
  return name;
}

/** A connection on which every query is prepared. */
function preparing(client: PoolClient, release: () => void): PostgresPoolClient {
  const query = (text: string, values: unknown[]) => {
    const name = preparedName(text);
    return client.query({ text, values, ...(name === undefined ? {} : { name }) });
  };
  return { query: query as unknown as PostgresPoolClient['query'], release };
}

/**
 * Puts Kysely's typed queries on one connection that is held anyway, such as a claim's: every query
 * goes there, and none gives the connection back. They are prepared (see `openPrepared`).
 *
 * Begin and end transactions on the connection itself.
 */
export function databaseOn(client: PoolClient): Database {
  const held = preparing(client, () => {});
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
