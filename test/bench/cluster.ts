import type pg from 'pg';
import { startEmbeddedPostgres } from '../../src/cli/embedded-postgres.ts';
import { openPool } from '../../src/store/pool.ts';
import { databaseUrl } from '../support/database-names.ts';
import { findPostgres } from './postgres-programs.ts';

/**
 * What makes the server as durable as Postgres is by default: the service's own starter of a throw-away
 * server turns these off.
 */
const DEFAULTS = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  max_connections: '100',
};

/** Settings that the report names. */
const NAMED_SETTINGS = [
  ...Object.keys(DEFAULTS),
  'shared_buffers',
  'work_mem',
  'jit',
  'wal_level',
  'wal_compression',
  'max_wal_size',
  'checkpoint_timeout',
  'autovacuum',
  'lc_collate',
];

/** The bench's own Postgres, with a database for each measurement. */
export interface Cluster {
  /** Version and, of an embedded one, that it is. */
  readonly version: string;
  readonly settings: Readonly<Record<string, string>>;
  /** Runs a query in the server's own database. */
  query<R extends object>(text: string, values?: readonly unknown[]): Promise<R[]>;
  /** Makes a database, empty or a copy of another to which nobody is connected. */
  create(name: string, template?: string): Promise<string>;
  drop(name: string): Promise<void>;
  /** Vacuums and analyses a database, so that copies of it begin alike. */
  tidy(name: string): Promise<void>;
  /** Writes out what is dirty, so that no measurement pays for what was before it. */
  checkpoint(): Promise<void>;
  /** Ends the server and deletes its files. */
  stop(): Promise<void>;
}

/** Starts a Postgres of the bench's own: the system's Postgres 15, else the embedded one. */
export async function startCluster(): Promise<Cluster> {
  const found = await findPostgres();
  const server = await startEmbeddedPostgres({
    settings: DEFAULTS,
    ...(found && { binaries: found }),
  });
  const admin = openPool(server.url, { max: 2, name: 'bench' });
  const query = async <R extends object>(text: string, values: readonly unknown[] = []) =>
    (await admin.query<R>(text, [...values])).rows;
  const [version] = await query<{ server_version: string }>('show server_version');
  return {
    version: `${version!.server_version}${found ? '' : ', embedded'}`,
    settings: await readSettings(query),
    query,
    async create(name, template) {
      const copy = template ? ` template ${template} strategy file_copy` : '';
      await query(`create database ${name}${copy}`);
      return databaseUrl(server.url, name);
    },
    drop: async (name) => void (await query(`drop database if exists ${name} with (force)`)),
    async tidy(name) {
      await inDatabase(databaseUrl(server.url, name), async (pool) => {
        await pool.query('vacuum (analyze)');
      });
    },
    checkpoint: async () => void (await query('checkpoint')),
    async stop() {
      await admin.end();
      await server.stop();
    },
  };
}

async function readSettings(query: Cluster['query']): Promise<Record<string, string>> {
  const rows = await query<{ name: string; value: string }>(
    'select name, current_setting(name) as value from pg_settings where name = any($1)',
    [NAMED_SETTINGS],
  );
  return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
}

/** Lends a small pool on a database. */
export async function inDatabase<T>(url: string, work: (pool: pg.Pool) => Promise<T>): Promise<T> {
  const pool = openPool(url, { max: 2, name: 'bench' });
  try {
    return await work(pool);
  } finally {
    await pool.end();
  }
}
