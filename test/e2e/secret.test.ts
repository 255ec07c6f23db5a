import { describe, expect, test } from 'vitest';
import { readSettings } from '../../src/config.ts';
import { outputOf, spawnCommand } from '../support/service-process.ts';

const BASE_KEY = '0123456789abcdef0123456789abcdef';

/** Runs `secret …` with something piped in. */
async function secret(args: string, input = '', env: Record<string, string> = {}) {
  const child = spawnCommand(['secret', ...args.split(' ')], env, 'pipe');
  child.stdin!.on('error', () => {});
  child.stdin!.end(input);
  return outputOf(child);
}

describe('vcc-sync secret', () => {
  test('makes a key, seals the base key with it, and the settings open it', async () => {
    const [made, another] = await Promise.all([secret('key'), secret('key')]);
    expect(made).toMatchObject({ code: 0, stderr: '' });
    expect(made.stdout).toMatch(/^[0-9a-f]{64}\n$/);
    expect(another.stdout).not.toBe(made.stdout);
    const VCC_MASTER_KEY = made.stdout.trim();
    const [sealed, again] = await Promise.all([
      secret('seal', `${BASE_KEY}\n`, { VCC_MASTER_KEY }),
      secret('seal', BASE_KEY, { VCC_MASTER_KEY }),
    ]);
    expect(sealed).toMatchObject({ code: 0, stderr: '' });
    expect(sealed.stdout).toMatch(/^sealed:v1:[\w-]+\n$/);
    expect(again.stdout).not.toBe(sealed.stdout);
    const env = { VCC_MASTER_KEY, VCC_BASE_KEY: sealed.stdout.trim() };
    expect(readSettings(env, ['VCC_BASE_KEY']).VCC_BASE_KEY).toBe(BASE_KEY);
  });

  test('seals what is wrong for nobody, and says so without showing it', async () => {
    const VCC_MASTER_KEY = 'ab'.repeat(32);
    const refused = await Promise.all([
      secret('seal', BASE_KEY),
      secret('seal', BASE_KEY, { VCC_MASTER_KEY: 'hunter2' }),
      secret('seal', '\n', { VCC_MASTER_KEY }),
      secret('seal', 'sealed:v1:hunter2', { VCC_MASTER_KEY }),
      secret('seal', 'hunter2\nhunter2', { VCC_MASTER_KEY }),
      secret('seal --for DATABASE_URL', 'hunter2', { VCC_MASTER_KEY }),
      secret('seal --for VCC_MASTER_KEY', 'hunter2', { VCC_MASTER_KEY }),
      secret('seal hunter2', 'hunter2', { VCC_MASTER_KEY }),
    ]);
    for (const { code, stdout, stderr } of refused) {
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).not.toMatch(/hunter2|0123456789|abab/);
    }
    const said = refused.map(({ stderr }) => stderr).join('');
    expect(said).toMatch(/VCC_MASTER_KEY is missing.*secret key makes one/);
    expect(said).toMatch(/VCC_MASTER_KEY: expected 32 bytes/);
    expect(said).toMatch(/is empty.*is sealed already.*is not one line.*expected a URL/s);
  });
});
