import { describe, it } from 'vitest';
import { shortTorture, TORTURE_LIMIT } from '../support/torture-suite.ts';
import { hasRedisServer } from '../torture/redis-server.ts';

// Skipped without a program: a Redis that is given could not be emptied and killed.
describe.skipIf(!hasRedisServer())('the service with its queue in Redis (redis-server)', () => {
  it(
    'loses nothing to half a minute of torture',
    () => shortTorture(3, 0.5, 'redis'),
    TORTURE_LIMIT,
  );
});
