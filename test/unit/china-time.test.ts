import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  chinaDate,
  chinaMidnight,
  DAY,
  floorSecond,
  formatChinaIso,
  formatChinaTime,
  HOUR,
  parseChinaTime,
  parseTime,
} from '../../src/core/china-time.ts';

const AT = Date.UTC(2017, 3, 20, 1, 10, 30);
const seconds = fc
  .integer({
    min: Date.parse('0001-01-01T00:00:00+08:00') / 1000,
    max: Date.UTC(9999, 11, 31) / 1000,
  })
  .map((second) => second * 1000);

describe('time as the platform writes it (P2, P7)', () => {
  it('is fourteen digits of China time', () => {
    expect(formatChinaTime(AT)).toBe('20170420091030');
    expect(parseChinaTime('20170420091030')).toBe(AT);
  });

  it('uses the 24-hour clock', () => {
    expect(formatChinaTime(Date.UTC(2017, 3, 20, 10, 32, 18))).toBe('20170420183218');
    expect(formatChinaTime(Date.UTC(2017, 3, 19, 16))).toBe('20170420000000');
    expect(parseChinaTime('20170420235959')).toBe(Date.UTC(2017, 3, 20, 15, 59, 59));
  });

  it('comes back as it went, for any whole second', () => {
    fc.assert(
      fc.property(seconds, (at) => {
        expect(parseChinaTime(formatChinaTime(at))).toBe(at);
      }),
    );
  });

  it('is read only if it is written back the same', () => {
    const digits = fc.stringMatching(/^[0-9]{14}$/);
    fc.assert(
      fc.property(digits, (text) => {
        const at = parseChinaTime(text);
        if (at !== null) expect(formatChinaTime(at)).toBe(text);
      }),
    );
  });

  it('has years from 0001 to 9999 in China time, whatever the offset it is typed with', () => {
    expect(parseTime('9999-12-31T23:59:59')).not.toBeNull();
    expect(parseTime('9999-12-31T15:59:59Z')).not.toBeNull();
    for (const text of ['9999-12-31T16:00:00Z', '9999-12-31T23:59:59-14:00', '0000-01-01']) {
      expect(parseTime(text)).toBeNull();
    }
    expect(parseTime('0001-01-01T00:00:00+14:00')).toBeNull();
    expect(parseChinaTime('00000101000000')).toBeNull();
    expect(parseChinaTime('00010101000000')).not.toBeNull();
  });

  it.each([
    ['30 February', '20170230000000'],
    ['29 February of a common year', '20170229000000'],
    ['month 13', '20171301000000'],
    ['day 0', '20170400000000'],
    ['25:00', '20170420250000'],
    ['24:00', '20170420240000'],
    ['minute 60', '20170420096000'],
    ['second 60', '20170420091060'],
    ['too few digits', '2017042009103'],
    ['too many digits', '201704200910300'],
    ['other text', '2017-04-20'],
    ['nothing', ''],
  ])('refuses %s', (_, text) => {
    expect(parseChinaTime(text)).toBeNull();
    if (!text.includes('-')) expect(parseTime(text)).toBeNull();
  });

  it('accepts 29 February of a leap year', () => {
    expect(parseChinaTime('20200229000000')).toBe(Date.UTC(2020, 1, 28, 16));
  });
});

describe('time as people type it', () => {
  it.each([
    ['2017-04-20T01:10:30Z', 'UTC'],
    ['2017-04-20T09:10:30+08:00', 'an offset'],
    ['2017-04-20T09:10:30+0800', 'an offset without colon'],
    ['2017-04-19T21:40:30-03:30', 'a negative offset with minutes'],
    ['2017-04-20T09:10:30', 'no offset: China time'],
    ['2017-04-20 09:10:30', 'a space'],
    ['20170420091030', "the platform's form"],
    ['2017-04-20T09:10:30.999', 'a fraction, which is cut'],
    ['2017-04-20T01:10:30.5Z', 'a fraction before Z'],
  ])('reads %s (%s)', (text) => expect(parseTime(text)).toBe(AT));

  it('takes a date alone for its midnight in China', () => {
    expect(parseTime('2017-04-20')).toBe(Date.UTC(2017, 3, 19, 16));
  });

  it('takes hours and minutes without seconds', () => {
    expect(parseTime('2017-04-20T09:10')).toBe(AT - 30_000);
  });

  it.each([
    '2017-02-30',
    '2017-02-29T00:00:00Z',
    '2017-04-31T10:00',
    '2017-13-01',
    '2017-04-20T25:00',
    '2017-04-20T24:00',
    '2017-04-20T10:60',
    '2017-04-20T10:00:60',
    '2017-04-20T10:00:00+25:00',
    '2017-04-20T10:00:00+08:60',
    '2017-04-20T10',
    '2017-4-2',
    'yesterday',
    '1492650630',
    '',
  ])('refuses %j', (text) => expect(parseTime(text)).toBeNull());

  it('reads back what is written for people', () => {
    expect(formatChinaIso(0)).toBe('1970-01-01T08:00:00+08:00');
    fc.assert(
      fc.property(seconds, (at) => {
        expect(parseTime(formatChinaIso(at))).toBe(at);
      }),
    );
  });

  it('answers a whole second or null to any text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const at = parseTime(text);
        expect(at === null || floorSecond(at) === at).toBe(true);
      }),
    );
  });
});

describe('days in China', () => {
  it('begin sixteen hours after the day before in UTC', () => {
    expect(chinaMidnight(2017, 3, 20)).toBe(Date.UTC(2017, 3, 19, 16));
    expect(chinaDate(chinaMidnight(2017, 3, 20))).toEqual({ year: 2017, month: 3, day: 20 });
    expect(chinaDate(chinaMidnight(2017, 3, 20) - 1)).toEqual({ year: 2017, month: 3, day: 19 });
  });

  it('hold every instant between their midnights', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: Date.UTC(2200, 0) }), (at) => {
        const { year, month, day } = chinaDate(at);
        const midnight = chinaMidnight(year, month, day);
        expect(midnight).toBeLessThanOrEqual(at);
        expect(at - midnight).toBeLessThan(DAY);
        expect((midnight + 8 * HOUR) % DAY).toBe(0);
      }),
    );
  });
});

describe('whole seconds', () => {
  it('cut downwards, before the epoch too', () => {
    expect(floorSecond(1999)).toBe(1000);
    expect(floorSecond(2000)).toBe(2000);
    expect(floorSecond(-1)).toBe(-1000);
  });
});
