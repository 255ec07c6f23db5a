import type pg from 'pg';
import type { SessionToken, TokenStore } from '../sync/ports.ts';
import { databaseError } from './database-error.ts';
import { toTimestamp } from './time.ts';

/** First half of the advisory lock under which a token is renewed; the second is the app's hash. */
const TOKEN_LOCK = 0x7664;

type Queryable = Pick<pg.Pool, 'query'>;

async function read(
  db: Queryable,
  appId: string,
  fingerprint: string,
): Promise<SessionToken | null> {
  const { rows } = await db.query<{ token: string; expires: number }>(
    `select token, (extract(epoch from expires_at) * 1000)::float8 as expires
      from vcc.session_token where app_id = $1 and key_fingerprint = $2`,
    [appId, fingerprint],
  );
  return rows[0] ? { token: rows[0].token, expiresAt: rows[0].expires } : null;
}

/** The session token in Postgres, where all processes share it (P4). */
export function openTokenStore(pool: pg.Pool): TokenStore {
  return {
    async read(appId, fingerprint) {
      try {
        return await read(pool, appId, fingerprint);
      } catch (error) {
        throw databaseError(error);
      }
    },

    async replace(appId, fingerprint, renew) {
      const client = await pool.connect().catch((error) => {
        throw databaseError(error);
      });
      try {
        await client.query('begin');
        await client.query('select pg_advisory_xact_lock($1, hashtext($2))', [TOKEN_LOCK, appId]);
        const stored = await read(client, appId, fingerprint);
        const token = await renew(stored);
        if (token !== stored) {
          await client.query(
            `insert into vcc.session_token (app_id, key_fingerprint, token, expires_at) values ($1, $2, $3, $4)
              on conflict (app_id) do update set key_fingerprint = excluded.key_fingerprint,
                token = excluded.token, expires_at = excluded.expires_at, issued_at = now()`,
            [appId, fingerprint, token.token, toTimestamp(token.expiresAt)],
          );
        }
        await client.query('commit');
        client.release();
        return token;
      } catch (error) {
        // Closing the connection takes transaction and lock with it, whatever state they are in.
        client.release(true);
        throw databaseError(error);
      }
    },
  };
}
