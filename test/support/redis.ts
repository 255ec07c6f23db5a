import { describe, inject } from 'vitest';

/** Redis for a test file; the keys of its queues go with the databases that they belong to. */
export interface TestRedis {
  /** Where it listens; an address that never answers if there is none. */
  readonly url: string;
  /** `describe` where there is a Redis, else a skipped suite whose name says why. */
  readonly describe: (name: string, body: () => void) => void;
}

/**
 * Gives a test file the Redis that was found, if any.
 *
 * @example
 * const redis = useRedis();
 * redis.describe('the queue on Redis', () => { … openBackend({ redisUrl: redis.url, … }) });
 */
export function useRedis(): TestRedis {
  const url = inject('redisUrl');
  return {
    url: url ?? 'redis://redis.invalid',
    describe(name, body) {
      const title = url ? name : `${name} (skipped: ${inject('redisReason')})`;
      describe.skipIf(!url)(title, body);
    },
  };
}
