import type { PoolClient } from 'pg';
import type { OpenRequest } from '../core/work.ts';
import type { ClaimedFeed } from '../sync/ports.ts';
import { type Backend, backendOf } from './backend.ts';
import { beginLocked, type Purpose } from './feed-lock.ts';
import { openRequests, readClaimedFeed } from './feeds.ts';
import { type Database, databaseOn, sendTogether, setPipeline } from './pool.ts';
import { prepareStaging } from './staging.ts';

/** A feed under a lock of its own, on the connection that holds it. */
export interface HeldFeed {
  /** Typed queries on that connection, and so in its transaction. */
  readonly db: Database;
  readonly feed: ClaimedFeed;
  readonly requests: readonly OpenRequest[];
  /** Postgres's clock, in milliseconds. */
  readonly databaseNow: number;
  readonly backend: Backend;
}

/**
 * Begins a transaction that holds a feed's lock, and reads what its turn is decided by; null if another
 * has the lock. Either way the transaction is open.
 */
export async function holdFeed(
  client: PoolClient,
  purpose: Purpose,
  feedId: number,
): Promise<HeldFeed | null> {
  await prepareStaging(client);
  const backend = await backendOf(client);
  const db = databaseOn(client);
  // Of a window of few rows it is the way to Postgres and back that takes the time.
  setPipeline(client, true);
  sendTogether(client);
  const [{ held, now }, feed, requests] = await Promise.all([
    beginLocked(client, purpose, feedId),
    // Behind the lock, so that what they find is what its last holder left.
    readClaimedFeed(db, feedId),
    openRequests(db, feedId),
  ]);
  return held ? { db, feed, requests, databaseNow: now, backend } : null;
}
