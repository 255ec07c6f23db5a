import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { User } from '../core/user.ts';

/** How long somebody stays logged in, in milliseconds. */
export const SESSION_LENGTH = 12 * 3_600_000;

const SESSION = z.object({ name: z.string(), expires: z.number() });

/** Writes and reads the session cookie: who it is and until when, signed. */
export interface Sessions {
  /** The cookie's value for somebody who logged in now. */
  open(name: string, now: number): string;
  /** Who it is; null if the value is not ours, has expired, or the user is gone. */
  read(value: string | undefined, now: number): User | null;
}

/**
 * Makes sessions that every process with the same users understands, across restarts.
 *
 * The key is derived from a secret that all processes share and from the users' password hashes: who
 * gets hold of the hashes alone can sign nothing, and when one changes, everyone logs in anew.
 */
export function createSessions(users: readonly User[], secret: string): Sessions {
  const key = createHmac('sha256', secret)
    .update('vcc-sync session')
    .update(JSON.stringify(users))
    .digest();
  const signature = (text: string) => createHmac('sha256', key).update(text).digest();
  return {
    open(name, now) {
      const text = JSON.stringify({ name, expires: now + SESSION_LENGTH });
      return `${Buffer.from(text).toString('base64url')}.${signature(text).toString('base64url')}`;
    },
    read(value, now) {
      const [payload = '', signed = ''] = (value ?? '').split('.');
      const text = Buffer.from(payload, 'base64url').toString();
      const given = Buffer.from(signed, 'base64url');
      const expected = signature(text);
      if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null;
      // What we signed is what we wrote; but an older release may have written something else.
      const session = SESSION.safeParse(JSON.parse(text)).data;
      if (!session || session.expires <= now) return null;
      return users.find(({ name }) => name === session.name) ?? null;
    },
  };
}
