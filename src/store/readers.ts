import { sql } from 'kysely';
import type pg from 'pg';
import { type Database, openDatabase } from './pool.ts';

/** Roles for readers: names and numbers masked, and whole. */
export const READER_ROLES = ['vcc_reader', 'vcc_reader_full'] as const;

/** A role for readers. */
export type ReaderRole = (typeof READER_ROLES)[number];

/** What became of the roles. */
export interface ReaderRoles {
  /** Those that are missing, because we may not create them. */
  readonly missing: readonly ReaderRole[];
  /** Who we are to the database. */
  readonly user: string;
}

/** Advisory lock of those who grant: Postgres refuses two that do it to the same view at once. */
const GRANT_LOCK = 0x7666;

/** Another database's migration made the role at the same time: roles belong to the whole server. */
const MADE_MEANWHILE = ['42710', '23505'];

/**
 * Lets the readers' roles read schema `reporting`, and makes those that are missing where we may.
 *
 * Roles are made without log-in: grant them to those who report. What is granted already is left alone.
 */
export async function admitReaders(pool: pg.Pool): Promise<ReaderRoles> {
  const db = openDatabase(pool);
  const { user, may } = await readRights(db);
  if (may) for (const role of await missingRoles(db)) await createRole(db, role);
  await grantReading(db);
  return { missing: await missingRoles(db), user };
}

async function readRights(db: Database): Promise<{ user: string; may: boolean }> {
  const { rows } = await sql<{ user: string; may: boolean }>`
    select rolname as user, rolsuper or rolcreaterole as may
    from pg_roles where rolname = current_user`.execute(db);
  return rows[0]!;
}

async function missingRoles(db: Database): Promise<ReaderRole[]> {
  const { rows } = await sql<{ role: ReaderRole }>`
    select role from unnest(${[...READER_ROLES]}::text[]) with ordinality as wanted (role, place)
    where not exists (select from pg_roles where rolname = role) order by place`.execute(db);
  return rows.map(({ role }) => role);
}

async function createRole(db: Database, role: ReaderRole): Promise<void> {
  try {
    await sql`create role ${sql.id(role)} nologin`.execute(db);
  } catch (error) {
    if (!MADE_MEANWHILE.includes((error as pg.DatabaseError).code ?? '')) throw error;
  }
}

function grantReading(db: Database): Promise<void> {
  return db.transaction().execute(async (trx) => {
    await sql`select pg_advisory_xact_lock(${GRANT_LOCK})`.execute(trx);
    const { rows } = await sql<{ role: string }>`
      select rolname as role from pg_roles
      where rolname = any (${[...READER_ROLES]}) and (
        not has_schema_privilege(oid, 'reporting', 'usage')
        or exists (select from pg_class as view
          where view.relnamespace = 'reporting'::regnamespace and view.relkind = 'v'
            and not has_table_privilege(pg_roles.oid, view.oid, 'select')))`.execute(trx);
    for (const { role } of rows) {
      await sql`grant usage on schema reporting to ${sql.id(role)}`.execute(trx);
      await sql`grant select on all tables in schema reporting to ${sql.id(role)}`.execute(trx);
    }
  });
}
