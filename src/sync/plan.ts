import type { FeedName } from '../core/dataset.ts';
import type { SyncWorld } from './sync-window.ts';

/** Most feeds that one tick wakes; the rest follows with the next. */
const FEEDS_PER_TICK = 5_000;

/** Feeds that one tick wakes while platform or database take no work: some may be held by others. */
const FEEDS_IN_TROUBLE = 10;

/** What planning needs of the world. */
export type PlanWorld = Pick<
  SyncWorld,
  'feeds' | 'platformState' | 'databaseGate' | 'clock' | 'log'
>;

/**
 * Finds the feeds to wake now: those that are due, or a few of which one will probe while the platform
 * refuses us. Runs without a sign of life are ended first, so that their feeds can go on.
 */
export async function planTick(world: PlanWorld): Promise<readonly FeedName[]> {
  const ended = await world.feeds.reap();
  if (ended > 0) world.log.warn({ ended }, 'ended runs without a sign of life');
  const now = world.clock();
  const { state } = await world.platformState.gate(now);
  if (state === 'closed') return [];
  const isTrouble = state === 'probe' || world.databaseGate.trouble() !== null;
  return world.feeds.due(now, isTrouble ? FEEDS_IN_TROUBLE : FEEDS_PER_TICK);
}
