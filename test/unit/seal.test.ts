import { createDecipheriv } from 'node:crypto';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSealed, type MasterKey, openSealed, readMasterKey, seal } from '../../src/core/seal.ts';

const KEY_BYTES = Buffer.from(Array.from({ length: 32 }, (_, index) => 255 - index));
const KEY = readMasterKey(KEY_BYTES.toString('hex')) as MasterKey;
const OTHER = readMasterKey('ab'.repeat(32)) as MasterKey;
const NONCE = Buffer.from('000102030405060708090a0b', 'hex');
const SECRET = '0123456789abcdef0123456789abcdef';
const SEALED = seal(SECRET, KEY, 'VCC_BASE_KEY', NONCE);

const nonce = fc.uint8Array({ minLength: 12, maxLength: 12 }).map((bytes) => Buffer.from(bytes));
const text = fc.string({ unit: 'binary', maxLength: 80 });

describe('a master key', () => {
  it.each(['hex', 'base64', 'base64url'] as const)('is read as %s', (form) => {
    const read = readMasterKey(` ${KEY_BYTES.toString(form)}\n`);
    expect(read?.export()).toEqual(KEY_BYTES);
  });

  it.each([
    ['nothing', ''],
    ['31 bytes', 'ab'.repeat(31)],
    ['33 bytes', 'ab'.repeat(33)],
    ['31 bytes in base64', KEY_BYTES.subarray(1).toString('base64')],
    ['a pass phrase', 'correct horse battery staple'],
    ['a stray character', `${KEY_BYTES.toString('hex').slice(1)}!`],
    ['base64 with a gap', KEY_BYTES.toString('base64').replace(/^(.{20})/, '$1 ')],
    ['base64 with spare bits', KEY_BYTES.toString('base64').replace(/.=$/, 'B=')],
  ])('is not %s', (_, wrong) => expect(readMasterKey(wrong)).toBeNull());

  it('shows nothing of itself when it is printed', () => {
    const shown = `${inspect(KEY, { depth: 9, showHidden: true })}${JSON.stringify({ KEY })}${KEY}`;
    expect(shown).not.toMatch(/fffefd|255,|"data"/i);
  });
});

describe('a sealed secret', () => {
  it('opens with the key and context that sealed it, whatever it is', () => {
    fc.assert(
      fc.property(text, text, nonce, (secret, context, fresh) => {
        const sealed = seal(secret, KEY, context, fresh);
        expect(isSealed(sealed)).toBe(true);
        expect(sealed).toMatch(/^sealed:v1:[\w-]+$/);
        // What UTF-8 can not carry is not a secret that anyone could have typed.
        const carried = Buffer.from(secret, 'utf8').toString('utf8');
        expect(openSealed(sealed, KEY, context)).toEqual({ secret: carried });
      }),
    );
  });

  it('is nonce, ciphertext and tag of AES-256-GCM, as any other implementation opens it', () => {
    const bytes = Buffer.from(SEALED.slice('sealed:v1:'.length), 'base64url');
    expect(bytes.subarray(0, 12)).toEqual(NONCE);
    const decipher = createDecipheriv('aes-256-gcm', KEY_BYTES, NONCE);
    decipher.setAAD(Buffer.from('vcc-sync sealed:v1:VCC_BASE_KEY'));
    decipher.setAuthTag(bytes.subarray(12 + 32));
    const opened = decipher.update(bytes.subarray(12, 12 + 32), undefined, 'utf8');
    expect(opened + decipher.final('utf8')).toBe(SECRET);
    expect(bytes).toHaveLength(12 + 32 + 16);
  });

  it('is different for every nonce, and refuses one of another length', () => {
    expect(seal(SECRET, KEY, 'VCC_BASE_KEY', Buffer.alloc(12))).not.toBe(SEALED);
    expect(() => seal(SECRET, KEY, 'X', Buffer.alloc(16))).toThrow(RangeError);
  });

  it('does not open with another key, nor in place of another secret', () => {
    expect(openSealed(SEALED, OTHER, 'VCC_BASE_KEY')).toEqual({ fault: 'refused' });
    expect(openSealed(SEALED, KEY, 'DATABASE_URL')).toEqual({ fault: 'refused' });
    expect(openSealed(SEALED, KEY, 'session_token:app')).toEqual({ fault: 'refused' });
  });

  it('does not open when a single bit of it was altered', () => {
    const bytes = Buffer.from(SEALED.slice('sealed:v1:'.length), 'base64url');
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const altered = Buffer.from(bytes);
      altered[bit >> 3]! ^= 1 << (bit & 7);
      const opened = openSealed(`sealed:v1:${altered.toString('base64url')}`, KEY, 'VCC_BASE_KEY');
      expect(opened).toEqual({ fault: 'refused' });
    }
  });

  it('does not open when it was cut anywhere', () => {
    for (let length = 0; length < SEALED.length; length += 1) {
      expect(openSealed(SEALED.slice(0, length), KEY, 'VCC_BASE_KEY')).toHaveProperty('fault');
    }
  });

  it.each([
    ['version', SEALED.replace('v1', 'v2')],
    ['form', SECRET],
    ['form', 'sealed:v1:'],
    ['form', `${SEALED}!`],
    ['form', SEALED.replace(/^(.{30})/, '$1 ')],
  ])('is told from what is not one: %s', (fault, wrong) => {
    expect(openSealed(wrong, KEY, 'VCC_BASE_KEY')).toEqual({ fault });
  });

  it('is never mistaken, and nothing fails, for any text', () => {
    const any = fc.oneof(
      text,
      text.map((rest) => `sealed:v1:${rest}`),
      fc.base64String().map((rest) => `sealed:v1:${rest}`),
    );
    fc.assert(
      fc.property(any, (wrong) => {
        expect(openSealed(wrong, KEY, 'VCC_BASE_KEY')).toHaveProperty('fault');
      }),
    );
  });
});
