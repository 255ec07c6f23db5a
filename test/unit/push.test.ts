import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readNotice } from '../../src/core/push.ts';
import { formatSeq } from '../../src/core/seq.ts';
import { sign } from '../../src/core/sign.ts';
import { settledUntil } from '../../src/core/window.ts';
import { takeNotice } from '../../src/sync/push.ts';

const NOW = Date.UTC(2026, 10, 20, 2);
const SECRET = 'k';
const SEQ = formatSeq('7001', NOW, 1);
const QUERY: readonly (readonly [string, string])[] = [
  ['seq', SEQ],
  ['orgCode', 'WJ0105'],
];

const read = (query: readonly (readonly [string, string])[], body = '') =>
  readNotice({ interfaceCode: '7001', query, body }, SECRET);

const signed = (query: readonly (readonly [string, string])[], body = '') =>
  [...query, ['sign', sign(Object.fromEntries(query), SECRET, body)]] as const;

test('a notice is read by its signature, in either case, whatever the order', () => {
  const notice = {
    seq: SEQ,
    interfaceCode: '7001',
    dataset: 'addresses',
    orgCode: 'WJ0105',
    sentAt: NOW,
  };
  const query = signed(QUERY, 'text');
  expect(read(query, 'text')).toEqual(notice);
  expect(read([...query].reverse(), 'text')).toEqual(notice);
  expect(
    read(
      query.map(([name, value]) => [name, name === 'sign' ? value.toLowerCase() : value]),
      'text',
    ),
  ).toEqual(notice);
});

test('a parameter without a value, which no signature covers, changes nothing', () => {
  const body = '{"orgCode":"WJ0105"}';
  const query = signed([['seq', SEQ]], body);
  expect(read(query, body)).toHaveProperty('orgCode', 'WJ0105');
  expect(read([...query, ['orgCode', '']], body)).toEqual(read(query, body));
});

test('no notice passes without its right signature, whatever is sent', () => {
  const text = fc.oneof(fc.string(), fc.constantFrom('seq', 'sign', 'orgCode', SEQ, 'WJ0105'));
  fc.assert(
    fc.property(fc.array(fc.tuple(text, text), { maxLength: 6 }), fc.string(), (query, body) => {
      expect(read(query, body)).toHaveProperty('fault');
    }),
  );
});

test('a change of any single character is found out', () => {
  const query = signed(QUERY, '{"a":1}');
  const whole = JSON.stringify([query, '{"a":1}']);
  fc.assert(
    fc.property(
      fc.nat(whole.length - 1),
      fc.constantFrom('0', '9', 'A', 'z', ' '),
      (at, letter) => {
        const altered = whole.slice(0, at) + letter + whole.slice(at + 1);
        let sent: [[string, string][], string];
        try {
          sent = JSON.parse(altered);
        } catch {
          return;
        }
        if (!sent[0].every((pair) => Array.isArray(pair) && pair.length === 2)) return;
        // Letters of the signature itself may be of either case.
        if (altered.toUpperCase() === whole.toUpperCase()) return;
        expect(read(sent[0], sent[1])).toHaveProperty('fault');
      },
    ),
  );
});

test('a window that ends when the feed is due holds all that was changed when the notice came', async () => {
  const settle = 30_000;
  const received = { interfaceCode: '7001', query: signed(QUERY), body: '' };
  const instants = fc.record({ now: fc.nat(60_000), skew: fc.integer({ min: -60, max: 60 }) });
  await fc.assert(
    fc.asyncProperty(instants, async ({ now, skew }) => {
      const taken: { changedAt: number; dueAt: number }[] = [];
      const outcome = await takeNotice(
        {
          notices: {
            take: async (_, changedAt, dueAt) => taken.push({ changedAt, dueAt }) > 0,
          },
          platformState: { clockSkew: async () => skew * 1000 },
          clock: () => NOW + now,
          settings: { settle },
        },
        received,
        SECRET,
      );
      expect(outcome).toBe('accepted');
      const [{ changedAt, dueAt }] = taken as [(typeof taken)[number]];
      const covered = settledUntil(dueAt + skew * 1000, settle);
      expect(changedAt).toBeGreaterThanOrEqual(NOW + now + skew * 1000);
      // Else the feed would be due once more, with nothing to load.
      expect(covered).toBe(changedAt);
    }),
  );
});
