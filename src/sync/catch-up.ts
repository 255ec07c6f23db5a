import { watermark } from '../core/coverage.ts';
import type { FeedName } from '../core/dataset.ts';
import { describeError, type ErrorCode, type SyncError, toSyncError } from '../core/errors.ts';
import { isSlowToFail } from '../core/slots.ts';
import { longestWindow } from '../core/window.ts';
import { windowLimit } from '../core/window-limit.ts';
import { finishedRequests, nextWork, type WorkState } from '../core/work.ts';
import { type ClaimOptions, claimFeed } from './feed-claim.ts';
import { type Entry, enter, holdIfWide, reopen } from './gate.ts';
import { failedRun, isRecorded } from './load.ts';
import { decide, deepAfter, noticeDue, slotAfter } from './next-turn.ts';
import type { Feed, FeedClaim, Trigger } from './ports.ts';
import {
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
  /** The queue waits as a whole until the platform serves us again, or the database takes work. */
  | 'held'
  /** It was slow to fail, and as many such feeds as may are being served: it comes again with the next tick. */
  | 'put-off'
  | 'unknown';

/** How a feed is caught up. */
export interface CatchUpOptions extends ClaimOptions {
  readonly trigger: Trigger;
  /** Run even if the feed is not due, and stay with it until it is caught up. */
  readonly regardless?: boolean;
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
  if (!options.regardless && !world.databaseGate.mayEnter()) return 'held';
  try {
    return await serveFeed(world, name, options, signal);
  } catch (cause) {
    throw noteDatabase(world, toSyncError(cause));
  }
}

/** What a failure tells of the database: whether it can take work at all. */
function noteDatabase({ databaseGate }: SyncWorld, error: SyncError): SyncError {
  const { database, pace } = error.meaning;
  if (isRecorded(error)) databaseGate.open();
  else if (database && pace !== 'none') databaseGate.close(error);
  return error;
}

/** Serves a feed, unless the queue waits as a whole, or too many that are slow to fail are being served. */
async function serveFeed(
  world: SyncWorld,
  name: FeedName,
  options: CatchUpOptions,
  signal: AbortSignal,
): Promise<CatchUpOutcome> {
  const feed = await world.feeds.find(name);
  if (!feed) return 'unknown';
  const entry = await enter(world);
  if (entry.way === 'held' && !options.regardless) return 'held';
  // Slow failures must not take up every slot, or those that are well would wait for them. For the one
  // that probes, all wait.
  const isFree = options.regardless || entry.way === 'probe' || !isSlowToFail(feed.failedAfter);
  const leave = isFree ? () => {} : world.failing.take();
  if (!leave) return 'put-off';
  try {
    return await serveTurns(world, feed, { ...options, entry, leave }, signal);
  } finally {
    leave();
  }
}

/** Options of all turns with one feed. */
interface ServeOptions extends CatchUpOptions {
  readonly entry: Entry;
  /** Gives the slot back that it may hold for its failures. */
  readonly leave: () => void;
}

/** Takes one turn after another with a feed. */
async function serveTurns(
  world: SyncWorld,
  feed: Feed,
  { entry, leave, ...options }: ServeOptions,
  signal: AbortSignal,
): Promise<CatchUpOutcome> {
  const sliceEnd = world.clock() + world.settings.slice;
  let isOver = false;
  for (;;) {
    const isProbe = entry.way === 'probe' && !options.regardless && !isOver;
    const turn = await takeTurn(world, feed, { ...options, isProbe, waitsFor: entry.code }, signal);
    isOver = true;
    const wentThrough = turn === 'caught-up' || turn === 'loaded';
    // However much it has to catch up with: it fails no more.
    if (wentThrough) leave();
    if (wentThrough && entry.code !== null) await reopen(world);
    if (turn !== 'loaded') return turn;
    if (!options.regardless && world.clock() >= sliceEnd) return 'sliced';
  }
}

/** Options of one turn. */
interface TurnOptions extends CatchUpOptions {
  /** Why the queue waits as a whole: the turn is a probe, whose failure is not the feed's. */
  readonly waitsFor: ErrorCode | null;
  /** Whether the turn may ask the platform only as the one probe of all feeds. */
  readonly isProbe: boolean;
}

/** Claims the feed for one window; `loaded` if there may be more. */
async function takeTurn(
  world: SyncWorld,
  { id }: Feed,
  options: TurnOptions,
  signal: AbortSignal,
): Promise<CatchUpOutcome | 'loaded'> {
  // Asked for at the same time, to wait once; anew behind a wait for the feed, which may be long.
  const skewed = options.wait ? null : world.platformState.clockSkew();
  skewed?.catch(() => {});
  const claim = await claimFeed(world, id, options, signal);
  if (!claim) return 'busy';
  try {
    const { feed } = claim;
    if (!options.regardless && !(feed.active && feed.nextDueAt <= world.clock())) return 'not-due';
    const skew = await (skewed ?? world.platformState.clockSkew());
    const now = world.clock() + skew;
    const work = nextWork(workState(claim, world.settings), world.settings, now);
    if (!work) {
      const finished = finishedRequests(claim.requests, now).map((request) => request.id);
      const left = claim.requests.length > finished.length;
      const deep = left ? null : deepAfter(world, feed, [], now);
      await claim.settle({
        nextDueAt: left || deep?.during ? world.clock() : slotAfter(world, feed),
        noticeDueAt: noticeDue(world),
        finishedRequests: finished,
        deep,
      });
      world.databaseGate.open();
      return 'nothing-to-do';
    }
    // Not before: whoever has no work or finds the feed held must not use the probe up.
    if (options.isProbe && !(await world.platformState.takeProbe(world.clock()))) return 'held';
    const task = { work, trigger: triggerOf(feed, options), now };
    const outcome = await syncWindow(world, claim, task, decide(world, options.waitsFor !== null));
    world.databaseGate.open();
    const { dataset, orgCode: org } = feed;
    const facts = { dataset, org, run: outcome.runId };
    const { missed, receipt, bytes, ms } = outcome;
    world.log.info({ ...facts, ...receipt, bytes, ms }, 'window loaded');
    if (missed > 0) world.log.warn({ ...facts, missed }, 'rows had been missed');
    options.onWindow?.(outcome);
    return outcome.more ? 'loaded' : 'caught-up';
  } catch (cause) {
    throw await reportFailed(world, claim.feed, toSyncError(cause), options.waitsFor);
  } finally {
    await claim.release();
  }
}

function workState({ feed, requests }: FeedClaim, settings: SyncSettings): WorkState {
  const { since, coverage, lastRuns } = feed;
  return { since, coverage, requests, longest: windowLimit(lastRuns, longestWindow(settings)) };
}

/** A notice that told of a change which is not covered yet woke what else the schedule would have. */
function triggerOf(
  { notifiedAt, coverage }: Feed,
  { trigger }: Pick<CatchUpOptions, 'trigger'>,
): Trigger {
  const isNotified = notifiedAt !== null && notifiedAt > (watermark(coverage) ?? -Infinity);
  return isNotified && trigger === 'schedule' ? 'push' : trigger;
}

/** Logs a failure, or that the queue waits as a whole. */
async function reportFailed(
  world: SyncWorld,
  feed: Feed,
  error: SyncError,
  waitsFor: ErrorCode | null,
): Promise<SyncError> {
  // The database's gate says it, once for all feeds.
  if (error.meaning.database && !isRecorded(error)) return error;
  if (await holdIfWide(world, error, waitsFor)) return error;
  const { dataset, orgCode: org } = feed;
  const run = failedRun(error);
  const told = { code: error.code, error: describeError(error, subjectOf(feed)) };
  const facts = { dataset, org, ...(run !== undefined && { run }), ...told };
  if (error.meaning.pace === 'none') world.log.info(facts, 'window given back');
  else if (error.meaning.pace !== 'steady' || world.databaseGate.maySay(error)) {
    world.log.warn(facts, 'window failed');
  }
  return error;
}
