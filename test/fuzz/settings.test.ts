import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect } from 'vitest';
import { checkSettings } from '../../src/cli/doctor-settings.ts';
import {
  DATABASE_SETTINGS,
  readSettings,
  SERVICE_SETTINGS,
  SETTINGS,
  type SettingName,
} from '../../src/config.ts';
import { FatalError } from '../../src/core/errors.ts';
import { bytesOf, fuzz, joined } from '../support/fuzz.ts';

const NAMES = Object.keys(SETTINGS) as SettingName[];
const SECRETS = NAMES.filter((name) => 'secret' in SETTINGS[name]);

/** What stands in every secret, right or wrong, and must never be seen. */
const MARK = 'hunter2';

/** The longest wait of a timer of Node's, in milliseconds. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** Texts that one setting or another takes, and texts that none should. */
const values = fc.oneof(
  fc.constantFrom(
    ...['true', 'false', 'none', 'auto', 'token', 'rfc4180', 'gb18030', 'info', '0', '5'],
  ),
  fc.constantFrom(
    ...['30s', '15m', '28d', '29d', '999999999d', '0ms', '4GiB', '999999GiB', '1e999'],
  ),
  fc.constantFrom(
    ...['1e-300', '-1', '0x10', ' ', '\n', '__proto__', 'constructor', '127.0.0.1', '::1'],
  ),
  fc.constantFrom(
    ...['http://localhost', 'https://a@b', 'http://[', 'https:', 'WJ0105,,A B', ',', '65536'],
  ),
  fc
    .tuple(fc.integer(), fc.constantFrom('ms', 's', 'm', 'h', 'd', 'KiB', ''))
    .map((parts) => parts.join('')),
  fc.string({ unit: 'binary', maxLength: 30 }),
);

const secrets = fc
  .tuple(
    fc.constantFrom(
      'postgres://u:',
      'mysql://u:',
      'redis://:',
      'redis:',
      '',
      '\0',
      'https://',
      '[',
    ),
    fc.string({ unit: 'binary', maxLength: 10 }),
  )
  .map(([start, end]) => `${start}${MARK}${end}@h`);

const folder = mkdtempSync(join(tmpdir(), 'vcc-fuzz-settings-'));
afterAll(() => rmSync(folder, { recursive: true }));
const secretFile = join(folder, 'secret');

const files = fc.oneof(
  fc.constantFrom(secretFile, secretFile, folder, join(folder, 'absent')),
  fc.string({ unit: 'binary', maxLength: 9 }).map((name) => `${folder}/absent/${name}`),
);

/** Variables: some of ours with any value, secrets with a mark in them, files for some. */
const environments = fc
  .tuple(
    fc.dictionary(fc.constantFrom(...NAMES), values, { maxKeys: 12 }),
    fc.dictionary(fc.constantFrom(...SECRETS), secrets),
    fc.dictionary(fc.constantFrom(...NAMES.map((name) => `${name}_FILE`)), files, { maxKeys: 2 }),
    fc.constantFrom<Record<string, string>>(
      {},
      { DATABASE_URL: `postgres://u:${MARK}@h/d`, VCC_APP_ID: 'a', VCC_BASE_KEY: MARK },
    ),
  )
  .map(([some, secret, fromFile, good]): Record<string, string> => {
    const plain = Object.fromEntries(
      Object.entries(some).filter(([name]) => !SECRETS.includes(name as SettingName)),
    );
    return { ...good, ...plain, ...secret, ...fromFile };
  });

const wanted = fc.oneof(
  fc.constant<readonly SettingName[]>(SERVICE_SETTINGS),
  fc.constant<readonly SettingName[]>(DATABASE_SETTINGS),
  fc.subarray(NAMES),
);

/** The settings, or the message that refuses them. */
function read(env: Record<string, string>, names: readonly SettingName[]) {
  try {
    return readSettings(env, names);
  } catch (error) {
    if (!(error instanceof FatalError)) throw error;
    expect(error.code).toBe('CONFIG');
    return error.message;
  }
}

describe('settings of any environment', () => {
  fuzz(
    'are values that can be used, or a list of faults that shows no secret',
    fc.property(environments, wanted, fc.uint8Array({ maxLength: 20 }), (env, names, bytes) => {
      writeFileSync(secretFile, Buffer.concat([Buffer.from(MARK), bytes]));
      const result = read(env, names);
      if (typeof result === 'string') {
        const [head, ...faults] = result.split('\n');
        const count = /^(one|\d+) settings? (is|are) wrong:$/.exec(head!)?.[1];
        expect(faults.length).toBe(count === 'one' ? 1 : Number(count));
        for (const fault of faults) expect(fault).toMatch(/^ {2}[A-Z_]+( |:)/);
        expect(result).not.toContain(MARK);
        return;
      }
      expect(Object.keys(result).sort()).toEqual([...names].sort());
      for (const [name, value] of Object.entries(result)) {
        if (typeof value === 'number') expect(Number.isFinite(value) && value >= 0).toBe(true);
        if (/TIMEOUT|TICK|SLICE/.test(name)) expect(value).toBeLessThanOrEqual(LONGEST_TIMER);
        if (/RETRY/.test(name))
          expect(Number.isNaN(new Date(Date.now() + Number(value)).getTime())).toBe(false);
        if (name === 'VCC_MAX_RPS' && value !== null)
          expect(1 / Number(value)).toBeLessThan(86_400);
      }
    }),
  );

  fuzz(
    'are examined by doctor without a crash or a secret',
    fc.property(environments, (env) => {
      const findings = checkSettings(env);
      expect(findings.length).toBeGreaterThan(0);
      expect(JSON.stringify(findings)).not.toContain(MARK);
    }),
  );

  fuzz(
    'in a file of any bytes are read, or passed over',
    fc.property(
      joined(
        fc.oneof(
          bytesOf(
            ...NAMES.map((name) => `FUZZ_${name}=`),
            '\n',
            '"',
            "'",
            '`',
            '#',
            '=',
            'export ',
            '\\',
            '\r\n',
            '\0',
          ),
          fc.uint8Array({ maxLength: 4 }),
        ),
        12,
      ),
      (bytes) => {
        const file = join(folder, 'env');
        writeFileSync(file, bytes);
        const before = new Set(Object.keys(process.env));
        process.loadEnvFile(file);
        for (const name of Object.keys(process.env))
          if (!before.has(name)) delete process.env[name];
      },
    ),
  );
});
