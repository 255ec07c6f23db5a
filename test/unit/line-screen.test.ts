import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Charset } from '../../src/core/table/charset.ts';
import { LineScreen, LONGEST_LINE, type Screened } from '../../src/core/table/line-screen.ts';

const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex');

interface Seen {
  /** Lines as they pass; null where one was taken out. */
  readonly lines: readonly (string | null)[];
  readonly out: readonly Screened[];
}

function screen(chunks: readonly Uint8Array[], charset: Charset = 'utf-8'): Seen {
  const one = new LineScreen(charset);
  const text = chunks.map((chunk) => one.push(Buffer.from(chunk))).join('') + one.end();
  const out: Screened[] = [];
  const lines = text.split('\n').map((line) => {
    const screened = one.takenOut([line]);
    if (screened) out.push(screened);
    return screened ? null : line;
  });
  return { lines, out };
}

function cut(bytes: Uint8Array, size: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );
}

const ofText = (text: string) => screen([Buffer.from(text)]);

describe('the screen before the parser (P6)', () => {
  it('passes clean lines as they are', () => {
    expect(ofText('a|b\r\n\n"x\\|\ufeff\n')).toEqual({
      lines: ['a|b\r', '', '"x\\|\ufeff', ''],
      out: [],
    });
  });

  it('gives nothing of a line before it is whole, and a last one without line end at the end', () => {
    const one = new LineScreen('utf-8');
    expect(one.push(Buffer.from('a\nb'))).toBe('a\n');
    expect(one.push(Buffer.from('c'))).toBe('');
    expect(one.end()).toBe('bc');
  });

  it('takes out a line with a NUL, made visible for people', () => {
    const { lines, out } = ofText('a\nb\0c\nd\n');
    expect(lines).toEqual(['a', null, 'd', '']);
    expect(out).toEqual([{ reason: 'nul', line: 'b␀c', hash: sha256('b\0c') }]);
  });

  it('takes out a line that is invalid in its charset, and that line alone', () => {
    const bad = Buffer.from([0x62, 0xff, 0x63]);
    const bytes = Buffer.concat([Buffer.from('张\n'), bad, Buffer.from('\n三\n')]);
    const { lines, out } = screen([bytes]);
    expect(lines).toEqual(['张', null, '三', '']);
    expect(out).toEqual([{ reason: 'encoding', line: 'b\ufffdc', hash: sha256(bad) }]);
  });

  it('takes out a character cut by its line end, in either charset', () => {
    for (const [charset, half] of [
      ['utf-8', [0xe5, 0xbc]],
      ['gb18030', [0xd5]],
      ['gb18030', [0x81, 0x30, 0x81]],
    ] as const) {
      const { lines, out } = screen([Buffer.from([0x61, ...half, 0x0a, 0x62, 0x0a])], charset);
      expect(lines).toEqual([null, 'b', '']);
      expect(out).toMatchObject([{ reason: 'encoding' }]);
    }
  });

  it('does not let a line that looks like a placeholder pass for one', () => {
    const { lines, out } = ofText('\x000\nok\n\x001\n');
    expect(lines).toEqual([null, 'ok', null, '']);
    expect(out.map((one) => one.line)).toEqual(['␀0', '␀1']);
  });

  it('takes nothing out twice', () => {
    const one = new LineScreen('utf-8');
    const text = one.push(Buffer.from('a\0\n')).trimEnd();
    expect(one.takenOut(['x', text])?.reason).toBe('nul');
    expect(one.takenOut(['x', text])).toBeNull();
  });
});

describe('a line of 64 KiB', () => {
  const longest = Buffer.alloc(LONGEST_LINE, 'a');
  const sizes = [13, 4096, LONGEST_LINE, LONGEST_LINE + 1, LONGEST_LINE + 2, 1 << 20];

  it('is 65,536 bytes', () => expect(LONGEST_LINE).toBe(65_536));

  it.each(sizes)('passes, in chunks of %i', (size) => {
    for (const end of ['', '\n']) {
      const bytes = Buffer.concat([Buffer.from('x\n'), longest, Buffer.from(end)]);
      expect(screen(cut(bytes, size)).lines[1]).toHaveLength(LONGEST_LINE);
    }
  });

  it.each(sizes)('and a byte is taken out, in chunks of %i', (size) => {
    for (const end of ['', '\n', '\nz\n']) {
      const line = Buffer.concat([longest, Buffer.from('b')]);
      const { lines, out } = screen(cut(Buffer.concat([line, Buffer.from(end)]), size));
      expect(lines).toEqual([null, ...`${end}`.split('\n').slice(1)]);
      expect(out).toEqual([{ reason: 'too_long', hash: sha256(line), line: 'a'.repeat(65_536) }]);
    }
  });

  it('passes with CRLF behind it, which is no part of the line', () => {
    const bytes = Buffer.concat([longest, Buffer.from('\r\n')]);
    expect(screen([bytes]).out.map(({ reason }) => reason)).toEqual([]);
  });
});

describe('chunks', () => {
  const piece = fc.oneof(
    fc
      .constantFrom('\n', '\n', '\r\n', '|', '"', '\0', 'a', '张', '😀')
      .map((one) => Buffer.from(one)),
    fc.uint8Array({ maxLength: 4 }),
  );

  it('never change what is seen', () => {
    const bytes = fc.array(piece, { maxLength: 40 }).map((pieces) => Buffer.concat(pieces));
    const charset = fc.constantFrom<Charset>('utf-8', 'gb18030');
    fc.assert(
      fc.property(bytes, charset, fc.integer({ min: 1, max: 9 }), (all, charset, size) => {
        const whole = screen([all], charset);
        expect(screen(cut(all, size), charset)).toEqual(whole);
        expect(whole.lines).toHaveLength(all.toString('latin1').split('\n').length);
      }),
      { numRuns: 500 },
    );
  });

  it('never change what is kept of an overlong line, whatever its characters', () => {
    const line = Buffer.from(`${'张三😀'.repeat(20_000)}\n`);
    for (const start of ['', 'a', 'ab', 'abc']) {
      const shifted = Buffer.concat([Buffer.from(start), line]);
      const expected = screen([shifted]).out;
      expect(expected).toHaveLength(1);
      for (const size of [1000, 65_536, 70_000]) {
        const { out } = screen(cut(shifted, size));
        expect(out[0]!.line.length).toBe(expected[0]!.line.length);
        expect(out).toEqual(expected);
      }
    }
  });

  it('never cut a character in two where an overlong line is cut', () => {
    const { out } = ofText(`a${'😀'.repeat(40_000)}\n`);
    expect(/\p{Surrogate}/u.test(out[0]!.line)).toBe(false);
  });
});
