import { InvalidArgumentError } from 'commander';
import fc from 'fast-check';
import { describe, expect } from 'vitest';
import {
  readDatasets,
  readEvery,
  readLimit,
  readOrgCode,
  readPercent,
  readTime,
} from '../../src/cli/arguments.ts';
import {
  formatChinaIso,
  formatChinaTime,
  MINUTE,
  parseChinaTime,
  parseTime,
} from '../../src/core/china-time.ts';
import { parseDuration, parseSize } from '../../src/core/duration.ts';
import { formatSeq, LAST_COUNTER, nextCounter } from '../../src/core/seq.ts';
import { readExpiry, usedUntil } from '../../src/core/session.ts';
import { createSeqCheck, SEQ_TOLERANCE } from '../../src/simulator/seq-check.ts';
import { readHttpDate, readRetryAfter } from '../../src/vcc/answer.ts';
import { createSeq } from '../../src/vcc/request.ts';
import { fuzz } from '../support/fuzz.ts';

const NOW = Date.UTC(2026, 10, 1);

const digits = (length: number) => fc.stringMatching(new RegExp(`^[0-9]{${length}}$`));
const year = fc.oneof(fc.constantFrom('0000', '0001', '1970', '2026', '9999'), digits(4));

/** Times, and texts that are nearly times. */
const timelike = fc.oneof(
  digits(14),
  year.map((text) => `${text}1231235959`),
  fc
    .tuple(
      year,
      fc.constantFrom('-', '/', '', '--'),
      fc.constantFrom('T', ' ', 't', '  ', 'TT', ''),
      fc.array(fc.oneof(fc.integer({ min: 0, max: 61 }).map((n) => String(n).padStart(2, '0'))), {
        minLength: 5,
        maxLength: 5,
      }),
      fc.constantFrom(
        '',
        'Z',
        '+08:00',
        '-14:00',
        '+1400',
        '+99:99',
        '.5',
        '.5Z',
        'z',
        ' CST',
        '.',
      ),
    )
    .map(([y, dash, gap, [m, d, h, min, s], zone]) => {
      return `${y}${dash}${m}${dash}${d}${gap}${h}:${min}:${s}${zone}`;
    }),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom(
    '２０２６１１０１００００００',
    '2026-11-01\n',
    '\ufeff2026-11-01',
    '1e14',
    'Infinity',
  ),
);

/** Numbers with units, and texts that are nearly so. */
const measures = fc.oneof(
  fc
    .tuple(
      fc.oneof(
        digits(9),
        fc.integer().map(String),
        fc.double().map(String),
        fc.constantFrom('', '１'),
      ),
      fc.constantFrom('ms', 's', 'm', 'h', 'd', 'KiB', 'GiB', 'B', '%', ' ', 'M', '\n', '', 's\0'),
    )
    .map((parts) => parts.join('')),
  fc.string({ unit: 'binary' }),
);

/** A value, or the refusal that the command line shows; anything else fails the test. */
function valueOrRefusal<T>(read: (text: string) => T, text: string): T | null {
  try {
    return read(text);
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    expect(error.exitCode).toBe(1);
    return null;
  }
}

