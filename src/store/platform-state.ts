import type pg from 'pg';
import { describeError, type SyncError } from '../core/errors.ts';
import type { Gate, PlatformState, RequestPacer } from '../sync/ports.ts';
import { databaseError } from './database-error.ts';
import { toTimestamp } from './time.ts';

/** How long the queue waits between probes of a platform that refuses us, in milliseconds. */
export const PROBE_EVERY = 30_000;

/** Smaller changes of the clock difference are noise of the `Date` header, in milliseconds. */
const SKEW_STEP = 2_000;

/** What all processes know of the platform together, kept in Postgres so that it outlives Redis. */
export function openPlatformState(pool: pg.Pool, appId: string): PlatformState {
  let notedSkew: number | null = null;
  const query = async <R extends object>(text: string, values: unknown[]) => {
    try {
      return await pool.query<R>(text, values);
    } catch (error) {
      throw databaseError(error);
    }
  };
  return {
    async gate(now): Promise<Gate> {
      const { rows } = await query<{ waiting: boolean }>(
        'select probe_at > $2 as waiting from vcc.platform_state where app_id = $1 and blocked_since is not null',
        [appId, toTimestamp(now)],
      );
      if (!rows[0]) return 'open';
      return rows[0].waiting ? 'closed' : 'probe';
    },

    async takeProbe(now): Promise<boolean> {
      // The next probe is put off in the same moment, so that only one caller gets this one.
      const { rowCount } = await query(
        'update vcc.platform_state set probe_at = $3 where app_id = $1 and probe_at <= $2',
        [appId, toTimestamp(now), toTimestamp(now + PROBE_EVERY)],
      );
      return rowCount === 1;
    },

    async block(error: SyncError, now): Promise<boolean> {
      const values = [appId, toTimestamp(now + PROBE_EVERY), error.code, describeError(error)];
      await query('insert into vcc.platform_state (app_id) values ($1) on conflict do nothing', [
        appId,
      ]);
      const { rowCount } = await query(
        `update vcc.platform_state set blocked_since = $5, probe_at = $2, error_code = $3, error_message = $4
          where app_id = $1 and blocked_since is null`,
        [...values, toTimestamp(now)],
      );
      if (rowCount === 1) return true;
      await query(
        `update vcc.platform_state set probe_at = $2, error_code = $3, error_message = $4
          where app_id = $1 and blocked_since is not null`,
        values,
      );
      return false;
    },

    async unblock(): Promise<boolean> {
      const { rowCount } = await query(
        `update vcc.platform_state set blocked_since = null, probe_at = null, error_code = null, error_message = null
          where app_id = $1 and blocked_since is not null`,
        [appId],
      );
      return rowCount === 1;
    },

    async clockSkew(): Promise<number> {
      const { rows } = await query<{ clock_skew: number | null }>(
        'select clock_skew from vcc.platform_state where app_id = $1',
        [appId],
      );
      return (rows[0]?.clock_skew ?? 0) * 1000;
    },

    async noteClockSkew(skew): Promise<void> {
      if (notedSkew !== null && Math.abs(skew - notedSkew) < SKEW_STEP) return;
      notedSkew = skew;
      await query(
        `insert into vcc.platform_state (app_id, clock_skew) values ($1, $2)
          on conflict (app_id) do update set clock_skew = excluded.clock_skew`,
        [appId, skew / 1000],
      );
    },
  };
}

/**
 * Spaces requests out evenly across all processes: each takes the next free slot of one row.
 *
 * @param maxPerSecond requests a second, all processes together
 */
export function openRequestPacer(pool: pg.Pool, appId: string, maxPerSecond: number): RequestPacer {
  return {
    async reserve(): Promise<number> {
      const { rows } = await pool.query<{ wait: number }>(
        `insert into vcc.platform_state as p (app_id, next_request_at)
          values ($1, clock_timestamp() + make_interval(secs => $2))
          on conflict (app_id) do update set next_request_at =
            greatest(p.next_request_at, clock_timestamp()) + make_interval(secs => $2)
          returning greatest(0, extract(epoch from next_request_at - make_interval(secs => $2)
            - clock_timestamp()) * 1000)::float8 as wait`,
        [appId, 1 / maxPerSecond],
      );
      return rows[0]!.wait;
    },
  };
}
