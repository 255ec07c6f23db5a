import { expect, test } from 'vitest';
import { checkSettings } from '../../src/cli/doctor-settings.ts';
import { type MasterKey, readMasterKey, seal } from '../../src/core/seal.ts';

const VCC_MASTER_KEY = 'ab'.repeat(32);
const BASE_KEY = '0123456789abcdef0123456789abcdef';
const ENV = { DATABASE_URL: 'postgres://localhost/vcc', VCC_APP_ID: 'app', VCC_BASE_KEY: BASE_KEY };

/** Messages of what is not well. */
function complaints(env: Record<string, string>): string[] {
  const findings = checkSettings({ ...ENV, ...env });
  return findings.filter(({ result }) => result !== 'ok').map(({ message }) => message);
}

test('doctor says that the base key is plain where it could be sealed, and nothing once it is', () => {
  const key = readMasterKey(VCC_MASTER_KEY) as MasterKey;
  const VCC_BASE_KEY = seal(BASE_KEY, key, 'VCC_BASE_KEY', Buffer.alloc(12, 1));
  expect(complaints({})).toEqual([]);
  expect(complaints({ VCC_MASTER_KEY, VCC_BASE_KEY })).toEqual([]);
  expect(complaints({ VCC_MASTER_KEY })).toEqual([
    'VCC_BASE_KEY is given in plain, although there is a VCC_MASTER_KEY',
  ]);
});

test('doctor leaves the secret of notices alone, but says so where it does nothing', () => {
  expect(complaints({ PUSH_ENABLED: 'true' })).toEqual([]);
  expect(complaints({ PUSH_ENABLED: 'true', PUSH_SECRET: 'of ours' })).toEqual([]);
  expect(complaints({ PUSH_SECRET: 'of ours' })).toEqual([
    'PUSH_SECRET is set, but notices are turned off',
  ]);
});

test('doctor says what is wrong with a sealed secret', () => {
  const VCC_BASE_KEY = 'sealed:v1:AAAA';
  expect(complaints({ VCC_BASE_KEY })).toEqual([
    expect.stringContaining('VCC_BASE_KEY is sealed, but VCC_MASTER_KEY is not set'),
  ]);
  expect(complaints({ VCC_BASE_KEY, VCC_MASTER_KEY })).toEqual([
    expect.stringContaining('VCC_BASE_KEY is sealed, but cut or altered'),
  ]);
});
