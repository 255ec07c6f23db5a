import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { afterEach, describe, expect, inject, it } from 'vitest';
import type { DatasetName } from '../../src/core/dataset.ts';
import { describeError } from '../../src/core/errors.ts';
import { CATALOGUE, DATASETS } from '../../src/datasets/catalogue.ts';
import { assertSchema, migrate } from '../../src/store/migrate.ts';
import { openDatabase, openPool } from '../../src/store/pool.ts';
import { createDatabase, useDatabase } from '../support/database.ts';
import { databaseUrl } from '../support/database-names.ts';
import { dumpSchema, generateTypes, SCHEMA_FILE, TYPES_FILE } from '../support/schema-dump.ts';

const undo: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

/** An empty database and a pool on it, until the test ends. */
async function emptyDatabase(): Promise<{ url: string; pool: pg.Pool }> {
  const name = `${inject('runPrefix')}_${randomBytes(4).toString('hex')}`;
  const administer = async (statement: string) => {
    const admin = new pg.Client({ connectionString: inject('postgresUrl') });
    await admin.connect();
    await admin.query(statement).finally(() => admin.end());
  };
  await administer(`create database ${name} template template0`);
  undo.push(() => administer(`drop database if exists ${name} with (force)`));
  return withPool(databaseUrl(inject('postgresUrl'), name));
}

/** A migrated database that the test may spoil, and a pool on it. */
async function migratedDatabase(): Promise<{ url: string; pool: pg.Pool }> {
  const { url, drop } = await createDatabase();
  undo.push(drop);
  return withPool(url);
}

function withPool(url: string): { url: string; pool: pg.Pool } {
  const pool = openPool(url, { max: 2, name: 'vcc-sync test' });
  undo.push(() => pool.end());
  return { url, pool };
}

describe('migrate', () => {
  const database = useDatabase();

  it('brings an empty database to the schema of this release and says what it applied', async () => {
    const { url, pool } = await emptyDatabase();
    expect((await migrate(url)).applied).toContain('0001_tables');
    await expect(assertSchema(openDatabase(pool))).resolves.toBeUndefined();
  });

  it('is harmless twice', async () => {
    const before = await dumpSchema(database.pool);
    expect((await migrate(database.url)).applied).toEqual([]);
    expect(await dumpSchema(database.pool)).toBe(before);
  });

  it('is harmless four times at once on an empty database', async () => {
    const { url, pool } = await emptyDatabase();
    const applied = await Promise.all(Array.from({ length: 4 }, () => migrate(url)));
    const names = applied.flatMap((one) => one.applied);
    expect(names).toContain('0001_tables');
    expect(names).toHaveLength(new Set(names).size);
    await expect(assertSchema(openDatabase(pool))).resolves.toBeUndefined();
    expect(await dumpSchema(pool)).toBe(await dumpSchema(database.pool));
  });
});

describe('the check of the schema', () => {
  it('says that a database without the schema needs vcc-sync migrate', async () => {
    const { pool } = await emptyDatabase();
    const error = await assertSchema(openDatabase(pool)).catch((cause) => cause);
    expect(error).toMatchObject({
      code: 'SCHEMA_MISSING',
      message: 'the database has no schema vcc',
    });
    expect(describeError(error)).toContain('run vcc-sync migrate');
  });

  it('names the migrations that an older schema lacks', async () => {
    const { pool } = await migratedDatabase();
    await pool.query(`delete from vcc.migration where name = '0001_tables'`);
    await expect(assertSchema(openDatabase(pool))).rejects.toMatchObject({
      code: 'SCHEMA_MISSING',
      message: expect.stringMatching(/older than this release: .*0001_tables/),
    });
  });

  it('notices that the tables of the queue are missing', async () => {
    const { pool } = await migratedDatabase();
    await pool.query('drop schema bullmq cascade');
    await expect(assertSchema(openDatabase(pool))).rejects.toMatchObject({
      code: 'SCHEMA_MISSING',
      message: expect.stringContaining('queue is not applied'),
    });
  });

  it('names the migrations of a newer schema', async () => {
    const { pool } = await migratedDatabase();
    await pool.query(`insert into vcc.migration values ('9999_later', now()::text)`);
    await expect(assertSchema(openDatabase(pool))).rejects.toMatchObject({
      code: 'SCHEMA_MISSING',
      message: expect.stringMatching(/newer than this release.*9999_later/),
    });
  });
});

describe('the schema', () => {
  const database = useDatabase();

  it('equals test/fixtures/schema.sql (npm run generate rewrites it)', async () => {
    expect(await dumpSchema(database.pool)).toBe(await readFile(SCHEMA_FILE, 'utf8'));
  });

  it('is what src/store/database.ts was generated from (npm run generate rewrites it)', async () => {
    expect(await generateTypes(database.url)).toBe(await readFile(TYPES_FILE, 'utf8'));
  });

  it.each(DATASETS)(
    'holds the columns of $name in the order of the document, each with its comment',
    async (dataset) => {
      const { rows } = await database.pool.query<{ name: string; comment: string; type: string }>(
        `select attname as name, col_description(attrelid, attnum) as comment,
          format_type(atttypid, atttypmod) as type
        from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped
        order by attnum`,
        [`vcc.${dataset.table}`],
      );
      expect(rows.slice(0, dataset.columns.length)).toEqual(
        dataset.columns.map(({ name, header, comment }) => ({
          name,
          comment: `${header}: ${comment}`,
          type: 'text',
        })),
      );
      expect(rows.filter(({ comment }) => !comment)).toEqual([]);
      const { rows: tables } = await database.pool.query<{ comment: string }>(
        `select obj_description($1::regclass, 'pg_class') as comment`,
        [`vcc.${dataset.table}`],
      );
      expect(tables[0]!.comment.startsWith(`${dataset.title}: ${dataset.comment}`)).toBe(true);
    },
  );

  it('compares keys and references by bytes, and nothing of a data row but key and bookkeeping is required', async () => {
    // By which a reader asks for what belongs to a row: an index serves only its own collation.
    const references: Readonly<Record<DatasetName, string>> = {
      addresses: 'parent_address_code',
      supply_points: 'building_code',
      subscribers: 'address_code',
      meters: 'subscriber_code',
    };
    for (const { name, table, key } of Object.values(CATALOGUE)) {
      const { rows } = await database.pool.query<{
        name: string;
        collation: string;
        required: boolean;
      }>(
        `select a.attname as name, l.collname as collation, a.attnotnull as required
          from pg_attribute a left join pg_collation l on l.oid = a.attcollation
          where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped`,
        [`vcc.${table}`],
      );
      const bytewise = rows.filter(({ collation }) => collation === 'C').map(({ name }) => name);
      expect(bytewise.sort(), table).toEqual([key, 'org_code', references[name]].sort());
      const required = rows.filter((column) => column.required).map(({ name }) => name);
      expect(required.sort(), table).toEqual(
        [key, 'org_code', 'first_seen_at', 'changed_at', 'synced_through', 'run_id'].sort(),
      );
    }
  });
});
