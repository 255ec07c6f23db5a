import {
  isPlain,
  readSettings,
  SERVICE_SETTINGS,
  SETTINGS,
  type SettingName,
  type Settings,
} from '../config.ts';
import { FatalError } from '../core/errors.ts';
import { type Finding, failed, ok, warning } from './finding.ts';

/** Variables as the process has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

const CHECK = 'settings';

/** Names in the environment that are plainly meant for us. */
const OURS = /^(VCC|SYNC|WEB|PUSH)_/;

/** Checks all settings together, and looks for slips that no schema shows. */
export function checkSettings(env: Environment): Finding[] {
  const findings = settingFaults(env).map((fault) =>
    failed(CHECK, fault, 'correct it in the environment; .env.example explains every setting'),
  );
  for (const name of unknownVariables(env)) {
    findings.push(
      warning(
        CHECK,
        `${name} is set, but there is no such setting`,
        'a typing slip? See .env.example',
      ),
    );
  }
  const key = settingsIfValid(env, ['VCC_BASE_KEY'])?.VCC_BASE_KEY;
  if (key !== undefined && !/^[A-Za-z0-9]{32}$/.test(key)) {
    findings.push(
      warning(
        CHECK,
        'VCC_BASE_KEY is not 32 letters and digits, as base keys are',
        'compare it with what the platform assigned: a space or a cut?',
      ),
    );
  }
  if (settingsIfValid(env, ['VCC_MASTER_KEY'])?.VCC_MASTER_KEY && isPlain(env, 'VCC_BASE_KEY')) {
    findings.push(
      warning(
        CHECK,
        'VCC_BASE_KEY is given in plain, although there is a VCC_MASTER_KEY',
        'vcc-sync secret seal makes the sealed form',
      ),
    );
  }
  const push = settingsIfValid(env, ['PUSH_ENABLED', 'PUSH_SECRET']);
  if (push?.PUSH_SECRET && !push.PUSH_ENABLED) {
    findings.push(
      warning(
        CHECK,
        'PUSH_SECRET is set, but notices are turned off',
        'set PUSH_ENABLED=true to take them, or leave the secret out',
      ),
    );
  }
  const wrong = findings.some(({ result }) => result === 'failed');
  return wrong ? findings : [ok(CHECK, 'complete and well formed'), ...findings];
}

/** The settings asked for, or null if one of them is wrong or missing. */
export function settingsIfValid<const N extends SettingName>(
  env: Environment,
  names: readonly N[],
): Settings<N> | null {
  try {
    return readSettings(env, names);
  } catch {
    return null;
  }
}

/** Variables that look like settings of ours and are none. */
export function unknownVariables(env: Environment): string[] {
  const known = new Set(
    Object.entries(SETTINGS).flatMap(([name, setting]) =>
      'secret' in setting ? [name, `${name}_FILE`] : [name],
    ),
  );
  return Object.keys(env)
    .filter((name) => OURS.test(name) && !known.has(name))
    .sort();
}

function settingFaults(env: Environment): string[] {
  try {
    readSettings(env, SERVICE_SETTINGS);
    return [];
  } catch (error) {
    if (!(error instanceof FatalError)) throw error;
    // One fault a line below the heading.
    const [, ...faults] = error.message.split('\n');
    return faults.map((fault) => fault.trim()).filter((fault) => fault !== '');
  }
}
