import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import pg from 'pg';
import { migrate } from '../../src/store/migrate.ts';
import { databaseUrl } from './database-names.ts';
import { findPostgres } from './postgres-service.ts';
import { dumpSchema, generateTypes, SCHEMA_FILE, TYPES_FILE } from './schema-dump.ts';

// Rewrites what the repository keeps of the schema from a fresh database: run it after a new migration.
const server = await findPostgres();
const name = `vcc_generate_${randomBytes(4).toString('hex')}`;
const url = databaseUrl(server.url, name);
const admin = new pg.Client({ connectionString: server.url });
try {
  await admin.connect();
  await admin.query(`create database ${name} template template0`);
  await migrate(url);
  await writeFile(TYPES_FILE, await generateTypes(url));
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await writeFile(SCHEMA_FILE, await dumpSchema(client));
  await client.end();
  console.log(`written from Postgres at ${server.origin}`);
} finally {
  await admin.query(`drop database if exists ${name} with (force)`).catch(() => {});
  await admin.end();
  await server.stop();
}
