import { describe, expect, test } from 'vitest';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/core/china-time.ts';
import { type FeedFacts, feedHealth } from '../../src/core/health.ts';
import { recoverableUntil } from '../../src/core/window.ts';

const NOW = Date.UTC(2026, 10, 21, 4);
const SETTINGS = { every: 15 * MINUTE, settle: 30 * SECOND };

function feed(facts: Partial<FeedFacts> = {}): FeedFacts {
  const since = NOW - 10 * DAY;
  return {
    since,
    coverage: [{ from: since, to: NOW - MINUTE }],
    accepted: [],
    every: null,
    enabled: true,
    paused: false,
    running: false,
    consecutiveFailures: 0,
    ...facts,
  };
}

const health = (facts: Partial<FeedFacts> = {}) => feedHealth(feed(facts), NOW, SETTINGS);
const until = (to: number) => ({ coverage: [{ from: NOW - 10 * DAY, to }] });

describe('the state of a feed', () => {
  test('is in step while nothing lacks but its newest intervals', () => {
    expect(health().state).toBe('in step');
    expect(health(until(NOW - 30 * MINUTE - 30 * SECOND)).state).toBe('in step');
  });

  test('is late once it lags by more than twice its interval and the settle time', () => {
    expect(health(until(NOW - 30 * MINUTE - 31 * SECOND)).state).toBe('late');
    const slow = { ...until(NOW - HOUR), every: HOUR };
    expect(health(slow).state).toBe('in step');
  });

  test('a short interval with a long settle time is not late for ever', () => {
    const fast = { ...until(NOW - 50 * SECOND), every: 10 * SECOND };
    expect(health(fast).state).toBe('in step');
  });

  test('is gap where a hole lies below the watermark, or has expired', () => {
    const hole = {
      coverage: [
        { from: NOW - 10 * DAY, to: NOW - 3 * DAY },
        { from: NOW - 2 * DAY, to: NOW - MINUTE },
      ],
    };
    expect(health(hole).state).toBe('gap');
    const asleep = {
      since: NOW - 50 * DAY,
      coverage: [{ from: NOW - 50 * DAY, to: NOW - 40 * DAY }],
    };
    expect(health(asleep).state).toBe('gap');
  });

  test('an accepted gap is none', () => {
    const since = NOW - 50 * DAY;
    const facts = {
      since,
      coverage: [{ from: NOW - 10 * DAY, to: NOW - MINUTE }],
      accepted: [{ from: since, to: NOW - 10 * DAY }],
    };
    expect(health(facts)).toMatchObject({ state: 'in step', gaps: [], lag: MINUTE });
  });

  test('is new before its first window, whatever was promised', () => {
    expect(health({ since: null, coverage: [] }).state).toBe('new');
    expect(health({ since: NOW - 90 * DAY, coverage: [] }).state).toBe('new');
  });

  test('what stops a feed comes before what it lacks', () => {
    const all = { ...until(NOW - DAY), running: true, consecutiveFailures: 3, paused: true };
    expect(health({ ...all, enabled: false }).state).toBe('disabled');
    expect(health(all).state).toBe('paused');
    expect(health({ ...all, paused: false }).state).toBe('failing');
    expect(health({ ...all, paused: false, consecutiveFailures: 0 }).state).toBe('running');
  });
});

describe('the numbers of a feed', () => {
  test('lag is now less complete through, which ends at the first hole', () => {
    const hole = {
      coverage: [
        { from: NOW - 10 * DAY, to: NOW - 3 * DAY },
        { from: NOW - 2 * DAY, to: NOW - MINUTE },
      ],
    };
    expect(health(hole)).toMatchObject({
      completeThrough: NOW - 3 * DAY,
      watermark: NOW - MINUTE,
      lag: 3 * DAY,
    });
  });

  test('there is no lag before the first commit, and none below zero', () => {
    const none = { since: null, coverage: [] };
    expect(health(none)).toMatchObject({ completeThrough: null, watermark: null, lag: null });
    expect(health(until(NOW + MINUTE)).lag).toBe(0);
  });

  test('an open gap says until when it can be had, an expired one does not', () => {
    const asleep = {
      since: NOW - 50 * DAY,
      coverage: [{ from: NOW - 50 * DAY, to: NOW - 40 * DAY }],
    };
    const [expired, open] = health(asleep).gaps;
    expect(expired).toMatchObject({ state: 'expired', recoverableUntil: null });
    expect(open).toMatchObject({ state: 'open', from: expired!.to });
    expect(open!.recoverableUntil).toBe(recoverableUntil(open!.from));
  });
});
