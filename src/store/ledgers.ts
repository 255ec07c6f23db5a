import type pg from 'pg';
import type { DatasetName } from '../core/dataset.ts';
import {
  type FeedFacts,
  type FeedHealth,
  feedHealth,
  type HealthSettings,
} from '../core/health.ts';
import { maskKey, maskLine } from '../core/line-mask.ts';
import type { Receipt } from '../core/receipt.ts';
import type { Trigger } from '../sync/ports.ts';
import { rangesAsJson, readRanges } from './time.ts';

type Ranges = readonly (readonly [number | null, number])[];

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

// Backends of dead processes leave a run `running` until it is reaped: it shows no life by then.
const FEED = `select f.id as "feedId", f.org_code as "orgCode", o.name as "orgName", f.dataset,
    o.enabled and f.enabled as enabled, f.paused, f.consecutive_failures as "consecutiveFailures",
    f.last_error_code as "lastErrorCode", f.last_error as "lastError",
    (extract(epoch from f.every) * 1000)::float8 as every,
    ${epoch('f.since')} as since, ${epoch('f.baseline_at')} as "baselineAt",
    ${epoch("nullif(f.next_due_at, '-infinity')")} as "nextDueAt",
    ${rangesAsJson('f.coverage')} as coverage,
    ${rangesAsJson('(select range_agg(a.during) from vcc.gap_acceptance a where a.feed_id = f.id)')} as accepted,
    (select count(*) from vcc.request q where q.feed_id = f.id and q.finished_at is null) as "openRequests",
    exists (select from vcc.run r where r.feed_id = f.id and r.status = 'running'
      and r.heartbeat_at > now() - interval '1 minute') as running,
    last.run as "lastRun"
  from vcc.feed f join vcc.org o using (org_code)
  left join lateral (
    select json_build_object('id', r.id, 'status', r.status, 'startedAt', ${epoch('r.started_at')},
        'finishedAt', ${epoch('r.finished_at')}, 'lines', r.lines, 'rejected', r.rejected,
        'inserted', r.inserted, 'updated', r.updated, 'unchanged', r.unchanged, 'stale', r.stale) as run
    from vcc.run r where r.feed_id = f.id order by r.id desc limit 1) last on true
  ${whereFeed('f')}
  order by f.org_code, array_position(array['addresses','supply_points','subscribers','meters'], f.dataset)`;

function epoch(expression: string): string {
  return `floor(extract(epoch from ${expression}) * 1000)::float8`;
}

/** SQL that picks by org ($1) and dataset ($2) from a table that has both columns. */
function whereFeed(alias: string): string {
  return `where ($1::text is null or ${alias}.org_code = $1) and ($2::text is null or ${alias}.dataset = $2)`;
}

type FeedRow = Omit<StatusRow, keyof FeedHealth | 'coverage' | 'accepted'> & {
  readonly coverage: Ranges;
  readonly accepted: Ranges;
};

/**
 * Reads how the feeds stand, and whether the queue waits as a whole.
 *
 * @param now our time in milliseconds; the platform's difference, as last seen, is added
 */
export async function readStatus(
  pool: pg.Pool,
  settings: HealthSettings,
  now: number,
  options: StatusOptions = {},
): Promise<Status> {
  const [{ rows }, { blocked, skew }] = await Promise.all([
    pool.query<FeedRow>(FEED, [options.orgCode ?? null, options.dataset ?? null]),
    readPlatform(pool, options.appId),
  ]);
  const platformNow = now + skew;
  const feeds = rows.map((row): StatusRow => {
    const feed = { ...row, coverage: readRanges(row.coverage), accepted: readRanges(row.accepted) };
    return { ...feed, ...feedHealth(feed, platformNow, settings) };
  });
  return { feeds, blocked, now: platformNow };
}

