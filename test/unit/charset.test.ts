import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chooseCharset, decodeHeader, looksLikeTable } from '../../src/core/table/charset.ts';
import { KNOWN_HEADERS } from '../../src/datasets/catalogue.ts';
import { cpuTime } from '../support/cpu-time.ts';

const HEADER = '表具编号|状态|组织机构编码';
const UTF8 = Buffer.from(HEADER);
/** The same header in GBK. */
const GBK = Buffer.from('b1edbedfb1e0bac57cd7b4ccac7cd7e9d6afbbfab9b9b1e0c2eb', 'hex');

const choose = (
  line: Uint8Array,
  declared: string | null = null,
  forced: 'auto' | 'utf-8' | 'gb18030' = 'auto',
) => chooseCharset(line, { declared, forced, known: KNOWN_HEADERS });

describe('the charset of a table (P6)', () => {
  it('is whichever turns the header into known names', () => {
    expect(choose(UTF8)).toBe('utf-8');
    expect(choose(GBK)).toBe('gb18030');
  });

  it('is the forced one even against the bytes', () => {
    expect(choose(GBK, 'gbk', 'utf-8')).toBe('utf-8');
    expect(choose(UTF8, null, 'gb18030')).toBe('gb18030');
  });

  it.each(['gbk', 'GB2312', ' gb18030 '])('takes %s for GB18030', (declared) => {
    expect(choose(Buffer.from('x|y'), declared)).toBe('gb18030');
  });

  it('gives way where the declared one yields no known name and the other does', () => {
    expect(choose(GBK, 'utf-8')).toBe('gb18030');
    expect(choose(UTF8, 'gbk')).toBe('utf-8');
  });

  it('ignores names of other charsets', () => {
    expect(choose(GBK, 'iso-8859-1')).toBe('gb18030');
    expect(choose(UTF8, 'constructor')).toBe('utf-8');
  });

  it('is UTF-8 where nothing tells', () => {
    expect(choose(Buffer.from('a|b'))).toBe('utf-8');
    expect(choose(Buffer.alloc(0))).toBe('utf-8');
  });

  it('does not hang on the byte order mark, CR, padding or quotes', () => {
    const bom = Buffer.from([0xef, 0xbb, 0xbf]);
    expect(choose(Buffer.concat([bom, UTF8, Buffer.from('\r')]))).toBe('utf-8');
    expect(decodeHeader(Buffer.concat([bom, UTF8, Buffer.from('\r')]), 'utf-8')).toBe(HEADER);
    expect(looksLikeTable(Buffer.from('"表具编号"| 状态 '), KNOWN_HEADERS)).toBe(true);
  });
});

describe('whether a line heads a table (P5)', () => {
  it('needs a bar and a known name, in either charset', () => {
    expect(looksLikeTable(UTF8, KNOWN_HEADERS)).toBe(true);
    expect(looksLikeTable(GBK, KNOWN_HEADERS)).toBe(true);
    expect(looksLikeTable(Buffer.from('机构编码|x'), KNOWN_HEADERS)).toBe(true);
    expect(looksLikeTable(Buffer.from('组织机构编码'), KNOWN_HEADERS)).toBe(false);
    expect(looksLikeTable(Buffer.from('<html>|组织'), KNOWN_HEADERS)).toBe(false);
    expect(looksLikeTable(Buffer.alloc(0), KNOWN_HEADERS)).toBe(false);
  });

  it('costs no more for a line of a mebibyte of CR', async () => {
    const line = Buffer.from(`${'\r'.repeat(1 << 20)}x\r\r`);
    const cost = await cpuTime(() => {
      expect(decodeHeader(line, 'utf-8')).toHaveLength((1 << 20) + 1);
      expect(looksLikeTable(line, KNOWN_HEADERS)).toBe(false);
    });
    expect(cost).toBeLessThan(5_000);
  });

  it('takes any bytes without a crash', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        looksLikeTable(bytes, KNOWN_HEADERS);
        expect(['utf-8', 'gb18030']).toContain(choose(bytes));
      }),
    );
  });
});
