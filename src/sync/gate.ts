import { describeError, type SyncError } from '../core/errors.ts';
import { isOutage, OUTAGE_FEEDS } from '../core/outage.ts';
import type { SyncWorld } from './sync-window.ts';

/** Newest runs that are looked at to tell a feed's trouble from the platform's. */
const RECENT_RUNS = 50;

/** How a turn may begin: freely, as the one probe while the queue waits, or not at all. */
export type Entry = 'free' | 'probe' | 'held';

/** Asks whether the platform may be asked; while the queue waits, one caller at a time may probe. */
export async function enter({ platformState, clock }: SyncWorld): Promise<Entry> {
  const gate = await platformState.gate(clock());
  if (gate === 'open') return 'free';
  return gate === 'probe' && (await platformState.takeProbe(clock())) ? 'probe' : 'held';
}

/** Lets the queue go on: a feed that went through shows that the platform serves us again. */
export async function reopen({ platformState, log }: SyncWorld): Promise<void> {
  if (await platformState.unblock())
    log.info({}, 'the platform serves us again, the queue goes on');
}

/**
 * Makes the queue wait as a whole where a failure is not the feed's own: refused credentials, or a
 * platform that is away for several feeds in a row (P5). Said once, not for every feed.
 *
 * @returns whether the queue waits now
 */
export async function holdIfWide(world: SyncWorld, error: SyncError): Promise<boolean> {
  const { pace, wide } = error.meaning;
  if (pace !== 'hold' && !(wide && (await showsOutage(world)))) return false;
  if (await world.platformState.block(error, world.clock())) {
    const facts = { code: error.code, error: describeError(error) };
    world.log.error(facts, 'the queue waits as a whole');
  }
  return true;
}

async function showsOutage({ feeds }: SyncWorld): Promise<boolean> {
  return isOutage(await feeds.recentRuns(RECENT_RUNS), await feeds.countActive(OUTAGE_FEEDS));
}
