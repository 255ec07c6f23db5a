import { sql } from 'kysely';
import type { SessionToken, TokenStore } from '../sync/ports.ts';
import { guarded } from './database-error.ts';
import { exclusively } from './exclusive.ts';
import type { Database } from './pool.ts';
import { milliseconds, NOW, toTimestamp } from './time.ts';

/** First half of the advisory lock under which a token is renewed; the second is the app's hash. */
const TOKEN_LOCK = 0x7664;

async function read(
  db: Database,
  appId: string,
  fingerprint: string,
): Promise<SessionToken | null> {
  const stored = await db
    .selectFrom('vcc.session_token')
    .select((eb) => ['token', milliseconds(eb.ref('expires_at')).as('expiresAt')])
    .where('app_id', '=', appId)
    .where('key_fingerprint', '=', fingerprint)
    .executeTakeFirst();
  return stored ?? null;
}

async function write(
  db: Database,
  appId: string,
  fingerprint: string,
  { token, expiresAt }: SessionToken,
): Promise<void> {
  const row = { key_fingerprint: fingerprint, token, expires_at: toTimestamp(expiresAt) };
  await db
    .insertInto('vcc.session_token')
    .values({ app_id: appId, ...row })
    .onConflict((conflict) => conflict.column('app_id').doUpdateSet({ ...row, issued_at: NOW }))
    .execute();
}

/** Longest time that a renewal may take unless the caller knows better, in milliseconds. */
const RENEWAL_LIMIT = 90_000;

/**
 * The session token in Postgres, where all processes share it (P4).
 *
 * @param limit milliseconds after which a renewal that shows no life is ended for the others' sake
 */
export function openTokenStore(db: Database, limit = RENEWAL_LIMIT): TokenStore {
  return {
    read: (appId, fingerprint) => guarded(read(db, appId, fingerprint)),

    replace(appId, fingerprint, renew) {
      const lock = sql`pg_advisory_xact_lock(${TOKEN_LOCK}, hashtext(${appId}))`;
      const renewal = exclusively(db, lock, limit, async (locked) => {
        const stored = await read(locked, appId, fingerprint);
        const token = await renew(stored);
        if (token !== stored) await write(locked, appId, fingerprint, token);
        return token;
      });
      return guarded(renewal);
    },
  };
}
