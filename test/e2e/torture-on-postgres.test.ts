import { describe, it } from 'vitest';
import { shortTorture, TORTURE_LIMIT } from '../support/torture-suite.ts';

describe('the service with its queue in Postgres', () => {
  // A seed that kills, ends and stops a process each: one that is down can not be stopped.
  it(
    'loses nothing to twenty seconds of torture',
    () => shortTorture(2, 0.33, 'postgres'),
    TORTURE_LIMIT,
  );
});
