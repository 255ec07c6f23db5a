import { describe, expect, it } from 'vitest';
import { lostConnections } from '../../src/store/fence.ts';

const LIMIT = 60_000;

describe('a connection in use', () => {
  it('is given up once Postgres has not answered for longer than a minute', () => {
    const held = { since: 0 };
    expect(lostConnections([held], 1_000, 1_000 + LIMIT, LIMIT)).toEqual([]);
    expect(lostConnections([held], 1_000, 1_001 + LIMIT, LIMIT)).toEqual([held]);
  });

  it('that was just taken is left its minute, however long it has been silent before', () => {
    const [old, fresh] = [{ since: 0 }, { since: LIMIT }];
    expect(lostConnections([old, fresh], 0, LIMIT + 1, LIMIT)).toEqual([old]);
    expect(lostConnections([old, fresh], 0, 2 * LIMIT + 1, LIMIT)).toEqual([old, fresh]);
  });
});
