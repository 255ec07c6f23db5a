import { Redis } from 'ioredis';
import { dockerAnswers } from './docker-engine.ts';
import type { Service } from './postgres-service.ts';

const IMAGE = 'redis:7-alpine';
const LOCAL = 'redis://127.0.0.1:6379';

/** What the tests say that need a Redis where there is none. */
export const NO_REDIS =
  'no Redis: TEST_REDIS_URL is not set, 127.0.0.1:6379 does not answer, and no Docker engine does';

/**
 * Finds a Redis: `TEST_REDIS_URL`, else port 6379 of 127.0.0.1, else a container where a Docker engine
 * answers; undefined if there is none.
 *
 * @throws Error if `TEST_REDIS_URL` is set but does not answer
 */
export async function findRedis(): Promise<Service | undefined> {
  const given = process.env.TEST_REDIS_URL;
  if (given) {
    if (await answersPing(given)) return external(given, 'TEST_REDIS_URL');
    throw new Error('TEST_REDIS_URL is set, but no Redis answers there');
  }
  if (await answersPing(LOCAL)) return external(LOCAL, '127.0.0.1:6379');
  return containerRedis();
}

/** Opens a connection that fails at once instead of trying again. */
export function openRedis(url: string): Redis {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: 5_000,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  // The command that fails says it.
  redis.on('error', () => {});
  return redis;
}

/** All keys that begin with a prefix. */
export async function keysOf(redis: Redis, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of redis.scanStream({ match: `${prefix}*`, count: 1_000 })) {
    keys.push(...(page as string[]));
  }
  return keys;
}

/** Deletes all keys that begin with a prefix. */
export async function deleteKeys(redis: Redis, prefix: string): Promise<void> {
  const keys = await keysOf(redis, prefix);
  if (keys.length > 0) await redis.unlink(...keys);
}

function external(url: string, origin: string): Service {
  return { url, origin, stop: async () => {} };
}

async function answersPing(url: string): Promise<boolean> {
  const redis = openRedis(url);
  try {
    return (await redis.ping()) === 'PONG';
  } catch {
    return false;
  } finally {
    redis.disconnect();
  }
}

async function containerRedis(): Promise<Service | undefined> {
  if (!(await dockerAnswers())) return undefined;
  try {
    const { GenericContainer, Wait } = await import('testcontainers');
    const container = await new GenericContainer(IMAGE)
      .withExposedPorts(6379)
      .withWaitStrategy(Wait.forLogMessage(/Ready to accept connections/))
      .withStartupTimeout(60_000)
      .start();
    return {
      url: `redis://${container.getHost()}:${container.getMappedPort(6379)}`,
      origin: `a container of ${IMAGE}`,
      stop: async () => void (await container.stop()),
    };
  } catch (error) {
    console.warn(`tests: no container of ${IMAGE}: ${error}`);
    return undefined;
  }
}
