import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { symlink, truncate } from 'node:fs/promises';
import pg from 'pg';
import { expect, inject } from 'vitest';
import { startEmbeddedPostgres } from '../../src/cli/embedded-postgres.ts';
import { migrate } from '../../src/store/migrate.ts';
import { forgetQueue } from './database.ts';
import { databaseUrl } from './database-names.ts';
import { eventually } from './eventually.ts';

/** A Postgres server of a test's own, with a migrated database, that can be made to refuse work. */
export interface OwnPostgres {
  /** The database as its superuser sees it, who keeps connections in reserve. */
  readonly url: string;
  /** The database as its owner sees it, an ordinary user. */
  readonly ownerUrl: string;
  /** Makes all sessions read-only, those that are open too; or lets them write again. */
  readOnly(on: boolean): Promise<void>;
  /** Takes the owner's connections away and every other one that there is; answers how to give them back. */
  takeConnections(): Promise<() => Promise<void>>;
  /** Leaves no disk space for tables to grow; answers how to free some. */
  fillDisk(tables: readonly string[]): Promise<() => Promise<void>>;
  /** Ends the server and deletes all of it. */
  drop(): Promise<void>;
}

/** Whether `fillDisk` works here: it needs a device that is always full, as Linux has it. */
export const CAN_FILL_DISK = existsSync('/dev/full');

/** Size at which Postgres begins the next file of a table, in bytes. */
const SEGMENT = 2 ** 30;

/** Starts it, with as few connections as a test can fill. */
export async function startOwnPostgres(): Promise<OwnPostgres> {
  const server = await startEmbeddedPostgres({
    // What a test has filled must not be emptied behind its back.
    settings: { max_connections: '40', autovacuum: 'off' },
  });
  const password = randomBytes(16).toString('hex');
  // The queue's keys in Redis bear it.
  const name = `${inject('runPrefix')}_${randomBytes(4).toString('hex')}`;
  const url = databaseUrl(server.url, name);
  const [ownerUrl, takerUrl] = ['owner', 'taker'].map(
    (username) => Object.assign(new URL(url), { username, password }).href,
  ) as [string, string];
  await administer(server.url, async (admin) => {
    for (const role of ['owner', 'taker']) {
      await admin.query(`create role ${role} login password '${password}'`);
    }
    await admin.query(`create database ${name} owner owner`);
  });
  await migrate(ownerUrl);
  return {
    url,
    ownerUrl,
    readOnly: (on) =>
      administer(url, async (admin) => {
        await admin.query(`alter system set default_transaction_read_only = ${on}`);
        await admin.query('select pg_reload_conf()');
      }),
    takeConnections: () => takeConnections(url, takerUrl),
    fillDisk: (tables) => administer(url, (admin) => fillDisk(admin, url, tables)),
    async drop() {
      await server.stop();
      await forgetQueue(name);
    },
  };
}

async function administer<T>(url: string, work: (admin: pg.Client) => Promise<T>): Promise<T> {
  const admin = new pg.Client({ connectionString: url });
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.end();
  }
}

async function takeConnections(url: string, takerUrl: string): Promise<() => Promise<void>> {
  // Kept to the end: its place would be the owner's else.
  const admin = new pg.Client({ connectionString: url });
  await admin.connect();
  // Kept out meanwhile: else the owner's reconnections and ours would race for every place.
  await admin.query('alter role owner connection limit 0');
  await admin.query(
    `select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = 'owner'`,
  );
  const taken: pg.Client[] = [];
  const take = async (): Promise<boolean> => {
    const client = new pg.Client({ connectionString: takerUrl });
    client.on('error', () => {});
    try {
      await client.connect();
      taken.push(client);
      return true;
    } catch {
      await client.end().catch(() => {});
      return false;
    }
  };
  // Nor must an idle one of the test's own end later, and leave a place to the owner.
  await eventually(async () => {
    const { rowCount } = await admin.query(
      `select from pg_stat_activity where backend_type = 'client backend'
        and usename <> 'taker' and pid <> pg_backend_pid()`,
    );
    expect(rowCount).toBe(0);
  });
  while (await take());
  await admin.query('alter role owner connection limit -1');
  return async () => void (await Promise.all([admin, ...taken].map((client) => client.end())));
}

/**
 * Every growth of these tables meets a device that is full, and the kernel's own ENOSPC. A disk of its own
 * that could be filled would have to be mounted, which takes root.
 *
 * A table is a chain of files of a gigabyte each. So its file is made that long, as a hole that takes no
 * space, and the next one is a link to the full device. Space is freed by telling Postgres of the hole.
 */
async function fillDisk(
  admin: pg.Client,
  url: string,
  tables: readonly string[],
): Promise<() => Promise<void>> {
  await admin.query('checkpoint');
  for (const table of tables) {
    const { rows } = await admin.query<{ file: string }>(
      `select current_setting('data_directory') || '/' || pg_relation_filepath($1) as file`,
      [table],
    );
    await truncate(rows[0]!.file, SEGMENT);
    await symlink('/dev/full', `${rows[0]!.file}.1`);
  }
  return () =>
    administer(url, async (later) => {
      for (const table of tables) await later.query(`vacuum (truncate false) ${table}`);
    });
}
