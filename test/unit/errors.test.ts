import { describe, expect, it } from 'vitest';
import {
  describeError,
  type ErrorMeaning,
  FATAL,
  FatalError,
  InterruptedError,
  RETRYABLE,
  RetryableError,
  type SyncError,
  toSyncError,
} from '../../src/core/errors.ts';

const MEANINGS: [string, ErrorMeaning][] = [
  ...Object.entries(RETRYABLE),
  ...Object.entries(FATAL),
  ['INTERRUPTED', new InterruptedError().meaning],
];

describe('error codes', () => {
  it.each(MEANINGS)('%s says what it means and what to do', (code, { meaning, remedy, pace }) => {
    expect(code).toMatch(/^[A-Z]+(_[A-Z]+)*$/);
    expect(meaning.length).toBeGreaterThan(10);
    expect(remedy.length).toBeGreaterThan(5);
    expect(`${meaning}${remedy}`).not.toMatch(/[.\n]$/);
    expect(['soon', 'slow', 'ceiling', 'hold', 'steady', 'none']).toContain(pace);
  });

  it('stand for one recovery each', () => {
    const codes = MEANINGS.map(([code]) => code);
    expect(new Set(codes).size).toBe(codes.length);
  });

  it('follow the table of P5', () => {
    const pace = (code: string) => MEANINGS.find(([one]) => one === code)?.[1].pace;
    for (const code of ['SOURCE_UNAVAILABLE', 'NOT_A_TABLE', 'TRUNCATED', 'DOWNLOAD_TIMEOUT']) {
      expect(pace(code)).toBe('soon');
    }
    expect(pace('PLATFORM_ERROR')).toBe('slow');
    expect(pace('CREDENTIALS')).toBe('hold');
    expect(pace('REQUEST_REFUSED')).toBe('ceiling');
    expect(pace('HEADER_MISMATCH')).toBe('ceiling');
    expect(pace('INTERRUPTED')).toBe('none');
  });

  it('make no feed pay for a database that takes no work', () => {
    const steady = MEANINGS.filter(([, meaning]) => meaning.pace === 'steady');
    expect(steady.map(([code]) => code).sort()).toEqual([
      'DATABASE_CONNECTIONS',
      'DATABASE_FULL',
      'DATABASE_READ_ONLY',
    ]);
    expect(steady.every(([, meaning]) => meaning.wide && meaning.database)).toBe(true);
  });

  it('halve windows after a timeout, a cut or a size too large, and after nothing else (P5)', () => {
    const shrinking = MEANINGS.filter(([, meaning]) => meaning.shrinks).map(([code]) => code);
    expect(shrinking.sort()).toEqual(['DOWNLOAD_TIMEOUT', 'TOO_LARGE', 'TRUNCATED']);
  });

  it('are carried by the error with the meaning', () => {
    const error = new RetryableError('RATE_LIMITED', 'wait', { retryAfter: 5, cause: 'why' });
    expect(error).toMatchObject({ code: 'RATE_LIMITED', retryAfter: 5, cause: 'why' });
    expect(error.meaning).toBe(RETRYABLE.RATE_LIMITED);
    expect(new FatalError('CONFIG', 'x').meaning).toBe(FATAL.CONFIG);
  });
});

describe('anything thrown', () => {
  it('passes unchanged where it has a code already', () => {
    const known: SyncError[] = [
      new RetryableError('TRUNCATED', 'x'),
      new FatalError('CONFIG', 'x'),
      new InterruptedError(),
    ];
    for (const error of known) expect(toSyncError(error)).toBe(error);
  });

  it('becomes INTERNAL with its class and system code alone', () => {
    const foreign = Object.assign(new TypeError('手机 13800138000'), { code: 'ECONNRESET' });
    const error = toSyncError(foreign);
    expect(error).toMatchObject({ code: 'INTERNAL', message: 'unexpected TypeError ECONNRESET' });
    expect(error.cause).toBe(foreign);
  });

  it.each([
    ['an error', new Error('张三')],
    ['a text', '张三'],
    ['an error whose name came from outside', Object.assign(new Error('x'), { name: '张三' })],
    ['an error whose code came from outside', Object.assign(new Error('x'), { code: '张三' })],
    ['a row', { name: '张三', message: '张三' }],
    ['nothing', null],
    ['undefined', undefined],
    ['a number', 42],
  ])('is never quoted: %s', (_, thrown) => {
    const error = toSyncError(thrown);
    expect(error.code).toBe('INTERNAL');
    expect(error.message).toMatch(/^unexpected \w+/);
    expect(describeError(error)).not.toContain('张三');
  });
});

describe('an error for a person', () => {
  it('has code, subject, what happened and what to do, in one line', () => {
    const error = new FatalError('HEADER_MISMATCH', 'column 表具编号 is missing');
    expect(describeError(error, 'meters WJ0105')).toBe(
      `HEADER_MISMATCH meters WJ0105: column 表具编号 is missing; ${FATAL.HEADER_MISMATCH.remedy}`,
    );
  });

  it('goes without a subject', () => {
    expect(describeError(new InterruptedError('stopped'))).toMatch(/^INTERRUPTED: stopped; /);
  });
});
