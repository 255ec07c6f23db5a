import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FatalError, RetryableError } from '../../src/core/errors.ts';
import { sign } from '../../src/core/sign.ts';
import {
  type Facts,
  judge,
  readCharset,
  readHttpDate,
  readMediaType,
  readObject,
  readResult,
  readRetryAfter,
} from '../../src/vcc/answer.ts';
import { checkAnswerSign, readScalars } from '../../src/vcc/answer-sign.ts';
import { maskOutside } from '../../src/vcc/mask.ts';

const CODES = { successCodes: ['0'], tokenCodes: ['20001', '40058'] };
const NOW = Date.UTC(2026, 10, 1);

const facts = (some: Partial<Facts>): Facts => ({
  status: 200,
  contentType: 'text/html',
  retryAfter: undefined,
  result: null,
  bytes: 512,
  atLeast: false,
  sha256: 'ab'.repeat(32),
  ...some,
});
const result = (code: string) => ({ code, text: `resultCode ${code}` });
const codeOf = (some: Partial<Facts>): string => {
  const verdict = judge(facts(some), CODES);
  return verdict.kind === 'token' ? 'token' : verdict.error.code;
};

describe('an answer that is no table is classed by P5:', () => {
  it.each([
    ['20001', { result: result('20001') }, 'token'],
    ['40058 with status 500', { status: 500, result: result('40058') }, 'token'],
    ['HTTP 401', { status: 401 }, 'token'],
    ['HTTP 401 with another code', { status: 401, result: result('77') }, 'token'],
    ['another code', { result: result('77') }, 'PLATFORM_ERROR'],
    ['another code with status 404', { status: 404, result: result('77') }, 'PLATFORM_ERROR'],
    ['another code with status 503', { status: 503, result: result('77') }, 'PLATFORM_ERROR'],
    ['success in place of a table', { result: result('0') }, 'NOT_A_TABLE'],
    ['success with status 500', { status: 500, result: result('0') }, 'SOURCE_UNAVAILABLE'],
    ['an HTML page', {}, 'NOT_A_TABLE'],
    ['nothing', { bytes: 0 }, 'NOT_A_TABLE'],
    ['HTTP 204', { status: 204, bytes: 0 }, 'NOT_A_TABLE'],
    ['HTTP 206', { status: 206 }, 'TRUNCATED'],
    ['HTTP 302', { status: 302 }, 'REQUEST_REFUSED'],
    ['HTTP 403', { status: 403 }, 'REQUEST_REFUSED'],
    ['HTTP 404', { status: 404 }, 'REQUEST_REFUSED'],
    ['HTTP 408', { status: 408 }, 'SOURCE_UNAVAILABLE'],
    ['HTTP 425', { status: 425 }, 'SOURCE_UNAVAILABLE'],
    ['HTTP 429', { status: 429 }, 'RATE_LIMITED'],
    ['HTTP 500', { status: 500 }, 'SOURCE_UNAVAILABLE'],
    ['HTTP 503', { status: 503 }, 'SOURCE_UNAVAILABLE'],
  ] as const)('%s', (_, given, code) => {
    expect(codeOf(given)).toBe(code);
  });

  it('the failure hands on how long the platform asked us to wait', () => {
    for (const status of [429, 503]) {
      const verdict = judge(facts({ status, retryAfter: 7000 }), CODES);
      expect(verdict.kind === 'failed' && verdict.error).toMatchObject({ retryAfter: 7000 });
    }
  });

  it('any status has a class, and only client errors and redirects are permanent', () => {
    fc.assert(
      fc.property(fc.integer({ min: 200, max: 599 }), (status) => {
        const verdict = judge(facts({ status }), CODES);
        if (verdict.kind === 'token') return void expect(status).toBe(401);
        const isPermanent = verdict.error instanceof FatalError;
        const passes = [401, 408, 425, 429].includes(status);
        expect(isPermanent).toBe(status >= 300 && status < 500 && !passes);
        expect(isPermanent || verdict.error instanceof RetryableError).toBe(true);
      }),
    );
  });

  it('a body is described by length, type and hash, "at least" where it went on', () => {
    const verdict = judge(facts({ atLeast: true }), CODES);
    const message = verdict.kind === 'failed' ? verdict.error.message : '';
    expect(message).toContain('at least 512 bytes of text/html');
    expect(message).toContain('ab'.repeat(32));
  });
});

