import { sql } from 'kysely';
import {
  type DATABASE_SETTINGS,
  readSettings,
  type SettingName,
  type Settings,
} from '../config.ts';
import { assertSchema } from '../store/migrate.ts';
import { type Database, openDatabase as databaseOf, openPool } from '../store/pool.ts';
import { databaseFailure, type ExitCode } from './failure.ts';
import { type Output, processOutput } from './output.ts';

/** What a command is given. */
export interface Surroundings<N extends SettingName> {
  readonly settings: Settings<N>;
  readonly out: Output;
  /**
   * Connects to the database; the connections are closed when the command ends.
   *
   * @throws CommandFailure that names host, port and database if it can not be reached
   * @throws FatalError SCHEMA_MISSING unless the schema is that of this release, or is not asked for
   */
  openDatabase(options?: { readonly schema: boolean }): Promise<Database>;
  /** Has something closed when the command ends, however it ends; the last one first. */
  defer(close: () => unknown): void;
}

/** What a command is given that only looks into the database, or writes there. */
export type DatabaseSurroundings = Surroundings<(typeof DATABASE_SETTINGS)[number]>;

/** Connections that a command may hold. */
const CONNECTIONS = 4;

/**
 * Makes a commander action of a command: reads its settings, runs it and closes what it opened.
 *
 * What it answers becomes the process's exit code; what it throws is reported by `main.ts`.
 *
 * @param names settings that it needs
 * @example program.command('runs').action(run(DATABASE_SETTINGS, async ({ openDatabase }) => { … }))
 */
export function run<N extends SettingName, A extends unknown[]>(
  names: readonly N[],
  command: (surroundings: Surroundings<N>, ...given: A) => Promise<ExitCode | undefined>,
): (...given: A) => Promise<void> {
  return async (...given) => {
    const settings = readSettings(process.env, names);
    const closers: (() => unknown)[] = [];
    const defer = (close: () => unknown) => void closers.push(close);
    const openDatabase = ({ schema } = { schema: true }) =>
      connect((settings as Partial<Settings>).DATABASE_URL, schema, defer);
    try {
      const code = await command({ settings, out: processOutput, openDatabase, defer }, ...given);
      if (code !== undefined) process.exitCode = code;
    } finally {
      for (const close of closers.reverse()) await close();
    }
  };
}

async function connect(
  databaseUrl: string | undefined,
  schema: boolean,
  defer: (close: () => unknown) => void,
): Promise<Database> {
  if (databaseUrl === undefined) throw new Error('the command did not ask for DATABASE_URL');
  const pool = openPool(databaseUrl, { max: CONNECTIONS, name: 'vcc-sync command' });
  defer(() => pool.end());
  const db = databaseOf(pool);
  await checkDatabase(db, databaseUrl, schema);
  return db;
}

/**
 * Checks that the database answers and, unless that does not matter, has the schema of this release.
 *
 * @throws CommandFailure that names host, port and database if it can not be reached
 * @throws FatalError SCHEMA_MISSING
 */
export async function checkDatabase(
  db: Database,
  databaseUrl: string,
  schema = true,
): Promise<void> {
  try {
    await sql`select 1`.execute(db);
  } catch (error) {
    throw databaseFailure(databaseUrl, error);
  }
  if (schema) await assertSchema(db);
}
