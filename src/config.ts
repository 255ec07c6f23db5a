import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import { DAY, MINUTE } from './core/china-time.ts';
import { FatalError } from './core/errors.ts';
import { isLoopback } from './core/loopback.ts';
import { isSealed, type MasterKey, type Opened, openSealed } from './core/seal.ts';
import { SETTINGS, type Setting, type SettingName } from './settings.ts';

export { SETTINGS, type SettingName } from './settings.ts';

type Environment = Readonly<Record<string, string | undefined>>;

type Value<N extends SettingName> = z.output<(typeof SETTINGS)[N]['schema']>;

/** The optional settings, which are null when unset. */
type OptionalName = 'REDIS_URL' | 'VCC_SEQ_CODE' | 'PUSH_SECRET' | 'VCC_MASTER_KEY';

/** Settings as read and checked; durations in milliseconds, sizes in bytes. */
export type Settings<N extends SettingName = SettingName> = {
  readonly [K in N]: K extends OptionalName ? Value<K> | null : Value<K>;
};

/** What commands need that only look into the database. */
export const DATABASE_SETTINGS = [
  'DATABASE_URL',
  'SYNC_EVERY',
  'SYNC_SETTLE',
  'SYNC_OVERLAP',
  'SYNC_MAX_WINDOW',
  'LOG_LEVEL',
] as const satisfies readonly SettingName[];

/** What everything needs that talks to the platform or runs the service. */
export const SERVICE_SETTINGS = Object.keys(SETTINGS) as SettingName[];

/**
 * Reads and checks settings from the environment; the only place where it is read.
 *
 * @param names which ones are needed
 * @throws FatalError `CONFIG` that lists every fault at once; values of secrets are not shown
 */
export function readSettings<const N extends SettingName>(
  env: Environment,
  names: readonly N[],
): Settings<N> {
  // A set: a faulty master key is named by every setting that needs it, and said once.
  const found = new Set<string>();
  const values: Partial<Record<SettingName, unknown>> = {};
  for (const name of names) {
    const read = readOne(env, name);
    if ('fault' in read) found.add(read.fault);
    else values[name] = read.value;
  }
  const faults = [...found, ...crossFaults(values as Partial<Settings>)];
  if (faults.length > 0) {
    const count = faults.length === 1 ? 'one setting is' : `${faults.length} settings are`;
    throw new FatalError(
      'CONFIG',
      `${count} wrong:\n${faults.map((one) => `  ${one}`).join('\n')}`,
    );
  }
  return values as Settings<N>;
}

/** The one secret that can not be sealed, since it opens all others. */
const MASTER_KEY = 'VCC_MASTER_KEY' satisfies SettingName;

type Read = { readonly value: unknown } | { readonly fault: string };

function readOne(env: Environment, name: SettingName): Read {
  const { default: preset, secret, optional, about }: Setting = SETTINGS[name];
  const text = textOf(env, name, secret === true);
  if (typeof text === 'object') return text;
  if (text === undefined && preset === undefined) {
    return optional ? { value: null } : { fault: `${name} is missing: ${about}` };
  }
  if (secret && text !== undefined && isSealed(text.trim())) {
    return readSealed(env, name, text.trim());
  }
  return parse(name, text ?? preset, text !== undefined);
}

function parse(name: SettingName, text: string | undefined, given = true): Read {
  const { schema, secret }: Setting = SETTINGS[name];
  const result = schema.safeParse(text);
  if (result.success) return { value: result.data };
  const shown = secret || !given ? '' : ` is ${JSON.stringify(text)}`;
  return {
    fault: `${name}${shown}: ${result.error.issues.map(({ message }) => message).join('; ')}`,
  };
}

/** Opens a secret that is given sealed; its own name is its context, so it can stand for no other. */
function readSealed(env: Environment, name: SettingName, sealed: string): Read {
  if (name === MASTER_KEY) {
    return { fault: `${name} can not be sealed itself: keep it in a file that only we may read` };
  }
  const key = readOne(env, MASTER_KEY);
  // Its own fault is reported under its own name.
  if ('fault' in key) return { fault: key.fault };
  if (key.value === null) {
    return {
      fault: `${name} is sealed, but ${MASTER_KEY} is not set: give the master key it was sealed with`,
    };
  }
  const opened = openSealed(sealed, key.value as MasterKey, name);
  return 'secret' in opened
    ? parse(name, opened.secret)
    : {
        fault: `${name} is sealed, but ${SHUT[opened.fault]}; if it lasts, seal it anew: vcc-sync secret seal --for ${name}`,
      };
}

type SealFault = Extract<Opened, { fault: string }>['fault'];

const SHUT: Readonly<Record<SealFault, string>> = {
  version: 'in a form that this release does not know: expected sealed:v1:…',
  form: 'cut or altered: copy it again, whole',
  refused: `does not open: check that ${MASTER_KEY} is the one it was sealed with, that it was sealed for this setting, and that it is unaltered`,
};

/** Whether a secret is set, and set in plain. */
export function isPlain(env: Environment, name: SettingName): boolean {
  const text = textOf(env, name, true);
  return typeof text === 'string' && !isSealed(text.trim());
}

function textOf(
  env: Environment,
  name: string,
  secret: boolean,
): string | undefined | { fault: string } {
  const given = env[name] === '' ? undefined : env[name];
  const file = secret ? env[`${name}_FILE`] : undefined;
  if (!file) return given;
  if (given !== undefined) return { fault: `${name} and ${name}_FILE are both set: keep one` };
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { fault: `${name}_FILE: the file can not be read (${code})` };
  }
}

/** Faults that only show when settings are seen together. */
function crossFaults(values: Partial<Settings>): string[] {
  const faults: string[] = [];
  const { VCC_BASE_URL: base, VCC_ALLOW_HTTP: allowHttp } = values;
  if (base !== undefined && allowHttp === false && !isSafe(base)) {
    faults.push(
      'VCC_BASE_URL is without TLS: use https, or set VCC_ALLOW_HTTP=true on a trusted network',
    );
  }
  const { SYNC_EVERY: every, SYNC_MAX_WINDOW: window } = values;
  if (every !== undefined && every > 27 * DAY) {
    faults.push('SYNC_EVERY: a feed that sleeps longer than 27d loses what the platform forgets');
  }
  if (window !== undefined && (window > 28 * DAY || window < MINUTE)) {
    faults.push('SYNC_MAX_WINDOW: from 1m to the 28d that the platform serves at once');
  }
  const { SYNC_RETRY_BASE: first, SYNC_RETRY_MAX: longest } = values;
  if (first !== undefined && longest !== undefined && first > longest) {
    faults.push('SYNC_RETRY_BASE: it must not be longer than SYNC_RETRY_MAX');
  }
  const { WEB_HOST: host, WEB_USERS: users } = values;
  if (host !== undefined && users?.length === 0 && !isLoopback(host)) {
    faults.push(
      'WEB_HOST: without WEB_USERS only loopback (127.0.0.1, ::1 or localhost) is served',
    );
  }
  return faults;
}

function isSafe(base: string): boolean {
  const { protocol, hostname } = new URL(base);
  return protocol === 'https:' || isLoopback(hostname);
}
