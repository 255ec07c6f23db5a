import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FatalError } from '../../src/core/errors.ts';
import { openDatabase, openPool } from '../../src/store/pool.ts';
import { openTokenStore } from '../../src/store/session-tokens.ts';
import type { SessionToken, TokenStore } from '../../src/sync/ports.ts';
import { useDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';

const EXPIRES = Date.UTC(2026, 9, 20, 6, 0, 0, 123);

const database = useDatabase();
let other: pg.Pool;
let tokens: TokenStore;
/** The same store as another process sees it. */
let elsewhere: TokenStore;

beforeAll(() => {
  other = openPool(database.url, { max: 10, name: 'vcc-sync other process' });
  tokens = openTokenStore(openDatabase(database.pool));
  elsewhere = openTokenStore(openDatabase(other));
});
afterAll(async () => {
  await other.end();
});
beforeEach(async () => {
  await database.pool.query('delete from vcc.session_token');
});

function token(name: string): SessionToken {
  return { token: name, expiresAt: EXPIRES };
}

/** Backends that wait for an advisory lock of this database. */
async function waiting(): Promise<number> {
  const { rows } = await database.pool.query<{ waiting: number }>(
    `select count(*) as waiting from pg_locks where locktype = 'advisory' and not granted
      and database = (select oid from pg_database where datname = current_database())`,
  );
  return rows[0]!.waiting;
}

describe('the shared session token', () => {
  it('is not there at first', async () => {
    expect(await tokens.read('app', 'key')).toBeNull();
  });

  it('is read by every process to the millisecond once one has stored it', async () => {
    expect(await tokens.replace('app', 'key', async () => token('first'))).toEqual(token('first'));
    expect(await elsewhere.read('app', 'key')).toEqual(token('first'));
  });

  it('is not given to who has another base key, and is replaced by theirs', async () => {
    await tokens.replace('app', 'key', async () => token('first'));
    expect(await elsewhere.read('app', 'another key')).toBeNull();
    const seen: (SessionToken | null)[] = [];
    await elsewhere.replace('app', 'another key', async (stored) => {
      seen.push(stored);
      return token('second');
    });
    expect(seen).toEqual([null]);
    expect(await tokens.read('app', 'key')).toBeNull();
    expect(await tokens.read('app', 'another key')).toEqual(token('second'));
  });

  it('is replaced by one process at a time, and the second one sees what the first has stored', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const events: string[] = [];
    const first = tokens.replace('app', 'key', async (stored) => {
      events.push(`first sees ${stored?.token}`);
      await held;
      events.push('first is done');
      return token('new');
    });
    await eventually(() => expect(events).toHaveLength(1));
    const second = elsewhere.replace('app', 'key', async (stored) => {
      events.push(`second sees ${stored?.token}`);
      return stored!;
    });
    await eventually(async () => expect(await waiting()).toBe(1));
    release();
    expect(await Promise.all([first, second])).toEqual([token('new'), token('new')]);
    expect(events).toEqual(['first sees undefined', 'first is done', 'second sees new']);
  });

  it('is renewed once when twenty callers in two processes find it gone', async () => {
    let renewals = 0;
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        (index % 2 ? tokens : elsewhere).replace('app', 'key', async (stored) => {
          if (stored) return stored;
          renewals += 1;
          return token('only');
        }),
      ),
    );
    expect(renewals).toBe(1);
    expect(results).toEqual(results.map(() => token('only')));
  });

  it('stays as it was when a renewal fails, and the next caller is not held up', async () => {
    await tokens.replace('app', 'key', async () => token('first'));
    const refused = new FatalError('CREDENTIALS', 'getToken was refused');
    await expect(
      tokens.replace('app', 'key', async () => {
        throw refused;
      }),
    ).rejects.toBe(refused);
    const seen = await elsewhere.replace('app', 'key', async (stored) => stored!);
    expect(seen).toEqual(token('first'));
  });

  it('is renewed for two apps at the same time', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const slow = tokens.replace('app', 'key', async () => {
      await held;
      return token('slow');
    });
    const quick = await elsewhere.replace('another', 'key', async () => token('quick'));
    expect(quick).toEqual(token('quick'));
    release();
    await slow;
  });
});

describe('a process that stops in the middle of a renewal', () => {
  it('is ended by Postgres, so that another gets its token', async () => {
    const stopped = openTokenStore(openDatabase(other), 200);
    let renewing = () => {};
    const begun = new Promise<void>((resolve) => {
      renewing = resolve;
    });
    let comeBack = () => {};
    const gone = stopped.replace('app', 'key', () => {
      renewing();
      return new Promise((resolve) => {
        comeBack = () => resolve(token('late'));
      });
    });
    const lost = expect(gone).rejects.toMatchObject({ code: 'DATABASE_BUSY' });
    await begun;
    expect(await tokens.replace('app', 'key', async () => token('fresh'))).toEqual(token('fresh'));
    comeBack();
    await lost;
    expect(await tokens.read('app', 'key')).toEqual(token('fresh'));
  });
});
