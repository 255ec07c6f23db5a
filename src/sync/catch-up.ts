import { setTimeout as sleep } from 'node:timers/promises';
import { cover } from '../core/coverage.ts';
import type { FeedName } from '../core/dataset.ts';
import {
  describeError,
  type ErrorCode,
  InterruptedError,
  type SyncError,
  toSyncError,
} from '../core/errors.ts';
import { backoff, nextSlot } from '../core/schedule.ts';
import { longestWindow, reach } from '../core/window.ts';
import { windowLimit } from '../core/window-limit.ts';
import { finishedRequests, nextWork, type OpenRequest, type WorkState } from '../core/work.ts';
import { enter, holdIfWide, reopen } from './gate.ts';
import type { Feed, FeedClaim, Trigger } from './ports.ts';
import {
  type Decisions,
  type SyncSettings,
  type SyncWorld,
  subjectOf,
  syncWindow,
  type WindowOutcome,
} from './sync-window.ts';

/** How one turn with a feed ended. */
export type CatchUpOutcome =
  /** Everything that could be had has been loaded. */
  | 'caught-up'
  /** There was nothing to load. */
  | 'nothing-to-do'
  /** The time slice is used up; the feed is due again at once. */
  | 'sliced'
  /** Another process holds the feed. */
  | 'busy'
  /** Someone else has served it meanwhile, or it is paused or disabled. */
  | 'not-due'
  /** The queue waits as a whole until the platform serves us again. */
  | 'held'
  | 'unknown';

/** How a feed is caught up. */
export interface CatchUpOptions {
  readonly trigger: Trigger;
  /** Run even if the feed is not due, and stay with it until it is caught up. */
  readonly regardless?: boolean;
  /** Wait for a feed that another process holds. */
  readonly wait?: boolean;
  /** Told once when such a wait begins. */
  readonly onBusy?: () => void;
  /** Told of each committed window. */
  readonly onWindow?: (outcome: WindowOutcome) => void;
}

/**
 * Loads a feed's windows one after another until it is caught up or its time slice is used up
 * (design section 3).
 *
 * @throws SyncError why a window failed; the failure has been recorded and the feed backed off
 */
export async function catchUp(
  world: SyncWorld,
  name: FeedName,
  options: CatchUpOptions,
  signal: AbortSignal,
): Promise<CatchUpOutcome> {
  const feed = await world.feeds.find(name);
  if (!feed) return 'unknown';
  const entry = await enter(world);
  if (entry.way === 'held' && !options.regardless) return 'held';
  const sliceEnd = world.clock() + world.settings.slice;
  for (;;) {
    const turn = await takeTurn(world, feed, { ...options, waitsFor: entry.code }, signal);
    const wentThrough = turn === 'caught-up' || turn === 'loaded';
    if (wentThrough && entry.code !== null) await reopen(world);
    if (turn !== 'loaded') return turn;
    if (!options.regardless && world.clock() >= sliceEnd) return 'sliced';
  }
}

/** Options of one turn. */
interface TurnOptions extends CatchUpOptions {
  /** Why the queue waits as a whole: the turn is a probe, whose failure is not the feed's. */
  readonly waitsFor: ErrorCode | null;
}

/** Claims the feed for one window; `loaded` if there may be more. */
async function takeTurn(
  world: SyncWorld,
  { id }: Feed,
  options: TurnOptions,
  signal: AbortSignal,
): Promise<CatchUpOutcome | 'loaded'> {
  const claim = await claimFeed(world, id, options, signal);
  if (!claim) return 'busy';
  try {
    const { feed } = claim;
    if (!options.regardless && !(feed.active && feed.nextDueAt <= world.clock())) return 'not-due';
    const skew = await world.platformState.clockSkew();
    const now = world.clock() + skew;
    const work = nextWork(workState(claim, world.settings), world.settings, now);
    if (!work) {
      const finished = finishedRequests(claim.requests, now).map((request) => request.id);
      const left = claim.requests.length > finished.length;
      await claim.settle({
        nextDueAt: left ? world.clock() : slotAfter(world, feed),
        finishedRequests: finished,
      });
      return 'nothing-to-do';
    }
    const task = { work, trigger: options.trigger, now };
    const outcome = await syncWindow(
      world,
      claim,
      task,
      decide(world, options.waitsFor !== null),
      signal,
    );
    const { dataset, orgCode: org } = feed;
    world.log.info({ dataset, org, run: outcome.runId, ...outcome.receipt }, 'window loaded');
    options.onWindow?.(outcome);
    return outcome.more ? 'loaded' : 'caught-up';
  } catch (cause) {
    throw await reportFailed(world, claim.feed, toSyncError(cause), options.waitsFor);
  } finally {
    await claim.release();
  }
}

/** Milliseconds between tries for a feed that another process holds. */
const BUSY_PAUSE = 500;
/** Tries after which a holder without a sign of life is looked for, and ended. */
const REAP_TRIES = 10;

/** Takes the feed's lock; waits for it where that is asked for. */
async function claimFeed(
  world: SyncWorld,
  feedId: number,
  { wait, onBusy }: CatchUpOptions,
  signal: AbortSignal,
): Promise<FeedClaim | null> {
  for (let tries = 0; ; tries += 1) {
    const claim = await world.feeds.claim(feedId, signal);
    if (claim || !wait) return claim;
    if (tries === 0) onBusy?.();
    if (tries % REAP_TRIES === 0) await world.feeds.reap();
    try {
      await sleep(BUSY_PAUSE, undefined, { signal });
    } catch {
      throw new InterruptedError();
    }
  }
}

function workState({ feed, requests }: FeedClaim, settings: SyncSettings): WorkState {
  const { since, coverage, lastRuns } = feed;
  return { since, coverage, requests, longest: windowLimit(lastRuns, longestWindow(settings)) };
}

function slotAfter(world: SyncWorld, feed: Feed): number {
  return nextSlot(feed.id, feed.every ?? world.settings.every, world.clock());
}

/** When a feed is due next, by what its run has covered or why it failed (design invariant 6). */
function decide(world: SyncWorld, waiting: boolean): Decisions {
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
      // A request that fails again and again is tried once a slot, it does not keep the feed busy.
      const fresh = open.filter((request) => request.failures === 0);
      // A window that the platform's clock cut short is not continued before time has passed.
      const more =
        covered.to === work.window.to &&
        nextWork({ ...state, requests: fresh }, settings, now) !== null;
      return {
        more,
        since,
        nextDueAt: more || fresh.length > 0 ? world.clock() : slotAfter(world, feed),
        finishedRequests: finished,
      };
    },
    afterFailure(claim, { request }, error) {
      const { pace, wide } = error.meaning;
      if (pace === 'none' || pace === 'hold') return { nextDueAt: null, counts: false };
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

/** Logs a failure, or that the queue waits as a whole. */
async function reportFailed(
  world: SyncWorld,
  feed: Feed,
  error: SyncError,
  waitsFor: ErrorCode | null,
): Promise<SyncError> {
  if (await holdIfWide(world, error, waitsFor)) return error;
  const { dataset, orgCode: org } = feed;
  const facts = { dataset, org, code: error.code, error: describeError(error, subjectOf(feed)) };
  if (error.meaning.pace === 'none') world.log.info(facts, 'window given back');
  else world.log.warn(facts, 'window failed');
  return error;
}
