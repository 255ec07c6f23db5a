import { z } from 'zod';
import { DAY, SECOND } from './core/china-time.ts';
import { parseDuration, parseSize } from './core/duration.ts';

const duration = z.string().transform((text, context) => {
  const ms = parseDuration(text);
  if (ms !== null && ms > 0) return ms;
  context.addIssue('expected a duration such as 30s, 15m, 1h or 28d');
  return z.NEVER;
});

/** A duration that may be nothing at all; in whole seconds, the precision of windows, and at most a day. */
const pause = z.string().transform((text, context) => {
  const ms = text.trim() === '0' ? 0 : parseDuration(text);
  if (ms !== null && ms % SECOND === 0 && ms <= DAY) return ms;
  context.addIssue('expected 0 or whole seconds up to 1d, such as 30s or 2m');
  return z.NEVER;
});

const size = z.string().transform((text, context) => {
  const bytes = parseSize(text);
  if (bytes !== null && bytes > 0) return bytes;
  context.addIssue('expected a size such as 512MiB or 4GiB');
  return z.NEVER;
});

const flag = z
  .enum(['true', 'false'], { error: 'expected true or false' })
  .transform((text) => text === 'true');

function whole(min: number, max: number) {
  return z.string().transform((text, context) => {
    const number = Number(text);
    if (Number.isInteger(number) && number >= min && number <= max) return number;
    context.addIssue(`expected a whole number from ${min} to ${max}`);
    return z.NEVER;
  });
}

function choice<const T extends string>(...values: readonly T[]) {
  return z.enum(values, { error: `expected ${values.join(', ')}` });
}

function url(...protocols: string[]) {
  return z
    .string()
    .refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol), {
      error: `expected a URL that begins with ${protocols.map((one) => `${one}//`).join(' or ')}`,
    });
}

const list = (form: RegExp, what: string) =>
  z
    .string()
    .transform((text) => text.split(',').flatMap((part) => part.trim() || []))
    .refine((parts) => parts.every((part) => form.test(part)), { error: `expected ${what}` });

const rate = z.string().transform((text, context) => {
  if (text === 'none') return null;
  const number = Number(text);
  if (Number.isFinite(number) && number > 0) return number;
  context.addIssue('expected requests a second, such as 5 or 0.5, or none');
  return z.NEVER;
});

/** One setting: how it is read, its default, whether it is secret, and what it does. */
export interface Setting<S extends z.ZodType = z.ZodType> {
  readonly schema: S;
  /** Used when the variable is unset; without one the setting is required where it is used. */
  readonly default?: string;
  /** May also be given as a file by `NAME_FILE`; its value is never shown. */
  readonly secret?: boolean;
  /** May be left unset, which means something of its own. */
  readonly optional?: boolean;
  readonly about: string;
}

const setting = <S extends z.ZodType>(definition: Setting<S>): Setting<S> => definition;

/** A code of an organisation as the platform writes it. */
export const ORG_CODE = /^[A-Za-z0-9_-]{1,20}$/;

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
    schema: duration,
    default: '10s',
    about: 'longest wait for a connection',
  }),
  VCC_IDLE_TIMEOUT: setting({
    schema: duration,
    default: '60s',
    about: 'longest silence within an answer',
  }),
  VCC_TOTAL_TIMEOUT: setting({
    schema: duration,
    default: '30m',
    about: 'longest download, loading included',
  }),
  VCC_MAX_BODY: setting({ schema: size, default: '4GiB', about: 'largest body, decoded' }),
  VCC_ORG_CODES: setting({
    schema: list(ORG_CODE, 'codes of organisations, separated by commas'),
    default: '',
    about: 'organisations to add at start; one that was disabled stays so',
  }),
  SYNC_EVERY: setting({
    schema: duration,
    default: '15m',
    about: 'interval between synchronisations of a feed',
  }),
  SYNC_TICK: setting({
    schema: duration,
    default: '10s',
    about: 'how often the planner looks for feeds that are due',
  }),
  SYNC_OVERLAP: setting({
    schema: pause,
    default: '2m',
    about: "how far before its window's start a request reaches back",
  }),
  SYNC_SETTLE: setting({
    schema: pause,
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
    schema: duration,
    default: '10m',
    about: 'how long a worker stays with one feed while others wait',
  }),
  SYNC_RETRY_BASE: setting({
    schema: duration,
    default: '5s',
    about: 'delay after the first failure of a feed; it doubles',
  }),
  SYNC_RETRY_MAX: setting({ schema: duration, default: '1h', about: 'longest such delay' }),
  SYNC_OTHER_ORGS: setting({
    schema: choice('reject', 'accept'),
    default: 'reject',
    about: 'rows of another organisation: refuse, or store under their own',
  }),
  WEB_HOST: setting({
    schema: z.string().min(1),
    default: '127.0.0.1',
    about: 'address of the web role; without log-in only loopback is served',
  }),
  WEB_PORT: setting({ schema: whole(0, 65535), default: '8080', about: 'port of the web role' }),
  LOG_LEVEL: setting({
    schema: choice('trace', 'debug', 'info', 'warn', 'error', 'silent'),
    default: 'info',
    about: 'least severe log line written',
  }),
} as const;

/** The name of a setting. */
export type SettingName = keyof typeof SETTINGS;