describe('a JSON answer', () => {
  it('is read in UTF-8, with a byte order mark, and in GBK', () => {
    const gbk = Buffer.concat([
      Buffer.from('{"resultMsg":"'),
      Buffer.from('c1eec5c6d2d1caa7d0a7', 'hex'),
      Buffer.from('"}'),
    ]);
    expect(readObject(Buffer.from('\ufeff {"resultMsg":"状态"}'))?.fields.resultMsg).toBe('状态');
    expect(readObject(gbk)?.fields.resultMsg).toBe('令牌已失效');
  });

  it.each(['', '[]', '"x"', 'null', '{', '{"a":}', '<html>'])('%j is no object', (text) => {
    expect(readObject(Buffer.from(text))).toBeNull();
  });

  it('any bytes are read without a crash', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.json().map(Buffer.from)), (bytes) => {
        const object = readObject(bytes);
        if (object) readResult(object.fields, ['secret']);
      }),
    );
  });

  it('states a result with a code in text or number, and none without', () => {
    expect(readResult({ resultCode: 0 }, [])).toEqual({ code: '0', text: 'resultCode 0' });
    expect(readResult({ resultCode: '7', resultMsg: 'no rights' }, [])?.text).toBe(
      'resultCode 7: no rights',
    );
    expect(readResult({ resultMsg: 'x' }, [])).toBeNull();
    expect(readResult({ resultCode: null }, [])).toBeNull();
  });
});

describe('a text from outside', () => {
  it('loses secrets in either case, phone numbers and control characters, and is cut', () => {
    expect(maskOutside('token TOKENa1, tel 13800138000\n\u001b[31m', ['tokenA1'])).toBe(
      'token ***, tel *** [31m',
    );
    expect(maskOutside('电话１３８００１３８０００', [])).toBe('电话***');
    expect([...maskOutside('no rights '.repeat(50), [])]).toHaveLength(200);
  });

  it.each([
    ['用户张三(138-0013-8000)不存在', '用户***(***)不存在'],
    ['欧阳小明 0512-6612 3456, (0512)66123456', '*** ***, (***'],
    ['联系电话+86 138.0013.8000', '联系电话+***'],
    ['令牌已失效', '令牌已失效'],
    ['系统正在维护，请稍后再试', '系统正在维护，请稍后再试'],
    ['김철수 さくら サクラ', '*** *** ***'],
    ['token 1Z5M011v4P5joM9VqMr0 has expired', 'token *** has expired'],
    ['key=0123456789abcdef0123456789abcdef', 'key=***'],
    ['java.lang.NullPointerException at 10:00', 'java.lang.NullPointerException at 10:00'],
    ['from 2026-11-01 00:00:00 to 2026-11-02', 'from 2026-11-01 00:00:00 to 2026-11-02'],
    ['2026-11-01-138', '***'],
    ['name=%E5%BC%A0%E4%B8%89&x', 'name=***&x'],
    ['&#24352;&#x4e09; \\u5f20\\u4e09', '*** ***'],
    ['95% of 100%', '95% of 100%'],
    ['\u6b27\u9633 <b>李四</b>', '*** <b>***</b>'],
  ])('%j is shown as %j', (text, masked) => {
    expect(maskOutside(text, [])).toBe(masked);
  });

  it('never holds a name, a phone number or a token, wherever they stand', () => {
    const name = fc.constantFrom('张三', '欧阳小明', '司徒', '时间长', '慕容数据');
    const phone = fc.constantFrom(
      '13800138000',
      '138-0013-8000',
      '0512 6612-3456',
      '(0512)6612345',
    );
    const token = fc.stringMatching(/^[A-Za-z0-9]{20,32}$/).filter((one) => /\d/.test(one));
    // What stands before and after must not make another word, number or token of it.
    const around = fc.string({ maxLength: 40 }).map((text) => text.replace(/[A-Za-z0-9]/g, ''));
    fc.assert(
      fc.property(around, name, phone, token, around, (before, one, two, three, after) => {
        const masked = maskOutside(`${before}${one}${two} ${three}${after}`, []);
        for (const needle of [one, two, three]) expect(masked).not.toContain(needle);
        expect(masked.replace(/[\s().-]/g, '')).not.toMatch(/\d{7}/);
      }),
    );
  });

  it('never holds a secret, wherever it stands', () => {
    const secret = 'Zq7Zq7Zq7Zq7';
    fc.assert(
      fc.property(fc.string({ maxLength: 250 }), fc.string(), (before, after) => {
        const masked = maskOutside(before + secret + after, [secret]);
        expect(masked).not.toContain(secret);
        expect(masked).not.toMatch(/\p{Cc}|\d{7}/u);
        expect([...masked].length).toBeLessThanOrEqual(200);
      }),
    );
  });
});

