import type pg from 'pg';
import type { Settings } from '../config.ts';
import { SyncError } from '../core/errors.ts';
import type { MasterKey } from '../core/seal.ts';
import { openRequestPacer } from '../store/platform-state.ts';
import { type Database, openDatabase, openPool } from '../store/pool.ts';
import { openTokenStore } from '../store/session-tokens.ts';
import type { SessionToken, TokenStore } from '../sync/ports.ts';
import { createClient } from '../vcc/client.ts';
import { createTransport } from '../vcc/transport.ts';
import { clientSettings, SHARED_CLIENT_SETTINGS } from '../world.ts';
import { clockFinding } from './doctor-database.ts';
import { checkOrg } from './doctor-org.ts';
import { type Finding, failed, failedBy, ok, warning } from './finding.ts';

/** The interface code that the document's examples carry by a slip (P2). */
const SLIPPED_CODE = '1001';

/** Settings that concern the platform. */
export const PLATFORM_SETTINGS = SHARED_CLIENT_SETTINGS;

type PlatformSettings = Settings<(typeof PLATFORM_SETTINGS)[number]>;

/** An organisation that is asked about. */
export interface AskedOrg {
  readonly orgCode: string;
  readonly signal: AbortSignal;
}

/**
 * Checks that the platform can be reached and issues a session token, and what it serves of an
 * organisation.
 *
 * @param databaseUrl where a new token is shared, since it may end the one in use (P4); null: nowhere
 * @param about null: no organisation is asked about
 */
export async function* checkPlatform(
  settings: PlatformSettings,
  databaseUrl: string | null,
  about: AskedOrg | null,
): AsyncGenerator<Finding> {
  const reached = await reachPlatform(settings);
  yield* reached;
  if (reached.some(({ result }) => result === 'failed')) return;
  const pool =
    databaseUrl === null ? null : openPool(databaseUrl, { max: 2, name: 'vcc-sync doctor' });
  try {
    // Without our tables there is nothing to share by.
    const db = pool && (await hasTables(pool)) ? openDatabase(pool) : null;
    const tokens = tokenStore(db, settings.VCC_MASTER_KEY);
    const found = await checkToken(settings, tokens);
    yield* found;
    if (about === null || found.some(({ result }) => result === 'failed')) return;
    yield* checkAsked(settings, { db, tokens }, about);
  } finally {
    await pool?.end();
  }
}

/** What the checks share with the service. */
interface Shared {
  readonly db: Database | null;
  readonly tokens: TokenStore;
}

async function* checkAsked(
  settings: PlatformSettings,
  { db, tokens }: Shared,
  { orgCode, signal }: AskedOrg,
): AsyncGenerator<Finding> {
  const { VCC_APP_ID: appId, VCC_MAX_RPS: rate } = settings;
  let skew = 0;
  const client = createClient(clientSettings(settings), {
    tokens,
    pacer: db === null || rate === null ? null : openRequestPacer(db, appId, rate),
    clock: Date.now,
    log: () => {},
    onDate: (date) => {
      skew = date - Date.now();
    },
  });
  try {
    const areaCode = db && (await areaOf(db, orgCode));
    // The windows of P7 are by the platform's clock, which its first answer tells.
    await client.getToken(signal);
    yield* checkOrg(client, { orgCode, areaCode, now: Date.now() + skew }, signal);
  } finally {
    await client.close();
  }
}

async function areaOf(db: Database, orgCode: string): Promise<string | null> {
  const org = db.selectFrom('vcc.org').select('area_code').where('org_code', '=', orgCode);
  return (await org.executeTakeFirst())?.area_code ?? null;
}

async function reachPlatform(settings: PlatformSettings): Promise<Finding[]> {
  const check = 'platform';
  const { VCC_BASE_URL: baseUrl, VCC_CONNECT_TIMEOUT: connectTimeout } = settings;
  const { host, pathname, protocol } = new URL(baseUrl);
  const limit = Math.min(settings.VCC_IDLE_TIMEOUT, 30_000);
  const transport = createTransport({ baseUrl, connectTimeout, idleTimeout: limit });
  try {
    const sent = Date.now();
    const reply = await transport.send(
      { path: pathname, body: null },
      limit,
      new AbortController().signal,
    );
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
 * A token store that has a new token issued first, keeps to that one, and shares it with the service
 * through the database where it can: the platform may have ended the one before.
 */
function tokenStore(db: Database | null, masterKey: MasterKey | null): TokenStore {
  const shared = db && openTokenStore(db, { masterKey });
  let own: SessionToken | null = null;
  return {
    read: async () => own,
    async replace(appId, fingerprint, renew) {
      const fresh = () => renew(own);
      own = shared ? await shared.replace(appId, fingerprint, fresh) : await fresh();
      return own;
    },
  };
}

async function hasTables(pool: pg.Pool): Promise<boolean> {
  try {
    const { rows } = await pool.query<{ there: boolean }>(
      `select to_regclass('vcc.session_token') is not null as there`,
    );
    return rows[0]!.there;
  } catch {
    return false;
  }
}
