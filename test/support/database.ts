import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, inject } from 'vitest';
import { keyPrefix } from '../../src/queue/backend.ts';
import { openPool } from '../../src/store/pool.ts';
import { databaseUrl } from './database-names.ts';
import { deleteKeys, openRedis } from './redis-service.ts';

/** A database of a test file's own; `url` and `pool` can be read once `beforeAll` hooks run. */
export interface TestDatabase {
  readonly url: string;
  readonly pool: pg.Pool;
}

/**
 * Makes a migrated database, cloned from the run's template; `drop` also ends its connections and
 * deletes the keys of its queue in Redis.
 */
export async function createDatabase(): Promise<{ url: string; drop(): Promise<void> }> {
  const name = `${inject('runPrefix')}_${randomBytes(4).toString('hex')}`;
  const template = inject('templateDatabase');
  await clone(name, template);
  return {
    url: databaseUrl(inject('postgresUrl'), name),
    async drop() {
      await administer(`drop database if exists ${name} with (force)`);
      await forgetQueue(name);
    },
  };
}

/**
 * Gives a test file a migrated database of its own, from its first `beforeAll` to its last `afterAll`.
 *
 * @example
 * const database = useDatabase();
 * test('…', async () => void (await database.pool.query('select 1')));
 */
export function useDatabase(): TestDatabase {
  let database: Awaited<ReturnType<typeof createDatabase>> | undefined;
  let pool: pg.Pool | undefined;
  beforeAll(async () => {
    database = await createDatabase();
    pool = openPool(database.url, { max: 10, name: 'vcc-sync test' });
  });
  afterAll(async () => {
    await pool?.end();
    await database?.drop();
  });
  return {
    get url() {
      return started(database).url;
    },
    get pool() {
      return started(pool);
    },
  };
}

/** Deletes the keys that the queue of a database has in Redis. */
export async function forgetQueue(name: string): Promise<void> {
  const url = inject('redisUrl');
  if (!url) return;
  const redis = openRedis(url);
  try {
    await deleteKeys(redis, keyPrefix(name));
  } finally {
    redis.disconnect();
  }
}

const CLONE_LIMIT_MS = 30_000;
const SOURCE_BUSY = '55006';

/** Copies the template; tries again while another session copies or inspects it. */
async function clone(name: string, template: string): Promise<void> {
  const deadline = Date.now() + CLONE_LIMIT_MS;
  for (;;) {
    try {
      return await administer(`create database ${name} template ${template}`);
    } catch (error) {
      if ((error as pg.DatabaseError).code !== SOURCE_BUSY || Date.now() > deadline) throw error;
      await delay(50);
    }
  }
}

function started<T>(value: T | undefined): T {
  if (!value) throw new Error('the test database exists from beforeAll on');
  return value;
}

async function administer(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: inject('postgresUrl') });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
