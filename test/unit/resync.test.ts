import { describe, expect, test } from 'vitest';
import { DAY, HOUR } from '../../src/core/china-time.ts';
import type { KnownFeed, NewRequests } from '../../src/core/request.ts';
import { reach } from '../../src/core/window.ts';
import { type ResyncWish, requestResync } from '../../src/sync/resync.ts';

const NOW = Date.UTC(2026, 10, 21, 4);
const OTHER: readonly KnownFeed[] = [{ id: 3, dataset: 'meters', active: true }];
const FEEDS: readonly KnownFeed[] = [
  { id: 1, dataset: 'addresses', active: true },
  { id: 2, dataset: 'meters', active: false },
];

function start(wish: Partial<ResyncWish> = {}) {
  const recorded: NewRequests[] = [];
  const requests = {
    feedsOf: async (orgCode: string) => ({ WJ0105: FEEDS, NJ0001: OTHER })[orgCode] ?? null,
    record: async (request: NewRequests) => {
      recorded.push(request);
      return request.feedIds.map((feedId) => ({ id: feedId * 10, feedId }));
    },
  };
  const answer = requestResync(
    { requests, clock: () => NOW },
    {
      orgCodes: ['WJ0105'],
      datasets: 'all',
      during: { from: NOW - 2 * DAY, to: NOW - DAY },
      force: false,
      maxRejects: null,
      reason: null,
      requestedBy: 'cli:test',
      ...wish,
    },
  );
  return { answer, recorded };
}

async function refusal(wish: Partial<ResyncWish>): Promise<string> {
  const { answer, recorded } = start(wish);
  const error = await answer.then(
    () => null,
    (caught) => caught,
  );
  expect(error).toMatchObject({ code: 'CONFIG' });
  expect(recorded).toEqual([]);
  return error.message;
}

test('one request a feed is recorded, all in one go', async () => {
  const { answer, recorded } = start();
  expect(await answer).toEqual([
    { id: 10, feedId: 1, feed: { ...FEEDS[0], orgCode: 'WJ0105' } },
    { id: 20, feedId: 2, feed: { ...FEEDS[1], orgCode: 'WJ0105' } },
  ]);
  expect(recorded).toHaveLength(1);
});

test('several organisations are recorded in one go, each once', async () => {
  const { answer, recorded } = start({
    orgCodes: ['NJ0001', 'WJ0105', 'NJ0001'],
    datasets: ['meters'],
  });
  expect((await answer).map(({ feed }) => feed)).toEqual([
    { ...OTHER[0], orgCode: 'NJ0001' },
    { ...FEEDS[1], orgCode: 'WJ0105' },
  ]);
  expect(recorded).toMatchObject([{ feedIds: [3, 2] }]);
});

describe('nothing is recorded', () => {
  test('for an interval that is empty or inverted', async () => {
    expect(await refusal({ during: { from: NOW - DAY, to: NOW - DAY } })).toMatch(/is empty/);
    const inverted = { from: NOW - DAY, to: NOW - 2 * DAY };
    expect(await refusal({ during: inverted })).toMatch(/ends before it begins/);
  });

  test('for an interval in the future, even in part', async () => {
    const ends = { from: NOW - DAY, to: NOW + 1000 };
    expect(await refusal({ during: ends })).toMatch(
      /ends in the future: it is now 2026-11-21T12:00:00\+08:00/,
    );
    expect(await refusal({ during: { from: NOW + HOUR, to: NOW + DAY } })).toMatch(
      /lies in the future/,
    );
  });

  test('for an interval out of reach, even by a second', async () => {
    const earliest = reach(NOW);
    const partly = await refusal({ during: { from: earliest - 1000, to: NOW - DAY } });
    expect(partly).toMatch(/is partly out of reach.*before 2026-10-22T00:00:00\+08:00.*import/);
    const wholly = await refusal({ during: { from: earliest - DAY, to: earliest } });
    expect(wholly).toMatch(/is out of reach/);
    const { answer } = start({ during: { from: earliest, to: NOW } });
    expect(await answer).toHaveLength(2);
  });

  test('for parts of a second, or no time at all', async () => {
    expect(await refusal({ during: { from: NOW - DAY + 1, to: NOW } })).toMatch(/whole second/);
    expect(await refusal({ during: { from: Number.NaN, to: NOW } })).toMatch(/whole second/);
  });

  test('for an organisation or a dataset that is not there, which is named', async () => {
    expect(await refusal({ orgCodes: ['WJ0105', 'XX9'] })).toMatch(/organisation XX9 is not known/);
    expect(await refusal({ datasets: ['meters', 'subscribers'] })).toMatch(
      /no feed for subscribers/,
    );
    const several = await refusal({ orgCodes: ['WJ0105', 'NJ0001'], datasets: ['addresses'] });
    expect(several).toMatch(/NJ0001 has no feed for addresses/);
  });

  test('for a limit of rejects without a reason', async () => {
    expect(await refusal({ maxRejects: 50 })).toMatch(/needs a reason/);
    expect(await refusal({ maxRejects: 101, reason: 'known' })).toMatch(/from 0 to 100/);
  });
});
