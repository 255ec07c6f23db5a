import { type Expression, type RawBuilder, type Selectable, sql } from 'kysely';
import { jsonBuildObject } from 'kysely/helpers/postgres';
import type { DatasetName } from '../core/dataset.ts';
import {
  type FeedFacts,
  type FeedHealth,
  feedHealth,
  type HealthSettings,
} from '../core/health.ts';
import type { Receipt } from '../core/receipt.ts';
import type { Trigger } from '../sync/ports.ts';
import type { VccRun } from './database.ts';
import { acceptedGaps, documentOrder } from './feeds.ts';
import { type Database, unbound } from './pool.ts';
import { milliseconds, rangesAsJson, readRanges } from './time.ts';

/** Which feeds a ledger is read for; undefined: all. */
export interface LedgerFilter {
  readonly orgCode?: string | undefined;
  readonly dataset?: DatasetName | undefined;
}

/** How a run ended, or that it has not. */
export type RunStatus = 'running' | 'done' | 'failed' | 'interrupted';

/** The newest run of a feed; times in milliseconds. */
export interface LastRun
  extends Pick<Receipt, 'lines' | 'rejected' | 'inserted' | 'updated' | 'unchanged' | 'stale'> {
  readonly id: number;
  readonly status: RunStatus;
  readonly startedAt: number;
  readonly finishedAt: number | null;
}

/** A feed with its health and its newest run; times and durations in milliseconds. */
export interface StatusRow extends FeedFacts, FeedHealth {
  readonly feedId: number;
  readonly orgCode: string;
  readonly orgName: string | null;
  readonly dataset: DatasetName;
  /** Time as of which a full extract was imported; null: only changes are here. */
  readonly baselineAt: number | null;
  /** Null: at once. */
  readonly nextDueAt: number | null;
  readonly openRequests: number;
  readonly nextDeepAt: number | null;
  /** Rows that deep re-reads have found missed, ever. */
  readonly missed: number;
  readonly lastRun: LastRun | null;
  readonly lastErrorCode: string | null;
  readonly lastError: string | null;
}

/** That the queue waits as a whole, since when (milliseconds) and why. */
export interface PlatformBlock {
  readonly appId: string;
  readonly blockedSince: number;
  readonly probeAt: number;
  readonly errorCode: string | null;
  readonly errorMessage: string | null;
}

/** How everything stands. */
export interface Status {
  readonly feeds: readonly StatusRow[];
  /** Null while the platform accepts us. */
  readonly blocked: PlatformBlock | null;
  /** The platform's time by which the feeds are judged, in milliseconds. */
  readonly now: number;
}

/** What `readStatus` may be told besides. */
export interface StatusOptions extends LedgerFilter {
  /** Whose dealings with the platform count; undefined: whichever there are. */
  readonly appId?: string | undefined;
}

/** A time as SQL in whole milliseconds. */
function epoch<T>(time: Expression<T>): RawBuilder<number | Extract<T, null>> {
  return sql`floor(${milliseconds(time)})`;
}

function lastRun(feedId: Expression<number>) {
  return unbound
    .selectFrom('vcc.run as r')
    .select(({ ref }) =>
      jsonBuildObject({
        id: ref('r.id'),
        status: ref('r.status').$castTo<RunStatus>(),
        startedAt: epoch(ref('r.started_at')),
        finishedAt: epoch(ref('r.finished_at')),
        lines: ref('r.lines'),
        rejected: ref('r.rejected'),
        inserted: ref('r.inserted'),
        updated: ref('r.updated'),
        unchanged: ref('r.unchanged'),
        stale: ref('r.stale'),
      }).as('run'),
    )
    .where('r.feed_id', '=', feedId)
    .orderBy('r.id', 'desc')
    .limit(1)
    .$asScalar();
}

function selectStatus(db: Database, { orgCode, dataset }: LedgerFilter) {
  return db
    .selectFrom('vcc.feed as f')
    .innerJoin('vcc.org as o', 'o.org_code', 'f.org_code')
    .select((eb) => [
      'f.id as feedId',
      'f.org_code as orgCode',
      'o.name as orgName',
      'f.dataset',
      eb.and({ 'o.enabled': true, 'f.enabled': true }).as('enabled'),
      'f.paused',
      'f.consecutive_failures as consecutiveFailures',
      'f.missed',
      epoch(eb.ref('f.next_deep_at')).as('nextDeepAt'),
      'f.last_error_code as lastErrorCode',
      'f.last_error as lastError',
      milliseconds(eb.ref('f.every')).as('every'),
      epoch(eb.ref('f.since')).as('since'),
      epoch(eb.ref('f.baseline_at')).as('baselineAt'),
      epoch(sql<Date | null>`nullif(${eb.ref('f.next_due_at')}, '-infinity')`).as('nextDueAt'),
      rangesAsJson(eb.ref('f.coverage')).as('coverage'),
      rangesAsJson(acceptedGaps(eb.ref('f.id'))).as('accepted'),
      eb
        .selectFrom('vcc.request as q')
        .select((of) => of.fn.countAll<number>().as('open'))
        .whereRef('q.feed_id', '=', 'f.id')
        .where('q.finished_at', 'is', null)
        .as('openRequests'),
      // Backends of dead processes leave a run `running` until it is reaped: it shows no life by then.
      eb
        .exists(
          eb
            .selectFrom('vcc.run as r')
            .whereRef('r.feed_id', '=', 'f.id')
            .where('r.status', '=', 'running')
            .where('r.heartbeat_at', '>', sql<Date>`now() - interval '1 minute'`),
        )
        .as('running'),
      lastRun(eb.ref('f.id')).as('lastRun'),
    ])
    .$if(orgCode !== undefined, (q) => q.where('f.org_code', '=', orgCode!))
    .$if(dataset !== undefined, (q) => q.where('f.dataset', '=', dataset!))
    .orderBy('f.org_code')
    .orderBy((eb) => documentOrder(eb.ref('f.dataset')))
    .$narrowType<{
      dataset: DatasetName;
      enabled: boolean;
      openRequests: number;
      running: boolean;
    }>();
}

