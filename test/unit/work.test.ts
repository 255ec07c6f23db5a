import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DAY, HOUR, parseTime, SECOND } from '../../src/core/china-time.ts';
import { cover, missing } from '../../src/core/coverage.ts';
import { clip, type Interval, normalise } from '../../src/core/interval.ts';
import { longestWindow, reach, settledUntil } from '../../src/core/window.ts';
import {
  finishedRequests,
  nextWork,
  type OpenRequest,
  remaining,
  type Work,
  type WorkState,
} from '../../src/core/work.ts';

const at = (text: string): number => parseTime(text)!;
const NOW = at('2026-06-10T12:00:00');
const REACH = reach(NOW);
const SETTINGS = { overlap: 120 * SECOND, settle: 30 * SECOND, maxWindow: 28 * DAY };
const UNTIL = NOW - 30 * SECOND;

function request(from: number, to: number, more: Partial<OpenRequest> = {}): OpenRequest {
  const rest = { kind: 'resync', force: false, maxRejects: null, done: [], failures: 0 } as const;
  return { id: 1, during: { from, to }, ...rest, ...more };
}

const feed = (more: Partial<WorkState> = {}): WorkState => ({
  since: REACH,
  coverage: [{ from: REACH, to: UNTIL }],
  requests: [],
  longest: longestWindow(SETTINGS),
  ...more,
});
const next = (more: Partial<WorkState>, now = NOW) => nextWork(feed(more), SETTINGS, now);

/** What a commit of a window leaves, as the use case does it. */
function loaded(state: WorkState, { window, request }: Work): WorkState {
  return {
    ...state,
    since: state.since ?? window.from,
    coverage: cover(state.coverage, window),
    requests: state.requests.map((one) =>
      one.id === request?.id ? { ...one, done: cover(one.done, window), failures: 0 } : one,
    ),
  };
}

describe('the next window of a feed (design invariant 2)', () => {
  it('is none when all is covered and nobody asks', () => expect(next({})).toBeNull());

  it('begins at reach for a new feed and is as long as one request may be', () => {
    const work = next({ since: null, coverage: [] });
    const to = REACH + longestWindow(SETTINGS);
    expect(work).toEqual({ window: { from: REACH, to }, request: null });
  });

  it('never passes now less the settle time', () => {
    const work = next({ coverage: [{ from: REACH, to: NOW - DAY }] }, NOW + 999);
    expect(work?.window).toEqual({ from: NOW - DAY, to: UNTIL });
  });

  it('is as long as the feed may have it now', () => {
    const window = next({ since: null, coverage: [], longest: 3 * HOUR })?.window;
    expect(window?.to).toBe(REACH + 3 * HOUR);
  });

  it('is the oldest hole', () => {
    const coverage = [
      { from: REACH, to: NOW - 3 * DAY },
      { from: NOW - 2 * DAY, to: NOW - DAY },
    ];
    expect(next({ coverage })?.window).toEqual({ from: NOW - 3 * DAY, to: NOW - 2 * DAY });
  });

  it('serves a request before what is missing, though all of it is covered', () => {
    const wish = request(NOW - 2 * DAY, NOW - DAY);
    const work = next({ coverage: [{ from: REACH, to: NOW - HOUR }], requests: [wish] });
    expect(work).toEqual({ window: wish.during, request: wish });
  });

  it('leaves out what has been done for a request', () => {
    const done = [{ from: NOW - 2 * DAY, to: NOW - DAY }];
    const wish = request(NOW - 2 * DAY, NOW - HOUR, { done });
    expect(next({ requests: [wish] })?.window).toEqual({ from: NOW - DAY, to: NOW - HOUR });
  });

  it('puts a failing request behind missing windows, and takes it up when nothing else is left', () => {
    const failing = request(NOW - 2 * DAY, NOW - DAY, { failures: 1 });
    const coverage = [{ from: REACH, to: NOW - HOUR }];
    expect(next({ coverage, requests: [failing] })).toEqual({
      window: { from: NOW - HOUR, to: UNTIL },
      request: null,
    });
    expect(next({ requests: [failing] })?.request).toBe(failing);
  });

  it('puts a failing request behind a fresh one', () => {
    const failing = request(NOW - 2 * DAY, NOW - DAY, { failures: 1 });
    const fresh = request(NOW - HOUR, UNTIL, { id: 2 });
    expect(next({ requests: [failing, fresh] })?.request).toBe(fresh);
  });

  it('is none for a request that has not settled yet', () => {
    expect(next({ requests: [request(UNTIL, NOW + DAY)] })).toBeNull();
  });
});

