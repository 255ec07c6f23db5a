import type { SettingName, Settings } from './config.ts';
import type { Clock } from './core/clock.ts';
import type { Logger } from './logger.ts';
import { openPlatformState, openRequestPacer } from './store/platform-state.ts';
import { openTokenStore } from './store/session-tokens.ts';
import { Store } from './store/store.ts';
import type { Progress, SyncWorld } from './sync/sync-window.ts';
import { createClient, type VccClient, type VccSettings } from './vcc/client.ts';

/** Database and platform, wired together: what every role and the foreground sync stand on. */
export interface World {
  readonly store: Store;
  readonly client: VccClient;
  readonly sync: SyncWorld;
  /** Cuts the platform's connections, then closes the database's; runs must have ended. */
  close(): Promise<void>;
}

/** What a world may be given besides its settings. */
export interface WorldOptions {
  readonly settings: Settings;
  readonly log: Logger;
  /** The time; by default this machine's. */
  readonly clock?: Clock;
  /** Told how downloads come along. */
  readonly onProgress?: (progress: Progress) => void;
}

/** Wires database and platform; nothing is connected before it is used. */
export function openWorld({ settings, log, clock = Date.now, onProgress }: WorldOptions): World {
  const store = new Store(settings.DATABASE_URL, {
    runs: settings.SYNC_CONCURRENCY,
    onError: (code) => log.warn({ code }, 'database connection lost'),
  });
  const appId = settings.VCC_APP_ID;
  const rate = settings.VCC_MAX_RPS;
  const platformState = openPlatformState(store.db, appId);
  const client = createClient(clientSettings(settings), {
    tokens: openTokenStore(store.db, renewalLimit(settings)),
    pacer: rate === null ? null : openRequestPacer(store.db, appId, rate),
    clock,
    log: (level, message, facts) => log[level](facts, message),
    // A clock that is off must be known before a table is ever answered. It is a hint: no need to wait.
    onDate: (date) => void platformState.noteClockSkew(date - clock()).catch(() => {}),
  });
  const sync: SyncWorld = {
    platform: client,
    platformState,
    feeds: store.feeds,
    clock,
    random: Math.random,
    log,
    settings: syncSettings(settings),
    ...(onProgress ? { onProgress } : {}),
  };
  return {
    store,
    client,
    sync,
    async close() {
      await client.close();
      await store.close();
    },
  };
}

/** How long a renewal of the token may take, with room for a slot under `VCC_MAX_RPS`; milliseconds. */
function renewalLimit({ VCC_IDLE_TIMEOUT: idle, VCC_TOTAL_TIMEOUT: total }: Settings): number {
  return Math.min(idle, total) + 30_000;
}

/** Settings that the platform's client is made from. */
export const CLIENT_SETTINGS = [
  'VCC_BASE_URL',
  'VCC_APP_ID',
  'VCC_BASE_KEY',
  'VCC_SEQ_CODE',
  'VCC_SIGN_REQUESTS',
  'VCC_SIGN_SECRET',
  'VCC_RESPONSE_SIGN',
  'VCC_SUCCESS_CODES',
  'VCC_TOKEN_CODES',
  'VCC_CHARSET',
  'VCC_ALLOW_UNFRAMED',
  'VCC_CONNECT_TIMEOUT',
  'VCC_IDLE_TIMEOUT',
  'VCC_TOTAL_TIMEOUT',
  'VCC_MAX_BODY',
] as const satisfies readonly SettingName[];

/** The client's settings among all. */
export function clientSettings(settings: Settings<(typeof CLIENT_SETTINGS)[number]>): VccSettings {
  return {
    baseUrl: settings.VCC_BASE_URL,
    appId: settings.VCC_APP_ID,
    baseKey: settings.VCC_BASE_KEY,
    seqCode: settings.VCC_SEQ_CODE,
    signRequests: settings.VCC_SIGN_REQUESTS,
    signSecret: settings.VCC_SIGN_SECRET,
    responseSign: settings.VCC_RESPONSE_SIGN,
    successCodes: settings.VCC_SUCCESS_CODES,
    tokenCodes: settings.VCC_TOKEN_CODES,
    charset: settings.VCC_CHARSET,
    allowUnframed: settings.VCC_ALLOW_UNFRAMED,
    connectTimeout: settings.VCC_CONNECT_TIMEOUT,
    idleTimeout: settings.VCC_IDLE_TIMEOUT,
    totalTimeout: settings.VCC_TOTAL_TIMEOUT,
    maxBody: settings.VCC_MAX_BODY,
  };
}

function syncSettings(settings: Settings): SyncWorld['settings'] {
  return {
    overlap: settings.SYNC_OVERLAP,
    settle: settings.SYNC_SETTLE,
    maxWindow: settings.SYNC_MAX_WINDOW,
    every: settings.SYNC_EVERY,
    slice: settings.SYNC_SLICE,
    retryBase: settings.SYNC_RETRY_BASE,
    retryMax: settings.SYNC_RETRY_MAX,
    charset: settings.VCC_CHARSET,
    quotes: settings.VCC_TABLE_QUOTES,
    otherOrgs: settings.SYNC_OTHER_ORGS,
  };
}
