import type { FastifyReply } from 'fastify';
import { openRequestStore } from '../store/requests.ts';
import { type PreviewedWindow, previewWindows } from '../sync/preview.ts';
import { type RequestedFeed, requestResync } from '../sync/resync.ts';
import { planResync, type ResyncPlan } from '../sync/resync-plan.ts';
import { whileAwaited } from './awaited.ts';
import type { CheckedResync } from './resync-choice.ts';
import type { WebOptions } from './server.ts';

/** How long a preview may take, in milliseconds: somebody waits for the answer, and a proxy with them. */
const PREVIEW_LIMIT = 120_000;

/** What pages and API need of the world for a re-sync. */
export type ResyncOptions = Pick<WebOptions, 'world' | 'db'>;

/** Lays out what a re-sync will do. */
export function planOf({ world, db }: ResyncOptions, wish: CheckedResync): Promise<ResyncPlan> {
  return planResync({ sync: world, requests: openRequestStore(db) }, wish);
}

/** Looks at every window of a plan, until whoever asked has gone away. */
export async function previewOf(
  { world }: ResyncOptions,
  { feeds }: ResyncPlan,
  { force, maxRejects }: CheckedResync,
  reply: FastifyReply,
): Promise<readonly PreviewedWindow[]> {
  return whileAwaited(reply, async (signal) => {
    const windows: PreviewedWindow[] = [];
    const options = { force, maxRejects, limit: PREVIEW_LIMIT };
    for await (const one of previewWindows(world, feeds, options, signal)) windows.push(one);
    return windows;
  });
}

/**
 * Records a re-sync.
 *
 * @throws FatalError CONFIG, with nothing recorded, if something has changed since it was checked
 */
export function recordOf(
  { world, db }: ResyncOptions,
  wish: CheckedResync,
  requestedBy: string,
): Promise<readonly RequestedFeed[]> {
  const requests = openRequestStore(db);
  return requestResync({ requests, clock: world.clock }, { ...wish, requestedBy });
}
