import type { FastifyReply } from 'fastify';
import { openRejectStore } from '../store/replay.ts';
import type { ReplayFilter } from '../sync/ports.ts';
import { type ReplayedFeed, replayRejects } from '../sync/replay.ts';
import { whileAwaited } from './awaited.ts';
import type { CheckedReplay } from './reject-choice.ts';
import type { WebOptions } from './server.ts';

/** How long a replay may take, in milliseconds: somebody waits for the answer, and a proxy with them. */
const REPLAY_LIMIT = 120_000;

/** What pages and API need of the world for a replay. */
export type ReplayOptions = Pick<WebOptions, 'world' | 'db'>;

/** What is to be replayed, and by whom. */
export interface ReplayTask extends CheckedReplay {
  /** With a repaired line, one id. */
  readonly filter: ReplayFilter;
  readonly requestedBy: string;
}

/**
 * Loads refused lines after all, until time is up or whoever asked has gone away: what has gone in by
 * then stays, the rest stays open.
 *
 * @throws FatalError CONFIG, with nothing recorded, for a repaired line whose reject is not open
 */
export function replayOf(
  { world, db }: ReplayOptions,
  { filter, why, line, requestedBy }: ReplayTask,
  reply: FastifyReply,
): Promise<ReplayedFeed[]> {
  const repairs = line !== null && filter.id !== undefined ? new Map([[filter.id, line]]) : null;
  return whileAwaited(reply, (gone) =>
    replayRejects(
      { ...world, rejects: openRejectStore(db) },
      { filter, repairs, reason: why, requestedBy },
      {},
      AbortSignal.any([gone, AbortSignal.timeout(REPLAY_LIMIT)]),
    ),
  );
}
