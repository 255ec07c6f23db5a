import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import { DAY, MINUTE } from './core/china-time.ts';
import { FatalError } from './core/errors.ts';
import { isLoopback } from './core/loopback.ts';
import { SETTINGS, type Setting, type SettingName } from './settings.ts';

export { ORG_CODE, SETTINGS, type SettingName } from './settings.ts';

type Environment = Readonly<Record<string, string | undefined>>;

type Value<N extends SettingName> = z.output<(typeof SETTINGS)[N]['schema']>;

/** The optional settings, which are null when unset. */
type OptionalName = 'REDIS_URL' | 'VCC_SEQ_CODE';

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
  const faults: string[] = [];
  const values: Partial<Record<SettingName, unknown>> = {};
  for (const name of names) {
    const read = readOne(env, name);
    if ('fault' in read) faults.push(read.fault);
    else values[name] = read.value;
  }
  faults.push(...crossFaults(values as Partial<Settings>));
  if (faults.length > 0) {
    const count = faults.length === 1 ? 'one setting is' : `${faults.length} settings are`;
    throw new FatalError(
      'CONFIG',
      `${count} wrong:\n${faults.map((one) => `  ${one}`).join('\n')}`,
    );
  }
  return values as Settings<N>;
}

type Read = { readonly value: unknown } | { readonly fault: string };

function readOne(env: Environment, name: SettingName): Read {
  const { schema, default: preset, secret, optional, about }: Setting = SETTINGS[name];
  const text = textOf(env, name, secret === true);
  if (typeof text === 'object') return text;
  if (text === undefined && preset === undefined) {
    return optional ? { value: null } : { fault: `${name} is missing: ${about}` };
  }
  const result = schema.safeParse(text ?? preset);
  if (result.success) return { value: result.data };
  const shown = secret || text === undefined ? '' : ` is ${JSON.stringify(text)}`;
  return {
    fault: `${name}${shown}: ${result.error.issues.map(({ message }) => message).join('; ')}`,
  };
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
  const { WEB_HOST: host } = values;
  if (host !== undefined && !isLoopback(host)) {
    faults.push('WEB_HOST: without log-in only loopback (127.0.0.1, ::1 or localhost) is served');
  }
  return faults;
}

function isSafe(base: string): boolean {
  const { protocol, hostname } = new URL(base);
  return protocol === 'https:' || isLoopback(hostname);
}
