import { sql } from 'kysely';
import { describeError, type ErrorCode, type SyncError } from '../core/errors.ts';
import type { Gate, PlatformState, RequestPacer } from '../sync/ports.ts';
import { guarded } from './database-error.ts';
import type { Database } from './pool.ts';
import { instant, toTimestamp } from './time.ts';

/** How long the queue waits between probes of a platform that refuses us, in milliseconds. */
export const PROBE_EVERY = 30_000;

/** Smaller changes of the clock difference are noise of the `Date` header, in milliseconds. */
const SKEW_STEP = 2_000;

/** What all processes know of the platform together, kept in Postgres so that it outlives Redis. */
export function openPlatformState(db: Database, appId: string): PlatformState {
  let notedSkew: number | null = null;
  const row = db.selectFrom('vcc.platform_state').where('app_id', '=', appId);
  const change = db.updateTable('vcc.platform_state').where('app_id', '=', appId);
  const changed = async (update: typeof change): Promise<boolean> =>
    (await guarded(update.executeTakeFirst())).numUpdatedRows === 1n;
  return {
    async gate(now): Promise<Gate> {
      const query = row
        .select((eb) => [eb('probe_at', '>', instant(now)).as('waiting'), 'error_code as code'])
        .where('blocked_since', 'is not', null)
        .$narrowType<{ code: ErrorCode }>();
      const blocked = await guarded(query.executeTakeFirst());
      if (!blocked) return { state: 'open', code: null };
      return { state: blocked.waiting ? 'closed' : 'probe', code: blocked.code };
    },

    takeProbe(now): Promise<boolean> {
      // The next probe is put off in the same moment, so that only one caller gets this one.
      const probeAt = toTimestamp(now + PROBE_EVERY);
      return changed(change.set({ probe_at: probeAt }).where('probe_at', '<=', instant(now)));
    },

    async block(error: SyncError, now): Promise<boolean> {
      const refusal = change.set({
        probe_at: toTimestamp(now + PROBE_EVERY),
        error_code: error.code,
        error_message: describeError(error),
      });
      await guarded(
        db
          .insertInto('vcc.platform_state')
          .values({ app_id: appId })
          .onConflict((conflict) => conflict.doNothing())
          .execute(),
      );
      const first = refusal.set({ blocked_since: toTimestamp(now) });
      if (await changed(first.where('blocked_since', 'is', null))) return true;
      await changed(refusal.where('blocked_since', 'is not', null));
      return false;
    },

    unblock(): Promise<boolean> {
      const open = { blocked_since: null, probe_at: null, error_code: null, error_message: null };
      return changed(change.set(open).where('blocked_since', 'is not', null));
    },

    async clockSkew(): Promise<number> {
      const known = await guarded(row.select('clock_skew').executeTakeFirst());
      return (known?.clock_skew ?? 0) * 1000;
    },

    async noteClockSkew(skew): Promise<void> {
      if (notedSkew !== null && Math.abs(skew - notedSkew) < SKEW_STEP) return;
      notedSkew = skew;
      const seen = { clock_skew: skew / 1000 };
      await guarded(
        db
          .insertInto('vcc.platform_state')
          .values({ app_id: appId, ...seen })
          .onConflict((conflict) => conflict.column('app_id').doUpdateSet(seen))
          .execute(),
      );
    },
  };
}

/**
 * Spaces requests out evenly across all processes: each takes the next free slot of one row.
 *
 * @param maxPerSecond requests a second, all processes together
 */
export function openRequestPacer(db: Database, appId: string, maxPerSecond: number): RequestPacer {
  const slot = sql`make_interval(secs => ${1 / maxPerSecond})`;
  const query = db
    .insertInto('vcc.platform_state')
    .values({ app_id: appId, next_request_at: sql<Date>`clock_timestamp() + ${slot}` })
    .onConflict((conflict) =>
      conflict.column('app_id').doUpdateSet(({ ref }) => ({
        next_request_at: sql<Date>`greatest(${ref('vcc.platform_state.next_request_at')},
          clock_timestamp()) + ${slot}`,
      })),
    )
    .returning(({ ref }) =>
      sql<number>`greatest(0, extract(epoch from ${ref('next_request_at')} - ${slot}
        - clock_timestamp()) * 1000)::float8`.as('wait'),
    );
  return { reserve: async () => (await query.executeTakeFirstOrThrow()).wait };
}
