import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Parameters, sign } from '../../src/core/sign.ts';

const TOKEN = '1Z5M011v4P5joM9VqMr0';

const VECTORS: readonly [string, Parameters, string, string, string][] = [
  [
    'a token request',
    { seq: '10022017042009103000000000000001', appId: 'vccdemo01' },
    '',
    '0123456789abcdef0123456789abcdef',
    '07989367A75A5A0242F7B6ACEE91BD65',
  ],
  [
    'a search with a Chinese name and an empty parameter',
    {
      seq: '30072017042009103000000000000002',
      token: TOKEN,
      name: '张三',
      tel: '',
      orgCode: 'WJ0105',
      pageIndex: 1,
      pageSize: 10,
    },
    '',
    TOKEN,
    '8C0F6B5E27B875430E50D31FBF780272',
  ],
  [
    'a download',
    {
      seq: '30012017042009103000000000000003',
      token: TOKEN,
      orgCode: 'WJ0105',
      lastTimestamp: '20170419000000',
      timestamp: '20170420000000',
    },
    '',
    TOKEN,
    '714F60E639334160B04F2AF485D4F41B',
  ],
  [
    'a value that URL-encoding would change',
    { seq: '1', name: 'a b&c=d+%E5' },
    '',
    'k',
    '72424EEF52047B710034F6D0B098C103',
  ],
  [
    'a body and a sign to be left out',
    { b: '2', a: '1', sign: 'IGNORED' },
    '{"x":1}',
    'k',
    'CD6BDE150AB10B8C9F7261B6610E918B',
  ],
];

const parameters = fc.dictionary(
  fc.string({ minLength: 1 }).filter((key) => key !== 'sign' && key !== '__proto__'),
  fc.string({ minLength: 1 }),
);

describe('sign (P3)', () => {
  it.each(VECTORS)(
    'signs %s as two other implementations do',
    (_, given, body, secret, expected) => {
      expect(sign(given, secret, body)).toBe(expected);
    },
  );

  it('does not depend on the order in which parameters are given', () => {
    fc.assert(
      fc.property(parameters, fc.string(), (given, secret) => {
        const reversed = Object.fromEntries(Object.entries(given).reverse());
        expect(sign(reversed, secret)).toBe(sign(given, secret));
      }),
    );
  });

  it('leaves out sign and everything without a value', () => {
    fc.assert(
      fc.property(parameters, fc.constantFrom('', null, undefined), (given, nothing) => {
        const padded = { ...given, sign: 'anything', 'an unused name': nothing };
        expect(sign(padded, 'k')).toBe(sign(given, 'k'));
      }),
    );
  });

  it('is 32 upper-case hex digits whatever it signs', () => {
    fc.assert(
      fc.property(parameters, fc.string(), fc.string(), (given, secret, body) => {
        expect(sign(given, secret, body)).toMatch(/^[0-9A-F]{32}$/);
      }),
    );
  });
});
