import { z } from 'zod';
import {
  choice,
  duration,
  flag,
  list,
  listen,
  masterKey,
  networks,
  orgCodes,
  pause,
  rate,
  size,
  timer,
  url,
  users,
  whole,
} from './setting-forms.ts';

/** One setting: how it is read, its default, whether it is secret, and what it does. */
export interface Setting<S extends z.ZodType = z.ZodType> {
  readonly schema: S;
  /** Used when the variable is unset; without one the setting is required where it is used. */
  readonly default?: string;
  /** May also be given sealed, or as a file by `NAME_FILE`; its value is never shown. */
  readonly secret?: boolean;
  /** May be left unset, which means something of its own. */
  readonly optional?: boolean;
  readonly about: string;
}

const setting = <S extends z.ZodType>(definition: Setting<S>): Setting<S> => definition;

/** Every setting, by the variable's name, in the order of the README. */
export const SETTINGS = {
  DATABASE_URL: setting({
    schema: url('postgres:', 'postgresql:'),
    secret: true,
    about: 'Postgres 15 or newer, without a transaction-pooling proxy in between',
  }),
  REDIS_URL: setting({
    schema: url('redis:', 'rediss:'),
    secret: true,
    optional: true,
    about: 'Redis 6.2 or newer; unset: the queue lives in Postgres (demo and small installations)',
  }),
  VCC_BASE_URL: setting({
    schema: url('https:', 'http:'),
    default: 'https://api.towngasvcc.com/vcc-openapi',
    about: "the platform's base URL",
  }),
  VCC_APP_ID: setting({
    schema: z.string().regex(/^[\x21-\x7e]{1,64}$/, { error: 'expected an id without spaces' }),
    about: 'application id that the platform assigned',
  }),
  VCC_BASE_KEY: setting({
    schema: z.string().min(1),
    secret: true,
    about: 'base key (基础密钥) of that application, 32 letters and digits',
  }),
  VCC_SEQ_CODE: setting({
    schema: z.string().regex(/^\d{4}$/, { error: 'expected 4 digits' }),
    optional: true,
    about: "forces one interface code for all message numbers; unset: each interface's own",
  }),
  VCC_SIGN_REQUESTS: setting({
    schema: flag,
    default: 'false',
    about: 'sign every call, not getToken alone',
  }),
  VCC_SIGN_SECRET: setting({
    schema: choice('token', 'base'),
    default: 'token',
    about: 'secret of those signatures: the session token or the base key',
  }),
  VCC_RESPONSE_SIGN: setting({
    schema: choice('off', 'warn', 'require'),
    default: 'warn',
    about: "what to do with an answer's signature that does not agree",
  }),
  VCC_SUCCESS_CODES: setting({
    schema: list(/^\S+$/, 'codes, separated by commas'),
    default: '0',
    about: 'result codes that mean success',
  }),
  VCC_TOKEN_CODES: setting({
    schema: list(/^\S+$/, 'codes, separated by commas'),
    default: '20001,40058',
    about: 'result codes that mean a refused session token',
  }),
  VCC_TABLE_QUOTES: setting({
    schema: choice('none', 'rfc4180'),
    default: 'none',
    about: 'whether quotes in tables are plain characters or quote fields',
  }),
  VCC_CHARSET: setting({
    schema: choice('auto', 'utf-8', 'gb18030'),
    default: 'auto',
    about: 'charset of tables',
  }),
  VCC_ALLOW_UNFRAMED: setting({
    schema: flag,
    default: 'false',
    about: 'accept bodies with neither length nor chunks, which can be cut unseen',
  }),
  VCC_ALLOW_HTTP: setting({
    schema: flag,
    default: 'false',
    about: 'allow VCC_BASE_URL without TLS; loopback always may',
  }),
  VCC_MAX_RPS: setting({
    schema: rate,
    default: 'none',
    about: 'most requests a second, all processes together',
  }),
  VCC_CONNECT_TIMEOUT: setting({
    schema: timer,
    default: '10s',
    about: 'longest wait for a connection',
  }),
  VCC_IDLE_TIMEOUT: setting({
    schema: timer,
    default: '60s',
    about: 'longest silence within an answer',
  }),
  VCC_TOTAL_TIMEOUT: setting({
    schema: timer,
    default: '30m',
    about: 'longest download, loading included',
  }),
  VCC_MAX_BODY: setting({ schema: size, default: '4GiB', about: 'largest body, decoded' }),
  VCC_ORG_CODES: setting({
    schema: orgCodes,
    default: '',
    about: 'organisations to add at start; one that was disabled stays so',
  }),
  SYNC_EVERY: setting({
    schema: duration,
    default: '15m',
    about: 'interval between synchronisations of a feed',
  }),
  SYNC_TICK: setting({
    schema: timer,
    default: '10s',
    about: 'how often the planner looks for feeds that are due',
  }),
  SYNC_OVERLAP: setting({
    schema: pause(1, '30s or 2m'),
    default: '2m',
    about: "how far before its window's start a request reaches back",
  }),
  SYNC_SETTLE: setting({
    schema: pause(1, '30s or 2m'),
    default: '30s',
    about: 'how far behind now the newest window ends',
  }),
  SYNC_MAX_WINDOW: setting({
    schema: duration,
    default: '28d',
    about: 'longest window; with the overlap never more than 28 days',
  }),
  SYNC_CONCURRENCY: setting({
    schema: whole(1, 64),
    default: '4',
    about: 'feeds that one process loads at once; each holds a database connection',
  }),
  SYNC_SLICE: setting({
    schema: timer,
    default: '10m',
    about: 'how long a worker stays with one feed while others wait',
  }),
  SYNC_RETRY_BASE: setting({
    schema: duration,
    default: '5s',
    about: 'delay after the first failure of a feed; it doubles',
  }),
  SYNC_RETRY_MAX: setting({ schema: duration, default: '1h', about: 'longest such delay' }),
  SYNC_DEEP_EVERY: setting({
    schema: duration,
    default: '1d',
    about: 'how often the recent past of a feed is read again, to find what had been missed',
  }),
  SYNC_DEEP_SPAN: setting({
    schema: pause(28, '12h or 1d'),
    default: '1d',
    about: 'how much of it, back from the watermark; 0 turns it off',
  }),
  SYNC_OTHER_ORGS: setting({
    schema: choice('reject', 'accept'),
    default: 'reject',
    about: 'rows of another organisation: refuse, or store under their own',
  }),
  REJECT_RETENTION: setting({
    schema: duration,
    default: '30d',
    about: 'how long the text of a refused line is kept after it was last seen; the ledger stays',
  }),
  RUN_RETENTION: setting({
    schema: duration,
    default: '180d',
    about: 'how long runs and comparisons are kept; runs that changed nothing go after 2d',
  }),
  WEB_HOST: setting({
    schema: z.string().min(1),
    default: '127.0.0.1',
    about: 'address of the web role; without users only loopback is served',
  }),
  WEB_PORT: setting({ schema: whole(0, 65535), default: '8080', about: 'port of the web role' }),
  WEB_USERS: setting({
    schema: users,
    default: '',
    secret: true,
    about: 'who may log in: entries printed by vcc-sync user hash, with commas',
  }),
  WEB_PUBLIC: setting({
    schema: list(/^(healthz|readyz|metrics)$/, 'some of healthz, readyz, metrics'),
    default: 'healthz,readyz',
    about: 'which of healthz, readyz and metrics are served without log-in',
  }),
  WEB_TRUST_PROXY: setting({
    schema: networks,
    default: '',
    about: 'proxies whose X-Forwarded headers are believed, such as 10.0.0.0/8',
  }),
  PROBES_LISTEN: setting({
    schema: listen,
    default: 'none',
    about:
      'address and port, such as 0.0.0.0:9464, where a process of any role serves healthz, readyz and metrics alone, without log-in',
  }),
  PUSH_ENABLED: setting({
    schema: flag,
    default: 'false',
    about:
      "take the platform's notices of changes in the web role, at POST /hooks/vcc/7001 to 7005",
  }),
  PUSH_SECRET: setting({
    schema: z.string().min(1),
    secret: true,
    optional: true,
    about: 'what the platform signs those notices with; unset: the base key',
  }),
  VCC_MASTER_KEY: setting({
    schema: masterKey,
    secret: true,
    optional: true,
    about:
      'opens sealed secrets and seals the stored session token: 32 bytes as 64 hex digits or base64',
  }),
  LOG_LEVEL: setting({
    schema: choice('trace', 'debug', 'info', 'warn', 'error', 'silent'),
    default: 'info',
    about: 'least severe log line written',
  }),
} as const;

/** The name of a setting. */
export type SettingName = keyof typeof SETTINGS;
