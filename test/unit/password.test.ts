import { expect, it, vi } from 'vitest';

const underWay = vi.hoisted(() => ({ now: 0, most: 0 }));

vi.mock('node:crypto', async (original) => {
  const crypto = await original<typeof import('node:crypto')>();
  const scrypt = (...call: Parameters<typeof crypto.scrypt>) => {
    const done = call.pop() as (error: Error | null, key: Buffer) => void;
    const counted = (error: Error | null, key: Buffer) => {
      underWay.now -= 1;
      done(error, key);
    };
    crypto.scrypt(...([...call, counted] as unknown as typeof call));
    underWay.now += 1;
    underWay.most = Math.max(underWay.most, underWay.now);
  };
  return { ...crypto, scrypt };
});

it('passwords that come at once are hashed one after another, also after one that can not be', async () => {
  // Another file of this process may have loaded the module already, with scrypt as it is.
  vi.resetModules();
  const { hashPassword, isPassword } = await import('../../src/web/password.ts');
  const hash = await hashPassword('correct horse');
  const guesses = ['wrong', 'correct horse', 'guess'].map((guess) => isPassword(guess, hash));
  const faulty = isPassword('x', { ...hash, cost: 3 });
  const last = isPassword('correct horse', hash);
  expect(await Promise.all(guesses)).toEqual([false, true, false]);
  await expect(faulty).rejects.toThrow();
  expect(await last).toBe(true);
  expect(underWay.most).toBe(1);
});
