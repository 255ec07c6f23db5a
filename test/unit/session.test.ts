import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_LIFETIME, readExpiry, usedUntil } from '../../src/core/session.ts';
import type { SessionToken, TokenStore } from '../../src/sync/ports.ts';
import { keyFingerprint } from '../../src/vcc/request.ts';
import { createSession } from '../../src/vcc/session.ts';

const NOW = Date.UTC(2017, 1, 7);
const nows = fc.integer({ min: Date.UTC(2015, 0), max: Date.UTC(2090, 0) });

describe('readExpiry (P4)', () => {
  it('reads small numbers as seconds from now', () => {
    expect(readExpiry(7200, NOW)).toBe(NOW + 7_200_000);
    expect(readExpiry('300', NOW)).toBe(NOW + 300_000);
    expect(readExpiry(1_000_000_000, NOW)).toBe(NOW + 1e12);
  });

  it('reads numbers above 10^9 as Unix seconds, as the document gives one', () => {
    expect(readExpiry(1_486_488_177, NOW)).toBe(1_486_488_177_000);
    expect(readExpiry('1486488177', NOW)).toBe(1_486_488_177_000);
  });

  it('reads numbers above 10^12 as Unix milliseconds', () => {
    expect(readExpiry(1_486_488_177_123, NOW)).toBe(1_486_488_177_123);
  });

  it.each([undefined, null, '', 'soon', '7200s', -1, 0, Number.NaN, {}, [], true, 1e300, '0x10'])(
    'takes 7200 seconds for %j',
    (value) => {
      expect(readExpiry(value, NOW)).toBe(NOW + DEFAULT_LIFETIME);
    },
  );

  it('takes 7200 seconds for a time that is not after now', () => {
    fc.assert(
      fc.property(nows, fc.integer({ min: 0, max: 400_000_000 }), (now, ago) => {
        const past = Math.floor(now / 1000) - ago;
        fc.pre(past > 1e9);
        expect(readExpiry(past, now)).toBe(now + DEFAULT_LIFETIME);
      }),
    );
  });

  it('is a real instant after now, whatever the platform sends', () => {
    const values = fc.oneof(fc.anything(), fc.double(), fc.maxSafeInteger().map(String));
    fc.assert(
      fc.property(values, nows, (value, now) => {
        const expiry = readExpiry(value, now);
        expect(expiry).toBeGreaterThan(now);
        expect(Number.isNaN(new Date(expiry).getTime())).toBe(false);
      }),
    );
  });

  it('leaves a token its use, ahead of expiry by a tenth of its life and at most a minute', () => {
    fc.assert(
      fc.property(nows, fc.integer({ min: 1, max: 1e11 }), (now, lifetime) => {
        const until = usedUntil(now + lifetime, now);
        expect(until).toBeGreaterThan(now);
        const ahead = now + lifetime - until;
        expect(ahead).toBeLessThanOrEqual(Math.min(60_000, lifetime / 10));
        expect(ahead).toBeGreaterThan(Math.min(60_000, lifetime / 10) - 1);
      }),
    );
  });
});

describe('a session (P4)', () => {
  it('asks once for many callers, and again only for a token that is still the stored one', async () => {
    const { session, issued } = startSession();
    const signal = new AbortController().signal;
    const tokens = await Promise.all(Array.from({ length: 8 }, () => session.getToken(signal)));
    expect(new Set(tokens)).toEqual(new Set(['token1']));
    const replaced = await Promise.all(
      Array.from({ length: 8 }, () => session.replaceToken('token1', signal)),
    );
    expect(new Set(replaced)).toEqual(new Set(['token2']));
    expect(await session.replaceToken('token1', signal)).toBe('token2');
    expect(issued()).toBe(2);
  });

  it('takes the token that another process has renewed', async () => {
    const { session, store, issued } = startSession();
    store.stored = { token: 'theirs', expiresAt: NOW + 1 };
    expect(await session.replaceToken('mine', new AbortController().signal)).toBe('theirs');
    expect(issued()).toBe(0);
  });

  it('renews a token whose time is up', async () => {
    const { session, store } = startSession();
    store.stored = { token: 'old', expiresAt: NOW };
    expect(await session.getToken(new AbortController().signal)).toBe('token1');
  });

  it('lets one caller go without stopping the renewal for the others', async () => {
    const { session, release } = startSession({ isHeld: true });
    const leaving = new AbortController();
    const left = session.getToken(leaving.signal);
    const stayed = session.getToken(new AbortController().signal);
    leaving.abort();
    await expect(left).rejects.toMatchObject({ code: 'INTERRUPTED' });
    release();
    expect(await stayed).toBe('token1');
  });

  it('tries again after a renewal that failed', async () => {
    const { session } = startSession({ failures: 1 });
    const signal = new AbortController().signal;
    await expect(session.getToken(signal)).rejects.toThrow('failed');
    expect(await session.getToken(signal)).toBe('token1');
  });

  it('knows base keys by a fingerprint that does not give them away', () => {
    expect(keyFingerprint('0123456789abcdef0123456789abcdef')).toMatch(/^[0-9a-f]{16}$/);
    expect(keyFingerprint('a')).not.toBe(keyFingerprint('b'));
  });
});

function startSession({ isHeld = false, failures = 0 } = {}) {
  const store: TokenStore & { stored: SessionToken | null } = {
    stored: null,
    read: async () => store.stored,
    async replace(_appId, _fingerprint, renew) {
      store.stored = await renew(store.stored);
      return store.stored;
    },
  };
  let release = () => {};
  const held = isHeld ? new Promise<void>((resolve) => (release = resolve)) : Promise.resolve();
  let issued = 0;
  let failing = failures;
  const issue = async () => {
    await held;
    if (failing-- > 0) throw new Error('failed');
    issued += 1;
    return { token: `token${issued}`, expiresAt: NOW + 1 };
  };
  const options = { appId: 'a', baseKey: 'k', tokens: store, clock: () => NOW, issue };
  return { session: createSession(options), store, issued: () => issued, release: () => release() };
}
