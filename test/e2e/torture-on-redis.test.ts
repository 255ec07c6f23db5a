import { it } from 'vitest';
import { useRedis } from '../support/redis.ts';
import { shortTorture, TORTURE_LIMIT } from '../support/torture-suite.ts';

useRedis().describe('the service with its queue in Redis', () => {
  it(
    'loses nothing to half a minute of torture',
    () => shortTorture(3, 0.5, 'redis'),
    TORTURE_LIMIT,
  );
});
