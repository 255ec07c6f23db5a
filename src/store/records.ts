import type { Gap } from '../core/coverage.ts';
import { isoTime, type Json, range, seconds } from '../core/record.ts';
import type { LastRun, PlatformBlock, RunRow, StatusRow } from './ledgers.ts';
import type { RejectRow } from './reject-ledger.ts';

/** A row for programs: the tables' column names, times as ISO 8601 in UTC, lags in seconds. */
export type LedgerRecord = { readonly [name: string]: Json };

/**
 * How a feed stands, as `status --json` and `GET /api/feeds` tell it.
 *
 * @param blocked that the queue waits as a whole, if it does: each feed tells it too
 */
export function statusRecord(row: StatusRow, blocked: PlatformBlock | null): LedgerRecord {
  return {
    feed_id: row.feedId,
    org_code: row.orgCode,
    name: row.orgName,
    dataset: row.dataset,
    state: row.state,
    enabled: row.enabled,
    paused: row.paused,
    every: seconds(row.every),
    since: isoTime(row.since),
    baseline_at: isoTime(row.baselineAt),
    complete_through: isoTime(row.completeThrough),
    watermark: isoTime(row.watermark),
    lag: seconds(row.lag),
    open_gaps: gapsOf(row, 'open'),
    expired_gaps: gapsOf(row, 'expired'),
    accepted_gaps: row.accepted.map(range),
    open_requests: row.openRequests,
    missed: row.missed,
    next_deep_at: isoTime(row.nextDeepAt),
    next_due_at: isoTime(row.nextDueAt),
    last_run: lastRunRecord(row.lastRun),
    consecutive_failures: row.consecutiveFailures,
    last_error_code: row.lastErrorCode,
    last_error: row.lastError,
    blocked_since: isoTime(blocked?.blockedSince ?? null),
  };
}

function gapsOf({ gaps }: StatusRow, state: Gap['state']): Json {
  return gaps
    .filter((gap) => gap.state === state)
    .map((gap) => ({ ...range(gap), recoverable_until: isoTime(gap.recoverableUntil) }));
}

function lastRunRecord(last: LastRun | null): Json {
  if (!last) return null;
  const { startedAt, finishedAt, ...counts } = last;
  return { ...counts, started_at: isoTime(startedAt), finished_at: isoTime(finishedAt) };
}

/** A run, as `runs --json` and `GET /api/runs` tell it. */
export function runRecord(row: RunRow): LedgerRecord {
  return rowRecord(row);
}

/** A refused line, masked, as `rejects --json` and `GET /api/rejects` tell it. */
export function rejectRecord(row: RejectRow): LedgerRecord {
  return rowRecord(row);
}

function rowRecord(row: object): LedgerRecord {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]: [string, Json | Date]): [string, Json] => [
      name,
      value instanceof Date ? value.toISOString() : value,
    ]),
  );
}

/** A gap of a feed, as `gaps --json` and `GET /api/gaps` tell it. */
export function gapRecord(
  feed: Pick<StatusRow, 'feedId' | 'orgCode' | 'dataset'>,
  gap: Gap,
): LedgerRecord {
  return {
    feed_id: feed.feedId,
    org_code: feed.orgCode,
    dataset: feed.dataset,
    state: gap.state,
    during: range(gap),
    length: seconds(gap.to - gap.from),
    recoverable_until: isoTime(gap.recoverableUntil),
  };
}
