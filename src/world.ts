import type { SettingName, Settings } from './config.ts';
import { MINUTE } from './core/china-time.ts';
import type { Clock } from './core/clock.ts';
import { limitRepeats, REPEAT_EVERY } from './core/repeats.ts';
import { openSlots, slotsForFailing } from './core/slots.ts';
import type { Logger } from './logger.ts';
import { openKeeping } from './store/keeping.ts';
import { openPlatformState, openRequestPacer } from './store/platform-state.ts';
import type { Database } from './store/pool.ts';
import { openTokenStore } from './store/session-tokens.ts';
import { STATEMENT_LIMIT, Store } from './store/store.ts';
import { openDatabaseGate } from './sync/database-gate.ts';
import type { KeepWorld } from './sync/keep.ts';
import type { Progress } from './sync/load.ts';
import { type DownloadObserver, observeDownloads, type RunObserver } from './sync/observer.ts';
import type { SyncWorld } from './sync/sync-window.ts';
import { createClient, type VccClient, type VccSettings } from './vcc/client.ts';

/** Database and platform, wired together: what every role and the foreground sync stand on. */
export interface World {
  readonly store: Store;
  readonly client: VccClient;
  readonly sync: SyncWorld;
  readonly keep: KeepWorld;
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
  /** Told of runs and downloads; for metrics. */
  readonly observer?: RunObserver & DownloadObserver;
}

/** Wires database and platform; nothing is connected before it is used. */
export function openWorld(options: WorldOptions): World {
  const { settings, log, clock = Date.now, onProgress, observer } = options;
  const maySay = limitRepeats(REPEAT_EVERY);
  const store = new Store(settings.DATABASE_URL, {
    runs: settings.SYNC_CONCURRENCY,
    // Whoever waits for another's renewal of the token waits in one statement.
    statement: Math.max(STATEMENT_LIMIT, renewalLimit(settings) + MINUTE),
    onCut: (connections) =>
      log.warn({ connections }, 'no answer from the database for a minute, connections given up'),
    onError: (code) => {
      if (maySay(code, Date.now())) log.warn({ code }, 'database connection lost');
    },
  });
  const platformState = openPlatformState(store.prepared, settings.VCC_APP_ID);
  const client = openClient(store.prepared, settings, {
    clock,
    log,
    // A clock that is off must be known before a table is ever answered. It is a hint: no need to wait.
    onDate: (date) => void platformState.noteClockSkew(date - clock()).catch(() => {}),
  });
  const sync: SyncWorld = {
    platform: observer ? observeDownloads(client, observer, clock) : client,
    platformState,
    databaseGate: openDatabaseGate(clock, log),
    failing: openSlots(slotsForFailing(settings.SYNC_CONCURRENCY)),
    feeds: store.feeds,
    clock,
    random: Math.random,
    log,
    settings: syncSettings(settings),
    ...(onProgress ? { onProgress } : {}),
    ...(observer ? { observer } : {}),
  };
  return {
    store,
    client,
    sync,
    keep: {
      keeping: openKeeping(store.db),
      settings: {
        runRetention: settings.RUN_RETENTION,
        rejectRetention: settings.REJECT_RETENTION,
      },
      log,
    },
    async close() {
      await client.close();
      await store.close();
    },
  };
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

/** Settings of a client that shares token and pace with the service. */
export const SHARED_CLIENT_SETTINGS = [
  ...CLIENT_SETTINGS,
  'VCC_ALLOW_HTTP',
  'VCC_MAX_RPS',
  'VCC_MASTER_KEY',
] as const satisfies readonly SettingName[];

/** What such a client needs of the world. */
export interface ClientSurroundings {
  readonly clock: Clock;
  readonly log: Logger;
  /** Told the platform's time (milliseconds) by every answer that names it. */
  readonly onDate?: (date: number) => void;
}

/** Connects to the platform with the session token and the pace that all processes share (P4). */
export function openClient(
  db: Database,
  settings: Settings<(typeof SHARED_CLIENT_SETTINGS)[number]>,
  { log, ...surroundings }: ClientSurroundings,
): VccClient {
  const { VCC_APP_ID: appId, VCC_MAX_RPS: rate, VCC_MASTER_KEY: masterKey } = settings;
  return createClient(clientSettings(settings), {
    tokens: openTokenStore(db, {
      limit: renewalLimit(settings),
      masterKey,
      onShut: () =>
        log.warn({}, 'stored session token is sealed with another VCC_MASTER_KEY; renewing it'),
    }),
    pacer: rate === null ? null : openRequestPacer(db, appId, rate),
    log: (level, message, facts) => log[level](facts, message),
    ...surroundings,
  });
}

/** How long a renewal of the token may take, with room for a slot under `VCC_MAX_RPS`; milliseconds. */
function renewalLimit({
  VCC_IDLE_TIMEOUT: idle,
  VCC_TOTAL_TIMEOUT: total,
}: Settings<'VCC_IDLE_TIMEOUT' | 'VCC_TOTAL_TIMEOUT'>): number {
  return Math.min(idle, total) + 30_000;
}

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
    deep: { every: settings.SYNC_DEEP_EVERY, span: settings.SYNC_DEEP_SPAN },
    charset: settings.VCC_CHARSET,
    quotes: settings.VCC_TABLE_QUOTES,
    otherOrgs: settings.SYNC_OTHER_ORGS,
  };
}
