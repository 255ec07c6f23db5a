import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readRepairs, unescapeCopy } from '../../src/core/repairs.ts';

const read = (text: string) => [...readRepairs(text, 'repairs.tsv')];

/** A field as psql's `\\copy … to` writes it. */
function asPsqlWrites(text: string): string {
  const escapes: Record<string, string> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };
  return text.replace(/[\\\t\n\r]/g, (found) => escapes[found]!);
}

describe('a file of repaired lines', () => {
  it('is read as COPY writes it, whatever the lines hold', () => {
    const text = fc.string({ unit: 'binary' }).filter((one) => !one.includes('\0'));
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(fc.integer({ min: 1 }), text), { selector: ([id]) => id }),
        (lines) => {
          const file = lines.map(([id, line]) => `${id}\t${asPsqlWrites(line)}\n`).join('');
          expect(read(file)).toEqual(lines);
        },
      ),
    );
  });

  it('may come out of an editor: with BOM, CRLF, blank lines and no last line end', () => {
    expect(read('\ufeff7\ta|b\r\n\r\n9\tc|d')).toEqual([
      [7, 'a|b'],
      [9, 'c|d'],
    ]);
    expect(read('7\ta\n\\.\nrest')).toEqual([[7, 'a']]);
  });

  it('gives null for a line whose text is gone', () => {
    expect(read('7\t\\N\n8\t\\\\N\n')).toEqual([
      [7, null],
      [8, '\\N'],
    ]);
  });

  it('is refused where it is something else, by the line number and without its text', () => {
    for (const wrong of ['张三|13800138000', '7 a', 'x\ta', '0\ta', '7\ta\tb', '-1\ta']) {
      const reading = () => read(`1\tgood\n${wrong}\n`);
      expect(reading).toThrow(/^repairs\.tsv: line 2 is not an id, a tab and a line/);
      expect(reading).not.toThrow(/张三|13800138000/);
    }
    expect(() => read('7\ta\n7\tb\n')).toThrow(/id 7 stands there twice/);
  });

  it('takes octal and hexadecimal escapes too', () => {
    expect(unescapeCopy('\\101\\x42\\q\\t\\\\')).toBe('ABq\t\\');
  });
});