describe('a request', () => {
  const finished = (one: OpenRequest, now = NOW) => finishedRequests([one], now).length === 1;

  it('is finished once all of it is done', () => {
    const wish = request(NOW - DAY, NOW - HOUR);
    expect(finished(wish)).toBe(false);
    expect(finished({ ...wish, done: [{ from: NOW - 2 * DAY, to: NOW - HOUR }] })).toBe(true);
    expect(finished({ ...wish, done: [{ from: NOW - DAY, to: NOW - HOUR - SECOND }] })).toBe(false);
  });

  it('asks only for its part within reach, and is finished with it', () => {
    const wish = request(REACH - 3 * DAY, REACH + DAY);
    expect(remaining(wish, NOW)).toEqual([{ from: REACH, to: REACH + DAY }]);
    const work = next({ requests: [wish] });
    expect(work?.window).toEqual({ from: REACH, to: REACH + DAY });
    expect(finished(loaded(feed({ requests: [wish] }), work!).requests[0]!)).toBe(true);
  });

  it('is finished when reach has passed all of it', () => {
    expect(finished(request(REACH - 3 * DAY, REACH))).toBe(true);
    expect(finished(request(REACH - 3 * DAY, REACH + SECOND))).toBe(false);
  });

  it('stays open for its part that has not settled yet', () => {
    const wish = request(NOW - HOUR, NOW + HOUR);
    const state = loaded(feed({ requests: [wish] }), next({ requests: [wish] })!);
    expect(state.requests[0]?.done).toEqual([{ from: NOW - HOUR, to: UNTIL }]);
    expect(finished(state.requests[0]!)).toBe(false);
    expect(nextWork(state, SETTINGS, NOW)).toBeNull();
    const later = NOW + HOUR + 30 * SECOND;
    expect(nextWork(state, SETTINGS, later)?.window).toEqual({ from: UNTIL, to: NOW + HOUR });
  });
});

describe('catching up, window by window', () => {
  const second = (from: number, to: number) =>
    fc.integer({ min: from / SECOND, max: to / SECOND }).map((one) => one * SECOND);
  const offset = second(-6 * DAY, 33 * DAY);
  const pair = fc.tuple(offset, offset);
  const scene = fc.record({
    now: fc.integer({ min: at('2026-01-01'), max: at('2029-01-01') }),
    since: fc.option(offset),
    coverage: fc.array(pair, { maxLength: 5 }),
    wishes: fc.array(fc.tuple(pair, fc.nat(2)), { maxLength: 4 }),
    halved: fc.nat(3),
    settings: fc.record({
      overlap: fc.integer({ min: 0, max: DAY }),
      settle: fc.integer({ min: 0, max: DAY }),
      maxWindow: fc.integer({ min: 12 * HOUR, max: 28 * DAY }),
    }),
  });

  it('ends with everything covered and done, in good order and in windows of whole seconds', () => {
    fc.assert(
      fc.property(scene, ({ now, since, coverage, wishes, halved, settings }) => {
        const place = ([a, b]: readonly [number, number]): Interval => ({
          from: reach(now) + Math.min(a, b),
          to: reach(now) + Math.max(a, b),
        });
        const until = settledUntil(now, settings.settle);
        const longest =
          longestWindow(settings) / 2 ** halved -
          ((longestWindow(settings) / 2 ** halved) % SECOND);
        let state: WorkState = {
          since: since === null ? null : reach(now) + since,
          coverage: normalise(coverage.map(place)),
          requests: wishes.map(([wish, failures], id) => ({
            ...request(0, 0, { id, failures }),
            during: place(wish),
          })),
          longest,
        };
        const served: Work[] = [];
        for (let work = nextWork(state, settings, now); work; ) {
          const { window } = work;
          const open = work.request ? remaining(work.request, now) : missing(state, until, now);
          expect(clip(open, window)).toEqual([window]);
          expect(window.to - window.from).toBeLessThanOrEqual(longest);
          expect([window.from % SECOND, window.to % SECOND]).toEqual([0, 0]);
          expect(window.to).toBeLessThanOrEqual(until);
          served.push(work);
          // Five stretches of 39 days at most, in windows of an hour and a half at least.
          expect(served.length).toBeLessThan(4000);
          state = loaded(state, work);
          work = nextWork(state, settings, now);
        }
        expect(missing(state, until, now)).toEqual([]);
        for (const one of state.requests) {
          expect(clip(remaining(one, now), { from: -Infinity, to: until })).toEqual([]);
          const settled = one.during.to <= until || one.during.from === one.during.to;
          expect(finishedRequests([one], now).length === 1).toBe(
            settled || one.during.to <= reach(now),
          );
        }
        for (const id of [null, ...state.requests.map((one) => one.id)]) {
          const own = served.filter((work) => (work.request?.id ?? null) === id);
          const starts = own.map((work) => work.window.from);
          expect(starts).toEqual([...starts].sort((a, b) => a - b));
        }
        // Fresh requests, then what is missing, then requests that failed.
        const ranks = served.map(({ request }) => {
          const failures = request ? (wishes[request.id]?.[1] ?? 0) : 0;
          return request === null ? 1 : failures > 0 ? 2 : 0;
        });
        expect(ranks).toEqual([...ranks].sort());
      }),
      { numRuns: 300 },
    );
  });

  it('loses nothing to a request that fails for ever', () => {
    const failing = request(REACH, UNTIL, { failures: 3 });
    let state = feed({ since: null, coverage: [], requests: [failing] });
    for (let step = 0; step < 2; step++) {
      const work = nextWork(state, SETTINGS, NOW)!;
      expect(work.request).toBeNull();
      state = loaded(state, work);
    }
    expect(state.coverage).toEqual([{ from: REACH, to: UNTIL }]);
    expect(nextWork(state, SETTINGS, NOW)?.request).toBe(failing);
  });
});