describe('a time', () => {
  fuzz(
    'is read to a whole second that can be written again, or refused',
    fc.property(timelike, (text) => {
      const at = valueOrRefusal(readTime, text);
      expect(at).toBe(parseTime(text));
      if (at === null) return;
      expect(at % 1000 === 0).toBe(true);
      expect(formatChinaTime(at)).toMatch(/^\d{14}$/);
      expect(parseChinaTime(formatChinaTime(at))).toBe(at);
      expect(parseTime(formatChinaIso(at))).toBe(at);
    }),
  );

  fuzz(
    'in a header is within the century, and a wait at most a day',
    fc.property(
      fc.oneof(
        timelike,
        fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
      ),
      (text) => {
        const date = readHttpDate(text);
        if (date !== null) expect(new Date(date).getUTCFullYear()).toBeLessThan(2100);
        const wait = readRetryAfter(text, NOW) ?? 0;
        expect(wait >= 0 && wait <= 86_400_000).toBe(true);
      },
    ),
  );

  fuzz(
    'of expiry is after now and leaves the token its use, whatever the platform sends',
    fc.property(fc.oneof(fc.anything(), measures, timelike, fc.double(), fc.bigInt()), (value) => {
      const expiry = readExpiry(value, NOW);
      expect(expiry).toBeGreaterThan(NOW);
      expect(new Date(expiry).toISOString()).toMatch(/Z$/);
      const until = usedUntil(expiry, NOW);
      expect(until > NOW && until <= expiry).toBe(true);
    }),
  );
});

describe('a message number', () => {
  /** Of a time about that of the check, on both sides of what it bears. */
  const nearlyNow = fc
    .tuple(
      fc.constantFrom('1002', '3005'),
      fc.integer({ min: -20, max: 20 }),
      fc.oneof(fc.constant('0'.repeat(14)), digits(14)),
    )
    .map(
      ([code, minutes, counter]) =>
        (at: number) =>
          `${code}${formatChinaTime(at + minutes * MINUTE)}${counter}`,
    );

  fuzz(
    'is any text to whoever checks it, and 32 digits from whoever writes it',
    fc.property(
      fc.oneof(
        digits(32),
        digits(14).map((time) => `1002${time}00000000000001`),
        fc.string(),
        nearlyNow,
      ),
      fc.integer({ min: 0, max: 253_000_000_000_000 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (drawn, at, random) => {
        const text = typeof drawn === 'string' ? drawn : drawn(at);
        const [, code, time, counter] = /^(\d{4})(\d{14})(\d{14})$/.exec(text) ?? [];
        const sent = parseChinaTime(time ?? '');
        const mayBe =
          code === '1002' &&
          sent !== null &&
          Math.abs(sent - at) <= SEQ_TOLERANCE &&
          Number(counter) >= 1;
        expect(createSeqCheck(() => at)(text, '1002') === null).toBe(mayBe);
        const check = createSeqCheck(() => at);
        const next = createSeq(
          { seqCode: null },
          () => at,
          () => random,
        );
        const seqs = [next('1002'), next('1002')];
        for (const seq of seqs) {
          expect(seq).toMatch(/^1002\d{28}$/);
          expect(check(seq, '1002')).toBeNull();
          expect(check(seq, '1002')).not.toBeNull();
        }
        const first = 1 + Math.floor(random * LAST_COUNTER);
        expect(seqs[0]).toBe(formatSeq('1002', at, first));
        expect(seqs[1]).toBe(formatSeq('1002', at, nextCounter(first)));
      },
    ),
  );
});

describe('a number on the command line or in the settings', () => {
  fuzz(
    'is read, or refused in words',
    fc.property(measures, (text) => {
      const ms = parseDuration(text);
      expect(ms === null || (Number.isSafeInteger(ms) && ms >= 0)).toBe(true);
      const bytes = parseSize(text);
      expect(bytes === null || (Number.isSafeInteger(bytes) && bytes >= 0)).toBe(true);
      const every = valueOrRefusal(readEvery, text) ?? 1000;
      expect(every >= 1000 && every <= 27 * 86_400_000).toBe(true);
      const percent = valueOrRefusal(readPercent, text) ?? 0;
      expect(percent >= 0 && percent <= 100).toBe(true);
      const limit = valueOrRefusal(readLimit, text) ?? 1;
      expect(Number.isInteger(limit) && limit >= 1 && limit <= 100_000).toBe(true);
      expect(valueOrRefusal(readOrgCode, text) ?? 'A').toMatch(/^[A-Za-z0-9_-]{1,20}$/);
      valueOrRefusal(readDatasets, text);
    }),
  );
});
