import { describe, expect, test } from 'vitest';
import { readSettings } from '../../src/config.ts';
import { isPassword } from '../../src/web/password.ts';
import { outputOf, spawnCommand } from '../support/service-process.ts';

/** Runs `user hash …` with something piped in. */
async function userHash(args: readonly string[], input = '') {
  const child = spawnCommand(['user', 'hash', ...args], {}, 'pipe');
  child.stdin!.on('error', () => {});
  child.stdin!.end(input);
  return outputOf(child);
}

describe('vcc-sync user hash', () => {
  test('prints an entry for WEB_USERS by which the password is known again, and nothing else', async () => {
    const [asked, given] = await Promise.all([
      userHash(['alice', '--role', 'operator'], 'correct horse\n'),
      userHash(['bob', '--role', 'viewer', '--password', 'battery staple']),
    ]);
    expect(asked).toMatchObject({ code: 0, stderr: '' });
    expect(given).toMatchObject({ code: 0, stderr: '' });
    const WEB_USERS = `${asked.stdout.trim()}, ${given.stdout.trim()}`;
    const [alice, bob] = readSettings({ WEB_USERS }, ['WEB_USERS']).WEB_USERS;
    expect(alice).toMatchObject({ name: 'alice', role: 'operator' });
    expect(bob).toMatchObject({ name: 'bob', role: 'viewer' });
    expect(await isPassword('correct horse', alice!.password)).toBe(true);
    expect(await isPassword('battery staple', bob!.password)).toBe(true);
    expect(await isPassword('battery staple', alice!.password)).toBe(false);
    expect(asked.stdout).not.toContain('correct');
  });

  test.each([
    [['alice', '--role', 'operator'], 'short\n', 1, /8 characters/],
    [['alice', '--role', 'boss'], 'correct horse', 2, /viewer, operator/],
    [['a:b', '--role', 'viewer'], 'correct horse', 2, /64 letters/],
    [['alice'], 'correct horse', 2, /--role/],
  ] as const)('says what is wrong: %j', async (args, input, code, words) => {
    const ended = await userHash(args, input);
    expect(ended).toMatchObject({ code, stdout: '' });
    expect(ended.stderr).toMatch(words);
    expect(ended.stderr).not.toContain('    at ');
  });
});
