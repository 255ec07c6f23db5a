import { sql } from 'kysely';
import type { Clock } from '../core/clock.ts';
import { describeError, type ErrorCode, type SyncError } from '../core/errors.ts';
import type { Gate, PlatformState, RequestPacer } from '../sync/ports.ts';
import { guarded } from './database-error.ts';
import type { Database } from './pool.ts';
import { instant, toTimestamp } from './time.ts';

/** How long the queue waits between probes of a platform that refuses us, in milliseconds. */
export const PROBE_EVERY = 30_000;

/** Smaller changes of the clock difference are noise of the `Date` header, in milliseconds. */
const SKEW_STEP = 2_000;

/**
 * How long a process takes for granted that the clock difference it has written is still stored, in
 * milliseconds: another, whose own clock is wrong, may have written over it.
 */
const SKEW_KNOWN = 60_000;

/**
 * What all processes know of the platform together, kept in Postgres so that it outlives Redis.
 *
 * @param clock milliseconds from any moment; it must not be set back
 */
export function openPlatformState(
  db: Database,
  appId: string,
  clock: Clock = () => performance.now(),
): PlatformState {
  let noted: { readonly skew: number; readonly until: number } | null = null;
  let noting: Promise<unknown> = Promise.resolve();
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

    clockSkew: () => guarded(readSkew(db, appId)),

    noteClockSkew(skew): Promise<void> {
      // One after the other, so that the last one told is the one that stays.
      const written = noting.then(async () => {
        if (noted && clock() < noted.until && !differs(skew, noted.skew)) return;
        noted = null;
        const stored = await guarded(writeSkew(db, appId, skew));
        noted = { skew: stored, until: clock() + SKEW_KNOWN };
      });
      noting = written.catch(() => {});
      return written;
    },
  };
}

function differs(skew: number, known: number): boolean {
  return Math.abs(skew - known) >= SKEW_STEP;
}

/**
 * Stores a clock difference, unless what is stored is the same but for noise; answers what is stored
 * then. All in milliseconds.
 */
async function writeSkew(db: Database, appId: string, skew: number): Promise<number> {
  const seen = { clock_skew: skew / 1000 };
  const known = sql.ref('vcc.platform_state.clock_skew');
  const change = sql<boolean>`${known} is null
    or abs(${known} - ${seen.clock_skew}) >= ${SKEW_STEP / 1000}`;
  const written = await db
    .insertInto('vcc.platform_state')
    .values({ app_id: appId, ...seen })
    .onConflict((conflict) => conflict.column('app_id').doUpdateSet(seen).where(change))
    .returning('clock_skew')
    .executeTakeFirst();
  return written ? skew : readSkew(db, appId);
}

/** The stored clock difference in milliseconds; 0 before one was seen. */
async function readSkew(db: Database, appId: string): Promise<number> {
  const stored = await db
    .selectFrom('vcc.platform_state')
    .select('clock_skew')
    .where('app_id', '=', appId)
    .executeTakeFirst();
  return (stored?.clock_skew ?? 0) * 1000;
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