describe('headers', () => {
  it('Retry-After is seconds or an HTTP date, and at most a day is believed', () => {
    expect(readRetryAfter('120', NOW)).toBe(120_000);
    expect(readRetryAfter(new Date(NOW + 5000).toUTCString(), NOW)).toBe(5000);
    expect(readRetryAfter(new Date(NOW - 5000).toUTCString(), NOW)).toBe(0);
    expect(readRetryAfter('99999999999', NOW)).toBe(86_400_000);
    for (const odd of [null, '', 'soon', '-1', '1.5', 'Foo, bar'])
      expect(readRetryAfter(odd, NOW)).toBeUndefined();
  });

  it('a date is an HTTP date or none at all: a time made of any number would hold coverage back', () => {
    for (const text of [
      'Sun, 01 Nov 2026 00:00:00 GMT',
      'Sunday, 01-Nov-26 00:00:00 GMT',
      ' Sun, 1 Nov 2026 00:00:00 UTC ',
    ]) {
      expect(readHttpDate(text)).toBe(Date.UTC(2026, 10, 1));
    }
    for (const odd of [null, '', '1', 'x 5', 'Foo 1', 'Sun, 32 Nov 2026 00:00:00 GMT']) {
      expect(readHttpDate(odd)).toBeNull();
    }
    for (const year of ['275760', '9999', '1900', '2100']) {
      expect(readHttpDate(`Sat, 13 Sep ${year} 00:00:00 GMT`)).toBeNull();
    }
  });

  it('a content type gives its media type and charset, and nothing that could be a quotation', () => {
    expect(readMediaType('Text/HTML; charset=utf-8')).toBe('text/html');
    expect(readMediaType('call 13800138000')).toBeNull();
    expect(readMediaType(null)).toBeNull();
    expect(readCharset('text/plain; Charset="GBK"')).toBe('gbk');
    expect(readCharset('text/plain')).toBeNull();
  });
});

describe('the sign of an answer (P3)', () => {
  const signed = (fields: string, given: Record<string, string>, secret: string) =>
    `{${fields},"sign":"${sign(given, secret)}"}`;

  it('covers numbers as literally sent and leaves nested, empty and null values out', () => {
    const fields =
      '"b":1.10, "a" : "x\\"y", "n":{"b":2}, "l":[1,{"a":3}], "e":"", "z":null,"t":true';
    const text = signed(fields, { b: '1.10', a: 'x"y', t: 'true' }, 'k');
    expect(checkAnswerSign(text, ['other', 'k'])).toBe('right');
    expect(checkAnswerSign(text, ['other'])).toBe('wrong');
    expect(checkAnswerSign(text.replace('1.10', '1.1'), ['k'])).toBe('wrong');
    expect(checkAnswerSign('{"a":1}', ['k'])).toBe('missing');
  });

  it('is read from the same top-level values that JSON.parse sees', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (object) => {
        const parsed: Record<string, unknown> = JSON.parse(JSON.stringify(object));
        const expected = Object.entries(parsed)
          .filter(([, value]) => value !== null && typeof value !== 'object')
          .map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]);
        expect(readScalars(JSON.stringify(object, null, 1))).toEqual(Object.fromEntries(expected));
      }),
    );
  });
});
