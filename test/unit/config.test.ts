import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  DATABASE_SETTINGS,
  readSettings,
  SERVICE_SETTINGS,
  SETTINGS,
  type SettingName,
} from '../../src/config.ts';
import { FatalError } from '../../src/core/errors.ts';
import { isLoopback } from '../../src/core/loopback.ts';
import { type MasterKey, readMasterKey, seal } from '../../src/core/seal.ts';

const folder = mkdtempSync(join(tmpdir(), 'vcc-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const GOOD = {
  DATABASE_URL: 'postgres://user:secret-pw@localhost/vcc',
  VCC_APP_ID: 'vccdemo01',
  VCC_BASE_KEY: '0123456789abcdef0123456789abcdef',
};
const read = (env: Record<string, string | undefined> = {}) =>
  readSettings({ ...GOOD, ...env }, SERVICE_SETTINGS);

/** The message with which settings are refused. */
function refusal(env: Record<string, string | undefined>): string {
  try {
    read(env);
  } catch (error) {
    expect(error).toBeInstanceOf(FatalError);
    expect(error).toMatchObject({ code: 'CONFIG' });
    return (error as FatalError).message;
  }
  throw new Error('the settings were accepted');
}

describe('settings', () => {
  it('need only the database, the app and its key; every default is valid', () => {
    expect(read()).toMatchObject({
      REDIS_URL: null,
      VCC_BASE_URL: 'https://api.towngasvcc.com/vcc-openapi',
      VCC_SEQ_CODE: null,
      VCC_SIGN_REQUESTS: false,
      VCC_SIGN_SECRET: 'token',
      VCC_RESPONSE_SIGN: 'warn',
      VCC_SUCCESS_CODES: ['0'],
      VCC_TOKEN_CODES: ['20001', '40058'],
      VCC_TABLE_QUOTES: 'none',
      VCC_CHARSET: 'auto',
      VCC_ALLOW_UNFRAMED: false,
      VCC_ALLOW_HTTP: false,
      VCC_MAX_RPS: null,
      VCC_CONNECT_TIMEOUT: 10_000,
      VCC_IDLE_TIMEOUT: 60_000,
      VCC_TOTAL_TIMEOUT: 1_800_000,
      VCC_MAX_BODY: 4 * 1024 ** 3,
      VCC_ORG_CODES: [],
      SYNC_EVERY: 900_000,
      SYNC_TICK: 10_000,
      SYNC_OVERLAP: 120_000,
      SYNC_SETTLE: 30_000,
      SYNC_MAX_WINDOW: 28 * 86_400_000,
      SYNC_CONCURRENCY: 4,
      SYNC_SLICE: 600_000,
      SYNC_RETRY_BASE: 5_000,
      SYNC_RETRY_MAX: 3_600_000,
      SYNC_OTHER_ORGS: 'reject',
      WEB_HOST: '127.0.0.1',
      WEB_PORT: 8080,
      PROBES_LISTEN: null,
      VCC_MASTER_KEY: null,
      LOG_LEVEL: 'info',
    });
  });

  it('read address and port to listen on', () => {
    const listen = (PROBES_LISTEN: string) => read({ PROBES_LISTEN }).PROBES_LISTEN;
    expect(listen('0.0.0.0:9464')).toEqual({ host: '0.0.0.0', port: 9464 });
    expect(listen('[::1]:0')).toEqual({ host: '::1', port: 0 });
    expect(listen('localhost:65535')).toEqual({ host: 'localhost', port: 65_535 });
    for (const wrong of ['9464', ':9464', '0.0.0.0:', '::1:9464', 'a:65536', 'a/b:1', '[]:1']) {
      expect(refusal({ PROBES_LISTEN: wrong })).toMatch(/expected address and port, such as/);
    }
  });

  it.each(Object.entries(SETTINGS))('%s says what it does', (_, { about }) => {
    expect(about.length).toBeGreaterThan(10);
  });

  it('read nothing but what is asked for', () => {
    const some = readSettings(
      { DATABASE_URL: GOOD.DATABASE_URL, WEB_PORT: 'x' },
      DATABASE_SETTINGS,
    );
    expect(Object.keys(some).sort()).toEqual([...DATABASE_SETTINGS].sort());
  });

  it('take an empty variable for an unset one', () => {
    expect(read({ SYNC_EVERY: '', REDIS_URL: '' })).toMatchObject({
      SYNC_EVERY: 900_000,
      REDIS_URL: null,
    });
  });

  it('read lists, rates and pauses', () => {
    const env = { VCC_ORG_CODES: ' WJ0105, WJ0106 ,', VCC_MAX_RPS: '0.5', SYNC_SETTLE: '0' };
    expect(read(env)).toMatchObject({
      VCC_ORG_CODES: ['WJ0105', 'WJ0106'],
      VCC_MAX_RPS: 0.5,
      SYNC_SETTLE: 0,
    });
  });
});

describe('faults in settings', () => {
  it('name proxies by address or network, and nothing that is neither', () => {
    const proxies = ['10.0.0.0/8', '127.0.0.1', '::1', 'fd00::/8', '::ffff:10.0.0.1'];
    expect(read({ WEB_TRUST_PROXY: proxies.join(', ') }).WEB_TRUST_PROXY).toEqual(proxies);
    const wrong = ['10.0.0.0/99', '::::', '10.0.0', '10.0.0.0/0', '::/129', '10.0.0.0/', '/8', 'a'];
    for (const WEB_TRUST_PROXY of [...wrong, '10.0.0.0/8/8', '10.0.0.1,::::', 'fe80::1/x']) {
      expect(refusal({ WEB_TRUST_PROXY })).toMatch(/^ {2}WEB_TRUST_PROXY is .*: expected addr/m);
    }
  });

  it('are reported all together, with name, value and what was expected', () => {
    const message = refusal({
      VCC_APP_ID: undefined,
      SYNC_EVERY: 'often',
      WEB_PORT: '99999',
      VCC_CHARSET: 'big5',
      SYNC_MAX_WINDOW: '29d',
    });
    expect(message).toContain('5 settings are wrong');
    expect(message).toContain('VCC_APP_ID is missing: application id');
    expect(message).toContain('SYNC_EVERY is "often": expected a duration');
    expect(message).toContain('WEB_PORT is "99999": expected a whole number from 0 to 65535');
    expect(message).toContain('VCC_CHARSET is "big5": expected auto, utf-8, gb18030');
    expect(message).toContain('SYNC_MAX_WINDOW: from 1m to the 28d that the platform serves');
  });

  it('are counted as one where there is one', () => {
    expect(refusal({ LOG_LEVEL: 'loud' })).toMatch(
      /^one setting is wrong:\n {2}LOG_LEVEL is "loud"/,
    );
  });

  it.each([
    ['VCC_SIGN_REQUESTS', 'yes'],
    ['VCC_SEQ_CODE', '101'],
    ['VCC_MAX_RPS', '0'],
    ['VCC_MAX_RPS', '1e-300'],
    ['VCC_TOTAL_TIMEOUT', '30d'],
    ['VCC_IDLE_TIMEOUT', '25h'],
    ['SYNC_TICK', '999999999d'],
    ['SYNC_RETRY_MAX', '999999999d'],
    ['VCC_MAX_BODY', '4GB'],
    ['VCC_MAX_BODY', '0B'],
    ['VCC_ORG_CODES', 'WJ0105;WJ0106'],
    ['VCC_ORG_CODES', 'A'.repeat(21)],
    ['SYNC_TICK', '0s'],
    ['SYNC_OVERLAP', '27d'],
    ['SYNC_OVERLAP', '-1m'],
    ['SYNC_OVERLAP', '500ms'],
    ['SYNC_SETTLE', '2d'],
    ['SYNC_CONCURRENCY', '0'],
    ['SYNC_CONCURRENCY', '1.5'],
    ['SYNC_RETRY_BASE', '2h'],
    ['SYNC_OTHER_ORGS', 'maybe'],
    ['WEB_HOST', '0.0.0.0'],
    ['VCC_BASE_URL', 'ftp://example.com'],
    ['VCC_BASE_URL', 'api.towngasvcc.com'],
  ])('%s=%s is one', (name, value) => {
    expect(refusal({ [name]: value })).toMatch(
      new RegExp(`^one setting is wrong:\n {2}${name}\\b`),
    );
  });

  it('come without the values of secrets', () => {
    const secrets = (Object.keys(SETTINGS) as SettingName[]).filter(
      (name) => 'secret' in SETTINGS[name],
    );
    expect(secrets).toEqual([
      'DATABASE_URL',
      'REDIS_URL',
      'VCC_BASE_KEY',
      'WEB_USERS',
      'PUSH_SECRET',
      'VCC_MASTER_KEY',
    ]);
    const message = refusal({ DATABASE_URL: 'mysql://u:hunter2@db', REDIS_URL: 'hunter2', X: 'y' });
    expect(message).toContain('DATABASE_URL: expected a URL');
    expect(message).toContain('REDIS_URL: expected a URL');
    expect(message).not.toMatch(/hunter2|secret-pw|0123456789abcdef/);
  });
});

describe('secrets in files', () => {
  it('are read by NAME_FILE, without the line end', () => {
    const VCC_BASE_KEY_FILE = file('key', 'fedcba98\n');
    expect(read({ VCC_BASE_KEY: undefined, VCC_BASE_KEY_FILE }).VCC_BASE_KEY).toBe('fedcba98');
  });

  it('are refused beside the variable itself', () => {
    const message = refusal({ VCC_BASE_KEY_FILE: file('other', 'hunter2') });
    expect(message).toContain('VCC_BASE_KEY and VCC_BASE_KEY_FILE are both set: keep one');
    expect(message).not.toMatch(/hunter2|0123456789abcdef/);
  });

  it('are refused where the file can not be read', () => {
    const env = { VCC_BASE_KEY: undefined, VCC_BASE_KEY_FILE: join(folder, 'absent') };
    expect(refusal(env)).toContain('VCC_BASE_KEY_FILE: the file can not be read (ENOENT)');
    expect(refusal({ ...env, VCC_BASE_KEY_FILE: folder })).toContain('(EISDIR)');
  });

  it('are refused where the file is empty or holds a wrong value, without showing it', () => {
    const empty = { VCC_BASE_KEY: undefined, VCC_BASE_KEY_FILE: file('empty', '\n') };
    expect(refusal(empty)).toMatch(/\n {2}VCC_BASE_KEY: /);
    const DATABASE_URL_FILE = file('url', 'hunter2');
    expect(refusal({ DATABASE_URL: undefined, DATABASE_URL_FILE })).not.toContain('hunter2');
  });

  it('are a matter of secrets only', () => {
    expect(read({ LOG_LEVEL_FILE: join(folder, 'absent') }).LOG_LEVEL).toBe('info');
  });
});

describe('sealed secrets', () => {
  const VCC_MASTER_KEY = 'c0ffee'.padEnd(64, '5');
  const sealed = (secret: string, name: string, key = VCC_MASTER_KEY) =>
    seal(secret, readMasterKey(key) as MasterKey, name, Buffer.alloc(12, 7));
  const VCC_BASE_KEY = sealed(GOOD.VCC_BASE_KEY, 'VCC_BASE_KEY');

  it('are opened with the master key, each under its own name', () => {
    const env = {
      VCC_MASTER_KEY,
      VCC_BASE_KEY,
      DATABASE_URL: sealed(GOOD.DATABASE_URL, 'DATABASE_URL'),
      REDIS_URL: ` ${sealed('redis://:pw@r', 'REDIS_URL')}\n`,
    };
    expect(read(env)).toMatchObject({ ...GOOD, REDIS_URL: 'redis://:pw@r' });
  });

  it('may come from files, as may the master key, which need not be asked for', () => {
    const env = {
      VCC_MASTER_KEY_FILE: file('master', `${VCC_MASTER_KEY}\n`),
      VCC_BASE_KEY_FILE: file('sealed', `${VCC_BASE_KEY}\n`),
    };
    expect(readSettings(env, ['VCC_BASE_KEY'])).toEqual({ VCC_BASE_KEY: GOOD.VCC_BASE_KEY });
  });

  it('stay beside plain ones', () => {
    expect(read({ VCC_MASTER_KEY })).toMatchObject(GOOD);
  });

  const other = 'ab'.repeat(32);
  it.each([
    ['no master key', { VCC_BASE_KEY }, /VCC_BASE_KEY is sealed, but VCC_MASTER_KEY is not set/],
    ['another master key', { VCC_BASE_KEY, VCC_MASTER_KEY: other }, /does not open: check that/],
    [
      "another setting's secret",
      { VCC_MASTER_KEY, VCC_BASE_KEY: sealed('postgres://hunter2@x', 'DATABASE_URL') },
      /does not open: check that VCC_MASTER_KEY is .* sealed for this setting/,
    ],
    ['a cut one', { VCC_MASTER_KEY, VCC_BASE_KEY: VCC_BASE_KEY.slice(0, 30) }, /cut or altered/],
    [
      'one of another release',
      { VCC_MASTER_KEY, VCC_BASE_KEY: VCC_BASE_KEY.replace('v1', 'v9') },
      /a form that this release does not know/,
    ],
    [
      'a sealed value that is wrong',
      { VCC_MASTER_KEY, DATABASE_URL: sealed('hunter2', 'DATABASE_URL') },
      /DATABASE_URL: expected a URL/,
    ],
    [
      'a sealed master key',
      { VCC_MASTER_KEY: sealed(VCC_MASTER_KEY, 'VCC_MASTER_KEY') },
      /VCC_MASTER_KEY can not be sealed itself/,
    ],
    ['a master key that is none', { VCC_MASTER_KEY: 'hunter2' }, /VCC_MASTER_KEY: expected 32 byt/],
  ])('are refused in one line that shows nothing: %s', (_, env, message) => {
    const said = refusal(env);
    expect(said).toMatch(message);
    expect(said).toMatch(/^one setting is wrong:\n.*$/);
    expect(said).not.toMatch(/hunter2|0123456789abcdef|c0ffee|abab|v[19]:\w/);
  });

  it('name a faulty master key once, however many need it, beside all other faults', () => {
    const DATABASE_URL = sealed(GOOD.DATABASE_URL, 'DATABASE_URL');
    const said = refusal({ VCC_MASTER_KEY: 'x', VCC_BASE_KEY, DATABASE_URL, WEB_PORT: 'x' });
    expect(said).toContain('2 settings are wrong');
    expect(said.match(/VCC_MASTER_KEY: expected/g)).toHaveLength(1);
  });
});

describe('a platform without TLS', () => {
  it.each(['http://127.0.0.1:9000/x', 'http://localhost', 'http://[::1]:1/', 'http://127.1'])(
    'may be %s',
    (VCC_BASE_URL) => expect(read({ VCC_BASE_URL }).VCC_BASE_URL).toBe(VCC_BASE_URL),
  );

  it.each([
    'http://api.towngasvcc.com',
    'http://127.0.0.1.example.com',
    'http://localhost.example.com',
    'http://127.0.0.1@example.com',
    'http://[::2]/',
    'http://10.0.0.1',
  ])('may not be %s', (VCC_BASE_URL) => {
    expect(refusal({ VCC_BASE_URL })).toContain('VCC_BASE_URL is without TLS');
  });

  it('may be anything where the settings allow it', () => {
    const env = { VCC_BASE_URL: 'http://gateway.internal', VCC_ALLOW_HTTP: 'true' };
    expect(read(env).VCC_BASE_URL).toBe(env.VCC_BASE_URL);
  });

  it('knows loopback from all addresses', () => {
    expect(['127.0.0.1', '127.9.8.7', '::1', 'localhost'].every(isLoopback)).toBe(true);
    expect(['0.0.0.0', '::', '128.0.0.1', '1127.0.0.1', ''].some(isLoopback)).toBe(false);
  });
});
