import { describeError, type ErrorCode, type SyncError } from '../core/errors.ts';
import { isOutage, OUTAGE_FEEDS } from '../core/outage.ts';
import type { SyncWorld } from './sync-window.ts';

/** Newest runs that are looked at to tell a feed's trouble from the platform's. */
const RECENT_RUNS = 50;

/** How a turn may begin: freely, as a probe while the queue waits, or not at all. */
export interface Entry {
  /** A `probe` still has to be taken, by the one that holds a feed with work. */
  readonly way: 'free' | 'probe' | 'held';
  /** Why the queue waits; null while it does not. */
  readonly code: ErrorCode | null;
}

/** Asks whether the platform may be asked. */
export async function enter({ platformState, clock }: SyncWorld): Promise<Entry> {
  const { state, code } = await platformState.gate(clock());
  const ways = { open: 'free', probe: 'probe', closed: 'held' } as const;
  return { way: ways[state], code };
}

/** Lets the queue go on: what it waited for is over. */
export async function reopen({ platformState, log }: SyncWorld): Promise<void> {
  if (await platformState.unblock()) log.info({}, 'a feed went through again, the queue goes on');
}

/**
 * Makes the queue wait as a whole where a failure is not the feed's own: refused credentials, or what
 * several feeds meet in a row, a platform that is away (P5) or a database that is full. Said once, not
 * for every feed.
 *
 * While it waits, the same failure holds on, and so does any other of that sort: what is away may say so
 * in several ways, as by a gateway whose nodes answer each in their own. A failure of another sort shows
 * that what it waited for is over.
 *
 * @param waitsFor why the queue waits already; null if it does not
 * @returns whether the queue waits now
 */
export async function holdIfWide(
  world: SyncWorld,
  error: SyncError,
  waitsFor: ErrorCode | null,
): Promise<boolean> {
  const { pace, wide } = error.meaning;
  const holds = error.code === waitsFor || (wide && (await showsOutage(world)));
  if (pace === 'hold' || holds) {
    if (await world.platformState.block(error, world.clock())) {
      const facts = { code: error.code, error: describeError(error) };
      world.log.error(facts, 'the queue waits as a whole');
    }
    return true;
  }
  if (waitsFor !== null && pace !== 'none') await reopen(world);
  return false;
}

async function showsOutage({ feeds }: SyncWorld): Promise<boolean> {
  return isOutage(await feeds.recentRuns(RECENT_RUNS), await feeds.countActive(OUTAGE_FEEDS));
}
