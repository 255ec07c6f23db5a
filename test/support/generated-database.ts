import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { migrate } from '../../src/store/migrate.ts';
import { databaseUrl } from './database-names.ts';
import { findPostgres } from './postgres-service.ts';

/** Lends a fresh migrated database to what writes a file of the repository, and says where it was. */
export async function withMigratedDatabase(
  work: (url: string, client: pg.Client) => Promise<void>,
): Promise<void> {
  const server = await findPostgres();
  const name = `vcc_generate_${randomBytes(4).toString('hex')}`;
  const url = databaseUrl(server.url, name);
  const admin = new pg.Client({ connectionString: server.url });
  try {
    await admin.connect();
    await admin.query(`create database ${name} template template0`);
    await migrate(url);
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await work(url, client).finally(() => client.end());
    console.log(`written from Postgres at ${server.origin}`);
  } finally {
    await admin.query(`drop database if exists ${name} with (force)`).catch(() => {});
    await admin.end();
    await server.stop();
  }
}
