import type { PoolClient } from 'pg';
import { FEED_LOCK, PREVIEW_LOCK } from './heartbeat.ts';
import { PLAN_FOR_FEW } from './load-window.ts';

/** What a feed is taken for: how its transaction begins, and which of its locks it takes. */
export interface Purpose {
  readonly begin: string;
  readonly lock: number;
}

/** A run: it is the only one of its feed. */
export const RUN: Purpose = { begin: 'begin', lock: FEED_LOCK };
/** A look beside runs, which can write to nothing but its staging table. */
export const PREVIEW: Purpose = { begin: 'begin read only', lock: PREVIEW_LOCK };

/** Begins a transaction, asks for an advisory lock of the feed and reads Postgres's clock, in one round trip. */
export async function beginLocked(
  client: PoolClient,
  { begin, lock }: Purpose,
  feedId: number,
): Promise<{ held: boolean; now: number }> {
  // Several statements at once take no parameters; both are numbers of our own.
  const results: unknown = await client.query(`${begin};
    select pg_try_advisory_xact_lock(${lock}, ${feedId}) as held,
      (extract(epoch from clock_timestamp()) * 1000)::float8 as now;
    ${PLAN_FOR_FEW}`);
  const [, locked] = results as { rows: { held: boolean; now: number }[] }[];
  return locked!.rows[0]!;
}
