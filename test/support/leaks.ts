import pg from 'pg';
import { keyPrefix } from '../../src/queue/backend.ts';
import { databasesOf } from './database-names.ts';
import { deleteKeys, keysOf, openRedis } from './redis-service.ts';

/**
 * Drops the template and whatever databases and Redis keys of a run are left, and answers the names of
 * those that its tests should have removed themselves.
 */
export async function removeLeaks(
  postgresUrl: string,
  redisUrl: string | undefined,
  runPrefix: string,
  templateDatabase: string,
): Promise<string[]> {
  const databases = await dropDatabases(postgresUrl, runPrefix);
  const keys = redisUrl ? await dropKeys(redisUrl, runPrefix) : [];
  return [
    ...databases.filter((name) => name !== templateDatabase).map((name) => `database ${name}`),
    ...keys.map((key) => `Redis key ${key}`),
  ];
}

async function dropDatabases(url: string, runPrefix: string): Promise<string[]> {
  const admin = new pg.Client({ connectionString: url });
  await admin.connect();
  try {
    const names = await databasesOf(admin, runPrefix);
    for (const name of names) await admin.query(`drop database if exists "${name}" with (force)`);
    return names;
  } finally {
    await admin.end();
  }
}

async function dropKeys(url: string, runPrefix: string): Promise<string[]> {
  const redis = openRedis(url);
  try {
    const keys = await keysOf(redis, keyPrefix(runPrefix));
    await deleteKeys(redis, keyPrefix(runPrefix));
    return keys;
  } finally {
    redis.disconnect();
  }
}