/**
 * Reads how the feeds stand, and whether the queue waits as a whole.
 *
 * @param now our time in milliseconds; the platform's difference, as last seen, is added
 */
export async function readStatus(
  db: Database,
  settings: HealthSettings,
  now: number,
  options: StatusOptions = {},
): Promise<Status> {
  const [rows, { blocked, skew }] = await Promise.all([
    selectStatus(db, options).execute(),
    readPlatform(db, options.appId),
  ]);
  const platformNow = now + skew;
  const feeds = rows.map((row): StatusRow => {
    const feed = { ...row, coverage: readRanges(row.coverage), accepted: readRanges(row.accepted) };
    return { ...feed, ...feedHealth(feed, platformNow, settings) };
  });
  return { feeds, blocked, now: platformNow };
}

/** Of an app that is not named a block counts only while somebody still probes: it may be long gone. */
async function readPlatform(
  db: Database,
  appId: string | undefined,
): Promise<{ readonly blocked: PlatformBlock | null; readonly skew: number }> {
  const first = await db
    .selectFrom('vcc.platform_state')
    .select(({ ref }) => [
      'app_id as appId',
      epoch(ref('blocked_since')).as('blockedSince'),
      epoch(ref('probe_at')).as('probeAt'),
      sql<boolean>`coalesce(${ref('probe_at')} >= now() - interval '10 minutes', false)`.as(
        'probed',
      ),
      'error_code as errorCode',
      'error_message as errorMessage',
      'clock_skew',
    ])
    .$if(appId !== undefined, (q) => q.where('app_id', '=', appId!))
    .orderBy('probed', 'desc')
    // Before a stale block, the app that is in use.
    .orderBy('blocked_since', (order) => order.desc().nullsFirst())
    .limit(1)
    .executeTakeFirst();
  if (!first) return { blocked: null, skew: 0 };
  const { clock_skew, blockedSince, probeAt, probed, ...block } = first;
  const counts = appId !== undefined || probed;
  return {
    // Both times are set together.
    blocked:
      counts && blockedSince !== null && probeAt !== null
        ? { ...block, blockedSince, probeAt }
        : null,
    skew: (clock_skew ?? 0) * 1000,
  };
}

// biome-ignore format: a line a group
const RUN_COLUMNS = [
  'id', 'feed_id', 'org_code', 'dataset', 'trigger', 'request_id',
  'window_from', 'window_to', 'requested_from', 'requested_to',
  'status', 'started_at', 'finished_at', 'heartbeat_at',
  'seq', 'http_status', 'bytes', 'bytes_expected', 'sha256', 'lines', 'accepted', 'rejected',
  'inserted', 'updated', 'unchanged', 'stale', 'duplicate', 'flagged',
  'clock_skew', 'error_code', 'error_message', 'worker',
] as const;

/** Columns whose texts the table's checks hold to a list. */
interface Named {
  readonly dataset: DatasetName;
  readonly trigger: Trigger;
  readonly status: RunStatus;
}

/** A run as its row stands, by the table's column names; times are `Date`s. */
export interface RunRow
  extends Omit<Pick<Selectable<VccRun>, (typeof RUN_COLUMNS)[number]>, keyof Named>,
    Named {}

/** The newest runs, newest first. */
export function listRuns(
  db: Database,
  options: LedgerFilter & { readonly status?: RunStatus | undefined; readonly limit: number },
): Promise<RunRow[]> {
  const { orgCode, dataset, status, limit } = options;
  const newest = db
    .selectFrom('vcc.run')
    .select(RUN_COLUMNS)
    .$if(status !== undefined, (q) => q.where('status', '=', status!))
    .orderBy('id', 'desc')
    .limit(limit);
  if (orgCode === undefined) {
    return newest
      .$if(dataset !== undefined, (q) => q.where('dataset', '=', dataset!))
      .$narrowType<Named>()
      .execute();
  }
  // Feed by feed, as the index `run_feed_id_idx` has them: an organisation may have few among many.
  return db
    .selectFrom('vcc.feed as f')
    .innerJoinLateral(newest.whereRef('feed_id', '=', sql.ref('f.id')).as('r'), (join) =>
      join.onTrue(),
    )
    .selectAll('r')
    .where('f.org_code', '=', orgCode)
    .$if(dataset !== undefined, (q) => q.where('f.dataset', '=', dataset!))
    .orderBy('r.id', 'desc')
    .limit(limit)
    .$narrowType<Named>()
    .execute();
}
