import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import type { PasswordHash } from '../core/user.ts';

const derive = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt);

const KEY_BYTES = 32;

/** About a tenth of a second and 64 MiB for each guess. */
const COST = { cost: 2 ** 16, blockSize: 8, parallelism: 1 } as const;

/** Hashes a password with a salt of its own. */
export async function hashPassword(password: string): Promise<PasswordHash> {
  const salt = randomBytes(16);
  const key = await inTurn(() => derive(password, salt, KEY_BYTES, options(COST)));
  return { ...COST, salt: salt.toString('base64url'), key: key.toString('base64url') };
}

/** Whether a password is the one that was hashed; takes as long for a wrong one. */
export async function isPassword(password: string, hash: PasswordHash): Promise<boolean> {
  const expected = Buffer.from(hash.key, 'base64url');
  const salt = Buffer.from(hash.salt, 'base64url');
  const key = await inTurn(() => derive(password, salt, expected.length, options(hash)));
  return timingSafeEqual(key, expected);
}

let last: Promise<unknown> = Promise.resolve();

/** One guess after another: as many at once as there are threads would take all memory together. */
function inTurn<T>(guess: () => Promise<T>): Promise<T> {
  const mine = last.then(guess);
  last = mine.catch(() => {});
  return mine;
}

/** How much work a guess at a hash is, to compare it with others. */
export function costOf({ cost, blockSize, parallelism }: PasswordHash): number {
  return cost * blockSize * parallelism;
}

function options({
  cost,
  blockSize,
  parallelism,
}: Omit<PasswordHash, 'salt' | 'key'>): ScryptOptions {
  // What it needs, and some room: Node refuses more than 32 MiB unless told otherwise.
  const maxmem = 2 * 128 * cost * blockSize;
  return { N: cost, r: blockSize, p: parallelism, maxmem };
}
