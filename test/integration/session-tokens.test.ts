import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FatalError } from '../../src/core/errors.ts';
import { type MasterKey, readMasterKey } from '../../src/core/seal.ts';
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

describe('a session token under a master key', () => {
  const masterKey = readMasterKey('01'.repeat(32)) as MasterKey;
  const anotherKey = readMasterKey('02'.repeat(32)) as MasterKey;
  let shut: number;
  /** The store as processes with this master key see it. */
  const under = (key: MasterKey | null) =>
    openTokenStore(openDatabase(other), {
      masterKey: key,
      onShut: () => {
        shut += 1;
      },
    });
  beforeEach(() => {
    shut = 0;
  });

  async function stored(): Promise<string> {
    const { rows } = await database.pool.query<{ token: string }>(
      'select token from vcc.session_token',
    );
    expect(rows).toHaveLength(1);
    return rows[0]!.token;
  }

  it('is stored sealed, differently each time, and read by whoever has the key', async () => {
    await under(masterKey).replace('app', 'key', async () => token('first'));
    const before = await stored();
    expect(before).toMatch(/^sealed:v1:/);
    expect(await under(masterKey).read('app', 'key')).toEqual(token('first'));
    await under(masterKey).replace('app', 'key', async () => token('first'));
    expect(await stored()).not.toBe(before);
    expect(shut).toBe(0);
  });

  it.each([
    ['with another master key', anotherKey],
    ['without a master key', null],
  ])('counts as none for a process %s, which gets its own', async (_, key) => {
    await under(masterKey).replace('app', 'key', async () => token('first'));
    expect(await under(key).read('app', 'key')).toBeNull();
    expect(shut).toBe(1);
    const seen: (SessionToken | null)[] = [];
    await under(key).replace('app', 'key', async (found) => {
      seen.push(found);
      return token('second');
    });
    expect(seen).toEqual([null]);
    expect(await under(key).read('app', 'key')).toEqual(token('second'));
  });

  it('counts as none where it was altered, or stored for another app', async () => {
    await under(masterKey).replace('app', 'key', async () => token('first'));
    await database.pool.query(
      `insert into vcc.session_token (app_id, key_fingerprint, token, expires_at)
        select 'second app', key_fingerprint, token, expires_at from vcc.session_token`,
    );
    expect(await under(masterKey).read('second app', 'key')).toBeNull();
    await database.pool.query(`update vcc.session_token set token = token || 'AAAA'`);
    expect(await under(masterKey).read('app', 'key')).toBeNull();
  });

  it('is used where it was stored in plain before there was a key, and sealed when next replaced', async () => {
    await tokens.replace('app', 'key', async () => token('first'));
    const seen: (SessionToken | null)[] = [];
    await under(masterKey).replace('app', 'key', async (found) => {
      seen.push(found);
      return found!;
    });
    expect(seen).toEqual([token('first')]);
    expect(await stored()).toBe('first');
    await under(masterKey).replace('app', 'key', async () => token('second'));
    expect(await stored()).toMatch(/^sealed:v1:/);
  });
});

describe('a process that stops in the middle of a renewal', () => {
  it('is ended by Postgres, so that another gets its token', async () => {
    const stopped = openTokenStore(openDatabase(other), { limit: 200 });
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
    const lost = expect(gone).rejects.toMatchObject({ code: 'DATABASE_AWAY' });
    await begun;
    expect(await tokens.replace('app', 'key', async () => token('fresh'))).toEqual(token('fresh'));
    comeBack();
    await lost;
    expect(await tokens.read('app', 'key')).toEqual(token('fresh'));
  });
});
