import { describe, it } from 'vitest';
import { shortTorture, TORTURE_LIMIT } from '../support/torture-suite.ts';

describe('the service with its queue in Postgres', () => {
  it(
    'loses nothing to twenty seconds of torture',
    () => shortTorture(4, 0.33, 'postgres'),
    TORTURE_LIMIT,
  );
});
