import type pg from 'pg';
import type { Settings } from '../config.ts';
import { SyncError } from '../core/errors.ts';
import { openDatabase, openPool } from '../store/pool.ts';
import { openTokenStore } from '../store/session-tokens.ts';
import type { SessionToken, TokenStore } from '../sync/ports.ts';
import { createClient } from '../vcc/client.ts';
import { createTransport } from '../vcc/transport.ts';
import { CLIENT_SETTINGS, clientSettings } from '../world.ts';
import { clockFinding } from './doctor-database.ts';
import { type Finding, failed, failedBy, ok, warning } from './finding.ts';

/** The interface code that the document's examples carry by a slip (P2). */
const SLIPPED_CODE = '1001';

/** Settings that concern the platform. */
export const PLATFORM_SETTINGS = [...CLIENT_SETTINGS, 'VCC_ALLOW_HTTP'] as const;

type PlatformSettings = Settings<(typeof PLATFORM_SETTINGS)[number]>;

/**
 * Checks that the platform can be reached and issues a session token.
 *
 * @param databaseUrl where a new token is shared, since it may end the one in use (P4); null: nowhere
 */
export async function* checkPlatform(
  settings: PlatformSettings,
  databaseUrl: string | null,
): AsyncGenerator<Finding> {
  const reached = await reachPlatform(settings);
  yield* reached;
  if (reached.some(({ result }) => result === 'failed')) return;
  const pool =
    databaseUrl === null ? null : openPool(databaseUrl, { max: 1, name: 'vcc-sync doctor' });
  try {
    yield* await checkToken(settings, await tokenStore(pool));
  } finally {
    await pool?.end();
  }
}

async function reachPlatform(settings: PlatformSettings): Promise<Finding[]> {
  const check = 'platform';
  const { VCC_BASE_URL: baseUrl, VCC_CONNECT_TIMEOUT: connectTimeout } = settings;
  const { host, pathname, protocol } = new URL(baseUrl);
  const limit = Math.min(settings.VCC_IDLE_TIMEOUT, 30_000);
  const transport = createTransport({ baseUrl, connectTimeout, idleTimeout: limit });
  try {
    const sent = Date.now();
    const reply = await transport.get(pathname, limit, new AbortController().signal);
    const here = (sent + Date.now()) / 2;
    reply.body.destroy();
    reply.deadline.clear();
    const secured = protocol === 'https:' ? 'over TLS, certificate verified' : 'without TLS';
    const date = Date.parse(reply.header('date') ?? '');
    return [
      ok(check, `${host} answers ${secured}`),
      Number.isNaN(date)
        ? warning('clock of the platform', 'its answers carry no Date', "Postgres's clock is used")
        : clockFinding('clock of the platform', date - here),
    ];
  } catch (error) {
    return [failedBy(check, error, 'check VCC_BASE_URL, the network, firewalls and proxies')];
  } finally {
    await transport.close();
  }
}

async function checkToken(settings: PlatformSettings, tokens: TokenStore): Promise<Finding[]> {
  const check = 'session token';
  const refusal = await askForToken(settings, settings.VCC_SEQ_CODE, tokens);
  if (refusal === null) return [ok(check, 'getToken works with this VCC_APP_ID and VCC_BASE_KEY')];
  if (refusal.code !== 'CREDENTIALS' || settings.VCC_SEQ_CODE === SLIPPED_CODE) {
    return [failedBy(check, refusal)];
  }
  const second = await askForToken(settings, SLIPPED_CODE, tokens);
  if (second === null) {
    const message = `${refusal.message}; with VCC_SEQ_CODE=${SLIPPED_CODE} it works`;
    return [failed(check, message, `set VCC_SEQ_CODE=${SLIPPED_CODE}`)];
  }
  const message = `${refusal.message}; with VCC_SEQ_CODE=${SLIPPED_CODE} as well`;
  return [failed(check, message, 'check VCC_APP_ID, VCC_BASE_KEY and the clocks above')];
}

/** Null if the platform issued a token, else why not. */
async function askForToken(
  settings: PlatformSettings,
  seqCode: string | null,
  tokens: TokenStore,
): Promise<SyncError | null> {
  const client = createClient(
    { ...clientSettings(settings), seqCode },
    {
      tokens,
      pacer: null,
      clock: Date.now,
      log: () => {},
    },
  );
  try {
    await client.getToken(new AbortController().signal);
    return null;
  } catch (error) {
    if (error instanceof SyncError) return error;
    throw error;
  } finally {
    await client.close();
  }
}

/**
 * A token store that always has a new token issued, and shares it with the service through the
 * database where it can: the platform may have ended the one before.
 */
async function tokenStore(pool: pg.Pool | null): Promise<TokenStore> {
  const shared = pool && (await hasTokenTable(pool)) ? openTokenStore(openDatabase(pool)) : null;
  const fresh = (renew: (stored: SessionToken | null) => Promise<SessionToken>) => () =>
    renew(null);
  return {
    read: async () => null,
    replace: (appId, fingerprint, renew) =>
      shared ? shared.replace(appId, fingerprint, fresh(renew)) : renew(null),
  };
}

async function hasTokenTable(pool: pg.Pool): Promise<boolean> {
  try {
    const { rows } = await pool.query<{ there: boolean }>(
      `select to_regclass('vcc.session_token') is not null as there`,
    );
    return rows[0]!.there;
  } catch {
    return false;
  }
}
