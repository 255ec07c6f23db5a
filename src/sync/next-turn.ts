import { SECOND } from '../core/china-time.ts';
import { cover } from '../core/coverage.ts';
import { type DeepPlan, planDeep } from '../core/deep.ts';
import { backoff, nextSlot } from '../core/schedule.ts';
import { longestWindow, reach } from '../core/window.ts';
import { finishedRequests, nextWork, type OpenRequest, type WorkState } from '../core/work.ts';
import type { Feed } from './ports.ts';
import type { Decisions, SyncWorld } from './sync-window.ts';

/** The deep re-read of a feed that is caught up, but for requests that can not be had. */
export function deepAfter(
  { settings }: SyncWorld,
  feed: Feed,
  open: readonly OpenRequest[],
  now: number,
): DeepPlan | null {
  const isOpen = open.some(({ kind }) => kind === 'deep');
  return planDeep({ ...feed, isOpen }, settings.deep, settings.overlap, now);
}

/**
 * When a window can hold what a notice told of by now. Never at once: a platform whose notices are
 * ahead of its own clock must not keep a feed busy.
 */
export function noticeDue({ clock, settings }: SyncWorld): number {
  return clock() + Math.max(settings.settle, SECOND);
}

/** The feed's next slot of its schedule, in milliseconds. */
export function slotAfter(world: SyncWorld, feed: Feed): number {
  return nextSlot(feed.id, feed.every ?? world.settings.every, world.clock());
}

/** Longest pause after a failure that is the database's, in milliseconds. */
const STEADY_PAUSE = 30_000;

/**
 * When a feed is due next, by what its run has covered or why it failed (design invariant 6).
 *
 * @param waiting whether the queue waits as a whole: a failure is then not the feed's
 */
export function decide(world: SyncWorld, waiting: boolean): Decisions {
  const { settings } = world;
  return {
    // `now` is the time at which the window was chosen: what has passed since is for the next slot,
    // or a slow feed would never be caught up.
    afterCommit(claim, { work, now }, covered) {
      const { feed } = claim;
      const requests = claim.requests.map(
        (request): OpenRequest =>
          request.id === work.request?.id
            ? { ...request, done: cover(request.done, covered), failures: 0 }
            : request,
      );
      const finished = finishedRequests(requests, now).map((request) => request.id);
      const open = requests.filter((request) => !finished.includes(request.id));
      // Not the window's start: the first window may be that of a request.
      const since = feed.since ?? reach(now);
      const state: WorkState = {
        since,
        coverage: cover(feed.coverage, covered),
        requests: open,
        longest: longestWindow(settings),
      };
      // A request that fails again and again is tried once a slot, behind what the feed owes every slot:
      // it does not keep the feed busy, and what is missing by the next slot does not keep it waiting.
      const ready = open.filter((request) => work.request === null || request.failures === 0);
      // A window that the platform's clock cut short is not continued before time has passed.
      const more =
        covered.to === work.window.to &&
        nextWork({ ...state, requests: ready }, settings, now) !== null;
      const busy = more || open.some((request) => request.failures === 0);
      const deep = busy ? null : deepAfter(world, { ...feed, coverage: state.coverage }, open, now);
      return {
        more,
        since,
        nextDueAt: busy || deep?.during ? world.clock() : slotAfter(world, feed),
        noticeDueAt: noticeDue(world),
        finishedRequests: finished,
        deep,
      };
    },
    afterFailure(claim, { request }, error) {
      const { pace, wide } = error.meaning;
      if (pace === 'none' || pace === 'hold') return { nextDueAt: null, counts: false };
      if (pace === 'steady') {
        const pause = STEADY_PAUSE * (0.5 + world.random() / 2);
        return { nextDueAt: world.clock() + pause, counts: false };
      }
      // The platform's trouble, not the feed's: it steps back behind the others, that is all.
      if (waiting && wide) return { nextDueAt: world.clock() + settings.retryBase, counts: false };
      const limits = { base: settings.retryBase, max: settings.retryMax };
      const failures = request?.failures ?? claim.feed.consecutiveFailures;
      const next = world.clock() + backoff(error, failures + 1, limits, world.random());
      // A request that can not be had must not hold up what the feed owes every slot.
      const nextDueAt = request ? Math.min(next, slotAfter(world, claim.feed)) : next;
      return { nextDueAt, counts: true };
    },
  };
}
