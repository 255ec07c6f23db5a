import { readdir, readFile } from 'node:fs/promises';
import { runMigrations } from 'bullmq';
import {
  Kysely,
  type Migration,
  type MigrationProvider,
  Migrator,
  PostgresDialect,
  sql,
} from 'kysely';
import type pg from 'pg';
import { FatalError } from '../core/errors.ts';
import { fillCodeLists } from './code-lists.ts';
import { type Database, openDatabase, openPool } from './pool.ts';
import { admitReaders, type ReaderRoles } from './readers.ts';

// The same depth from src/store and dist/store.
const FOLDER = new URL('../../migrations/', import.meta.url);

/** Schema of the BullMQ tables, for queues that live in Postgres. */
export const QUEUE_SCHEMA = 'bullmq';

/** Names of all migrations that this release brings, oldest first. */
async function migrationNames(): Promise<string[]> {
  const files = await readdir(FOLDER);
  return files
    .filter((file) => file.endsWith('.sql'))
    .map((file) => file.slice(0, -'.sql'.length))
    .sort();
}

/** Hands plain SQL files to Kysely's migrator; forward only, so there is no `down`. */
const sqlFiles: MigrationProvider = {
  async getMigrations() {
    const migrations: Record<string, Migration> = {};
    for (const name of await migrationNames()) {
      const text = await readFile(new URL(`${name}.sql`, FOLDER), 'utf8');
      migrations[name] = {
        async up(db) {
          await sql.raw(text).execute(db);
        },
      };
    }
    return migrations;
  },
};

/** What `migrate` did. */
export interface Migrated {
  /** Names of the migrations that were applied now. */
  readonly applied: readonly string[];
  readonly readers: ReaderRoles;
}

/**
 * Brings the schema up to date, BullMQ's own tables, the code lists and the readers' roles included; twice
 * and at the same time is harmless.
 *
 * @throws the first failure; everything of that migration is rolled back
 */
export async function migrate(databaseUrl: string): Promise<Migrated> {
  const pool = openPool(databaseUrl, { max: 2, name: 'vcc-sync migrate' });
  try {
    const db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) });
    const migrator = new Migrator({
      db,
      provider: sqlFiles,
      migrationTableSchema: 'vcc',
      migrationTableName: 'migration',
      migrationLockTableName: 'migration_lock',
    });
    const { error, results } = await migrator.migrateToLatest();
    if (error) throw error;
    await migrateQueue(pool);
    await fillCodeLists(openDatabase(pool));
    const readers = await admitReaders(pool);
    return { applied: (results ?? []).map(({ migrationName }) => migrationName), readers };
  } finally {
    await pool.end();
  }
}

async function migrateQueue(pool: pg.Pool): Promise<void> {
  const client = await pool.connect();
  try {
    await runMigrations(client, QUEUE_SCHEMA);
  } finally {
    client.release();
  }
}

/**
 * Checks that the database has exactly the schema of this release.
 *
 * @throws FatalError `SCHEMA_MISSING` if it has none, an older or a newer one
 */
export async function assertSchema(db: Database): Promise<void> {
  const wanted = await migrationNames();
  const { rows } = await sql<{ known: string | null; queue: string | null }>`
    select to_regclass('vcc.migration')::text as known,
      to_regnamespace(${QUEUE_SCHEMA})::text as queue`.execute(db);
  if (!rows[0]?.known) throw new FatalError('SCHEMA_MISSING', 'the database has no schema vcc');
  const applied = await db.selectFrom('vcc.migration').select('name').orderBy('name').execute();
  const present = new Set(applied.map(({ name }) => name));
  const lacking = wanted.filter((name) => !present.has(name));
  if (lacking.length > 0 || !rows[0].queue) {
    throw new FatalError(
      'SCHEMA_MISSING',
      `the database's schema is older than this release: ${lacking.join(', ') || 'queue'} is not applied`,
    );
  }
  const newest = [...present].filter((name) => !wanted.includes(name));
  if (newest.length > 0) {
    throw new FatalError(
      'SCHEMA_MISSING',
      `the database's schema is newer than this release: ${newest.join(', ')} is not known to it`,
    );
  }
}
