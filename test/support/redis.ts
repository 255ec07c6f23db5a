import { randomBytes } from 'node:crypto';
import { afterAll, describe, inject } from 'vitest';
import { deleteKeys, openRedis } from './redis-service.ts';

/** Redis for a test file. */
export interface TestRedis {
  /** False where no Redis was found; then suites of `describe` are skipped. */
  readonly available: boolean;
  /** Where it listens; an address that never answers if there is none. */
  readonly url: string;
  /** Begins all keys of this file (BullMQ's `prefix`). */
  readonly prefix: string;
  /** `describe` where there is a Redis, else a skipped suite whose name says why. */
  readonly describe: (name: string, body: () => void) => void;
}

/**
 * Gives a test file a Redis prefix of its own, and deletes the keys that begin with it afterwards.
 *
 * @example
 * const redis = useRedis();
 * redis.describe('the queue on Redis', () => { … new Queue('sync', { prefix: redis.prefix, … }) });
 */
export function useRedis(): TestRedis {
  const url = inject('redisUrl');
  const prefix = `${inject('runPrefix')}_${randomBytes(4).toString('hex')}`;
  afterAll(async () => {
    if (!url) return;
    const redis = openRedis(url);
    await deleteKeys(redis, prefix);
    redis.disconnect();
  });
  return {
    available: url !== null,
    url: url ?? 'redis://redis.invalid',
    prefix,
    describe(name, body) {
      const title = url ? name : `${name} (skipped: ${inject('redisReason')})`;
      describe.skipIf(!url)(title, body);
    },
  };
}
