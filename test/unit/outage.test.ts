import { describe, expect, it } from 'vitest';
import { DAY, MINUTE } from '../../src/core/china-time.ts';
import type { ErrorCode } from '../../src/core/errors.ts';
import { isOutage, OUTAGE_FEEDS } from '../../src/core/outage.ts';

const runs = (...codes: (ErrorCode | null)[]) =>
  codes.map((errorCode, feedId) => ({ feedId, errorCode, length: 20 * MINUTE }));
const many = (code: ErrorCode, count: number, length = 20 * MINUTE) =>
  runs(...Array<ErrorCode>(count).fill(code)).map((run) => ({ ...run, length }));

describe('an outage of the platform', () => {
  it('shows by several feeds that fail in a row in ways that are not theirs', () => {
    expect(isOutage(many('SOURCE_UNAVAILABLE', OUTAGE_FEEDS), 5)).toBe(true);
    expect(isOutage(many('SOURCE_UNAVAILABLE', OUTAGE_FEEDS - 1), 5)).toBe(false);
  });

  it('shows by all feeds where there are fewer', () => {
    expect(isOutage(many('NOT_A_TABLE', 2), 2)).toBe(true);
    expect(isOutage(many('NOT_A_TABLE', 1), 2)).toBe(false);
  });

  it('is not shown by one feed that fails again and again', () => {
    const one = many('PLATFORM_ERROR', 50).map((run) => ({ ...run, feedId: 7 }));
    expect(isOutage(one, 5)).toBe(false);
  });

  it('is over with the first run that goes well', () => {
    expect(isOutage(runs(null, ...Array<ErrorCode>(9).fill('RATE_LIMITED')), 5)).toBe(false);
    expect(isOutage(runs(...Array<ErrorCode>(9).fill('RATE_LIMITED'), null), 5)).toBe(true);
  });

  it.each<ErrorCode>(['DOWNLOAD_TIMEOUT', 'TRUNCATED'])(
    'shows by %s of several feeds, but not of windows so long that halving them may cure it',
    (code) => {
      expect(isOutage(many(code, OUTAGE_FEEDS, DAY), 5)).toBe(true);
      expect(isOutage(many(code, OUTAGE_FEEDS - 1, DAY), 5)).toBe(false);
      expect(isOutage(many(code, 20, 28 * DAY), 5)).toBe(false);
    },
  );

  it('is not shown by failures of single tables, nor by no runs at all', () => {
    expect(isOutage(many('HEADER_MISMATCH', 20), 5)).toBe(false);
    expect(isOutage(many('TOO_LARGE', 20), 5)).toBe(false);
    expect(isOutage([], 0)).toBe(false);
  });
});