async function readPlatform(
  pool: pg.Pool,
  appId: string | undefined,
): Promise<{ readonly blocked: PlatformBlock | null; readonly skew: number }> {
  const { rows } = await pool.query<PlatformBlock & { skew: number | null }>(
    `select app_id as "appId", ${epoch('blocked_since')} as "blockedSince", ${epoch('probe_at')} as "probeAt",
        error_code as "errorCode", error_message as "errorMessage", clock_skew * 1000 as skew
      from vcc.platform_state where $1::text is null or app_id = $1
      order by blocked_since desc nulls last`,
    [appId ?? null],
  );
  const [first] = rows;
  if (!first) return { blocked: null, skew: 0 };
  const { skew, ...block } = first;
  return { blocked: block.blockedSince === null ? null : block, skew: skew ?? 0 };
}

/** A run as its row stands, by the table's column names; times are `Date`s. */
export interface RunRow extends Receipt {
  readonly id: number;
  readonly feed_id: number;
  readonly org_code: string;
  readonly dataset: DatasetName;
  readonly trigger: Trigger;
  readonly request_id: number | null;
  readonly window_from: Date;
  readonly window_to: Date;
  readonly requested_from: Date | null;
  readonly requested_to: Date | null;
  readonly status: RunStatus;
  readonly started_at: Date;
  readonly finished_at: Date | null;
  readonly heartbeat_at: Date;
  readonly seq: string | null;
  readonly http_status: number | null;
  readonly bytes: number;
  readonly sha256: string | null;
  /** Platform's clock less ours, in seconds. */
  readonly clock_skew: number | null;
  readonly error_code: string | null;
  readonly error_message: string | null;
  readonly worker: string;
}

const RUN_COLUMNS = [
  'id, feed_id, org_code, dataset, trigger, request_id, window_from, window_to, requested_from, requested_to',
  'status, started_at, finished_at, heartbeat_at, seq, http_status, bytes, sha256, lines, accepted, rejected',
  'inserted, updated, unchanged, stale, duplicate, flagged, clock_skew, error_code, error_message, worker',
].join(', ');

/** The newest runs, newest first. */
export async function listRuns(
  pool: pg.Pool,
  options: LedgerFilter & { readonly status?: RunStatus | undefined; readonly limit: number },
): Promise<RunRow[]> {
  const { rows } = await pool.query<RunRow>(
    `select ${RUN_COLUMNS} from vcc.run r
      ${whereFeed('r')} and ($3::text is null or r.status = $3) order by r.id desc limit $4`,
    [options.orgCode ?? null, options.dataset ?? null, options.status ?? null, options.limit],
  );
  return rows;
}

/** A refused line without what it says; times are `Date`s. */
export interface RejectRow {
  readonly id: number;
  readonly feed_id: number;
  readonly org_code: string;
  readonly dataset: DatasetName;
  readonly run_id: number;
  readonly line_no: number;
  readonly reason: string;
  /** Masked where it is no code. */
  readonly row_key: string | null;
  readonly line_hash: string;
  /** Masked; null once its time is over. */
  readonly line: string | null;
  readonly first_seen: Date;
  readonly last_seen: Date;
  readonly resolved_at: Date | null;
  readonly resolved_by_run: number | null;
}

/** Refused lines, last seen first; their text leaves this function only masked (design invariant 9). */
export async function listRejects(
  pool: pg.Pool,
  options: LedgerFilter & {
    readonly reason?: string | undefined;
    /** Those too that are resolved. */
    readonly all: boolean;
    readonly limit: number;
  },
): Promise<RejectRow[]> {
  const { rows } = await pool.query<RejectRow>(
    `select j.id, j.feed_id, f.org_code, f.dataset, j.run_id, j.line_no, j.reason, j.row_key, j.line_hash,
        j.line, j.first_seen, j.last_seen, j.resolved_at, j.resolved_by_run
      from vcc.reject j join vcc.feed f on f.id = j.feed_id
      ${whereFeed('f')} and ($3::text is null or j.reason = $3) and ($4 or j.resolved_at is null)
      order by j.last_seen desc, j.id desc limit $5`,
    [
      options.orgCode ?? null,
      options.dataset ?? null,
      options.reason ?? null,
      options.all,
      options.limit,
    ],
  );
  return rows.map((row) => ({
    ...row,
    row_key: row.row_key === null ? null : maskKey(row.row_key),
    line: row.line === null ? null : maskLine(row.line),
  }));
}
