import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { isSealed, type MasterKey, NONCE_BYTES, openSealed, seal } from '../core/seal.ts';
import type { SessionToken, TokenStore } from '../sync/ports.ts';
import { guarded } from './database-error.ts';
import { exclusively } from './exclusive.ts';
import type { Database } from './pool.ts';
import { milliseconds, NOW, toTimestamp } from './time.ts';

/** First half of the advisory lock under which a token is renewed; the second is the app's hash. */
const TOKEN_LOCK = 0x7664;

/** What a token store is made of, besides its database. */
export interface TokenStoreOptions {
  /** Milliseconds after which a renewal that shows no life is ended for the others' sake. */
  readonly limit?: number;
  /** Seals what is stored; null: it is stored as it is. */
  readonly masterKey?: MasterKey | null;
  /** Told that a stored token was sealed with another master key, and is passed over. */
  readonly onShut?: () => void;
}

/** Longest time that a renewal may take unless the caller knows better, in milliseconds. */
const RENEWAL_LIMIT = 90_000;

/**
 * The session token in Postgres, where all processes share it (P4), sealed if there is a master key.
 *
 * A token that does not open counts as none; one that was stored before there was a master key is
 * used, and sealed when it is next replaced.
 */
export function openTokenStore(db: Database, options: TokenStoreOptions = {}): TokenStore {
  const { limit = RENEWAL_LIMIT, masterKey = null, onShut = () => {} } = options;

  const read = async (from: Database, appId: string, fingerprint: string) => {
    const stored = await select(from, appId, fingerprint);
    if (stored === null) return null;
    const token = unsealed(stored.token, appId, masterKey);
    if (token === null) onShut();
    return token === null ? null : { ...stored, token };
  };

  return {
    read: (appId, fingerprint) => guarded(read(db, appId, fingerprint)),

    replace(appId, fingerprint, renew) {
      const lock = sql`pg_advisory_xact_lock(${TOKEN_LOCK}, hashtext(${appId}))`;
      const renewal = exclusively(db, lock, limit, async (locked) => {
        const stored = await read(locked, appId, fingerprint);
        const token = await renew(stored);
        if (token !== stored) {
          const kept = { ...token, token: sealed(token.token, appId, masterKey) };
          await write(locked, appId, fingerprint, kept);
        }
        return token;
      });
      return guarded(renewal);
    },
  };
}

/** Bound to the app, so that no app's token can be put in another's place. */
const contextOf = (appId: string) => `session_token:${appId}`;

function sealed(token: string, appId: string, key: MasterKey | null): string {
  return key === null ? token : seal(token, key, contextOf(appId), randomBytes(NONCE_BYTES));
}

/** Null if it is sealed and does not open. */
function unsealed(stored: string, appId: string, key: MasterKey | null): string | null {
  if (!isSealed(stored)) return stored;
  if (key === null) return null;
  const opened = openSealed(stored, key, contextOf(appId));
  return 'secret' in opened ? opened.secret : null;
}

async function select(
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
