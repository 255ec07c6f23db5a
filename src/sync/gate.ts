import { describeError, type ErrorCode, type SyncError } from '../core/errors.ts';
import { isOutage, OUTAGE_FEEDS } from '../core/outage.ts';
import type { SyncWorld } from './sync-window.ts';

/** Newest runs that are looked at to tell a feed's trouble from the platform's. */
const RECENT_RUNS = 50;

/** How a turn may begin: freely, as the one probe while the queue waits, or not at all. */
export interface Entry {
  readonly way: 'free' | 'probe' | 'held';
  /** Why the queue waits; null while it does not. */
  readonly code: ErrorCode | null;
}

/** Asks whether the platform may be asked; while the queue waits, one caller at a time may probe. */
export async function enter({ platformState, clock }: SyncWorld): Promise<Entry> {
  const { state, code } = await platformState.gate(clock());
  if (state === 'open') return { way: 'free', code };
  const mayProbe = state === 'probe' && (await platformState.takeProbe(clock()));
  return { way: mayProbe ? 'probe' : 'held', code };
}

/** Lets the queue go on: the platform serves us again. */
export async function reopen({ platformState, log }: SyncWorld): Promise<void> {
  if (await platformState.unblock())
    log.info({}, 'the platform serves us again, the queue goes on');
}

/**
 * Makes the queue wait as a whole where a failure is not the feed's own: refused credentials, or a
 * platform that is away for several feeds in a row (P5). Said once, not for every feed.
 *
 * While it waits, a failure of another kind shows that what it waited for is over.
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
  const holds = waitsFor === null ? wide && (await showsOutage(world)) : error.code === waitsFor;
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
