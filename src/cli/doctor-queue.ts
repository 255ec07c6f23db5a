import { Redis } from 'ioredis';
import type pg from 'pg';
import { QUEUE_SCHEMA } from '../store/migrate.ts';
import { openPool } from '../store/pool.ts';
import { type Finding, failed, failedBy, ok, warning } from './finding.ts';

const CHECK = 'queue';

/** How long a connection to Redis may take, in milliseconds. */
const CONNECT_LIMIT = 10_000;

/** Checks the Redis that carries the queue. */
export async function* checkRedis(redisUrl: string): AsyncGenerator<Finding> {
  const { hostname, port } = new URL(redisUrl);
  const place = `Redis at ${hostname}:${port || '6379'}`;
  const redis = new Redis(redisUrl, {
    lazyConnect: true,
    connectTimeout: CONNECT_LIMIT,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  let fault = 'no answer';
  redis.on('error', (error: Error & { code?: string }) => {
    fault = error.code ?? /^[A-Z]+/.exec(error.message)?.[0] ?? fault;
  });
  try {
    const facts = readInfo(await redis.info());
    yield versionFinding(place, facts.get('redis_version') ?? 'unknown');
    yield policyFinding(facts.get('maxmemory_policy'));
    yield persistenceFinding(facts.get('aof_enabled'));
  } catch (error) {
    const { message = '' } = error as Error;
    const why = /^(NOAUTH|WRONGPASS|NOPERM)/.exec(message)?.[0] ?? fault;
    yield failed(CHECK, `${place} can not be used (${why})`, 'check REDIS_URL and the server');
  } finally {
    redis.disconnect();
  }
}

function readInfo(text: string): ReadonlyMap<string, string> {
  const lines = text.split('\r\n').map((line) => line.split(':', 2) as [string, string]);
  return new Map(lines.filter(([, value]) => value !== undefined));
}

function versionFinding(place: string, version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > 6 || (major === 6 && minor >= 2)) return ok(CHECK, `${place} answers, ${version}`);
  return failed(CHECK, `${place} is version ${version}`, 'Redis 6.2 or newer is needed');
}

function policyFinding(policy: string | undefined): Finding {
  const check = 'queue memory';
  if (policy === 'noeviction') return ok(check, 'nothing is evicted');
  const advice = 'set maxmemory-policy noeviction, or jobs may vanish when memory is short';
  return warning(check, `maxmemory-policy is ${policy ?? 'not shown'}`, advice);
}

function persistenceFinding(aof: string | undefined): Finding {
  const check = 'queue persistence';
  if (aof === '1') return ok(check, 'append-only file');
  const advice = 'set appendonly yes; without it a restart loses ticks, never data';
  return warning(check, aof === '0' ? 'no append-only file' : 'not shown', advice);
}

/** Checks the queue's tables where no Redis is set. */
export async function checkPostgresQueue(databaseUrl: string): Promise<Finding> {
  let pool: pg.Pool | undefined;
  try {
    pool = openPool(databaseUrl, { max: 1, name: 'vcc-sync doctor' });
    const { rows } = await pool.query<{ tables: number }>(
      'select count(*) as tables from pg_tables where schemaname = $1',
      [QUEUE_SCHEMA],
    );
    if (rows[0]!.tables > 0) {
      return ok(CHECK, 'lives in Postgres: for small installations, since REDIS_URL is not set');
    }
    return failed(
      CHECK,
      `its schema ${QUEUE_SCHEMA} is missing in Postgres`,
      'run vcc-sync migrate',
    );
  } catch (error) {
    return failedBy(CHECK, error, 'the queue lives in Postgres: see the database');
  } finally {
    await pool?.end();
  }
}
