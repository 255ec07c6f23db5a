import { randomBytes } from 'node:crypto';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { databaseUrl, dropStaleDatabases } from './database-names.ts';
import { removeLeaks } from './leaks.ts';
import { findPostgres, type Service } from './postgres-service.ts';
import { findRedis, NO_REDIS } from './redis-service.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Where test databases are made. */
    postgresUrl: string;
    /** Name of the migrated database that test databases are cloned from. */
    templateDatabase: string;
    /** Begins the names of all databases and all Redis keys of this run. */
    runPrefix: string;
    /** Where queues are made; null if there is no Redis. */
    redisUrl: string | null;
    /** Where Redis came from, or why there is none. */
    redisReason: string;
  }
}

/** What all test files of a run share. */
interface Services {
  readonly postgres: Service;
  readonly redis: Service | undefined;
  readonly runPrefix: string;
  readonly templateDatabase: string;
}

// Each project of vitest loads this file anew; the process is what they share.
const SHARED = Symbol.for('vcc-sync.test-services');
const shared = process as { [SHARED]?: { services: Promise<Services>; users: number } };

/**
 * Vitest's global setup: finds or starts Postgres and Redis once a run, for all projects, and makes a
 * migrated template database; the teardown removes all of it, and fails the run if a test left something.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  shared[SHARED] ??= { services: startServices(), users: 0 };
  shared[SHARED].users += 1;
  const { postgres, redis, runPrefix, templateDatabase } = await shared[SHARED].services;
  project.provide('postgresUrl', postgres.url);
  project.provide('templateDatabase', templateDatabase);
  project.provide('runPrefix', runPrefix);
  project.provide('redisUrl', redis?.url ?? null);
  project.provide('redisReason', redis?.origin ?? NO_REDIS);
  return release;
}

async function release(): Promise<void> {
  const state = shared[SHARED];
  if (!state) return;
  state.users -= 1;
  if (state.users > 0) return;
  delete shared[SHARED];
  await stopServices(await state.services);
}

async function startServices(): Promise<Services> {
  const postgres = await findPostgres();
  const redis = await findRedis();
  console.log(`tests: Postgres: ${postgres.origin}; Redis: ${redis?.origin ?? NO_REDIS}`);
  const time = new Date().toISOString().replace(/\D/g, '').slice(0, 14);
  const runPrefix = `vcc_test_${time}_${randomBytes(3).toString('hex')}`;
  const templateDatabase = `${runPrefix}_template`;
  await makeTemplate(postgres.url, templateDatabase);
  return { postgres, redis, runPrefix, templateDatabase };
}

async function makeTemplate(url: string, name: string): Promise<void> {
  const { migrate } = await import('../../src/store/migrate.ts');
  const admin = new pg.Client({ connectionString: url });
  await admin.connect();
  try {
    await dropStaleDatabases(admin);
    await admin.query(`create database ${name}`);
    await migrate(databaseUrl(url, name));
    // A connection to the template would keep it from being cloned.
    await admin.query(`alter database ${name} with allow_connections false`);
  } finally {
    await admin.end();
  }
}

async function stopServices(services: Services): Promise<void> {
  const { postgres, redis, runPrefix, templateDatabase } = services;
  try {
    const leaks = await removeLeaks(postgres.url, redis?.url, runPrefix, templateDatabase);
    if (leaks.length === 0) return;
    // Vitest only prints what a teardown throws.
    process.exitCode = 1;
    throw new Error(`tests left behind: ${leaks.join(', ')}`);
  } finally {
    await redis?.stop();
    await postgres.stop();
  }
}
