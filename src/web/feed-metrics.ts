import { Counter, Gauge, Registry } from 'prom-client';
import { DAY, SECOND } from '../core/china-time.ts';
import { expiringBy, type Gap } from '../core/coverage.ts';
import { MEANINGS } from '../core/errors.ts';
import { FINDING_KINDS } from '../core/finding.ts';
import type { FeedState } from '../core/health.ts';
import { span } from '../core/interval.ts';
import type { FindingCount } from '../store/finding-counts.ts';
import type { Status, StatusRow } from '../store/ledgers.ts';
import type { RejectCount } from '../store/reject-counts.ts';

/** What the database tells of the feeds at one moment. */
export interface Readings {
  readonly status: Status;
  readonly rejects: readonly RejectCount[];
  readonly findings: readonly FindingCount[];
  /** Platform's clock less ours, as last seen, in milliseconds. */
  readonly skew: number;
  /** Interval of feeds that have none of their own, in milliseconds. */
  readonly every: number;
}

/** Every state, so that one without a feed shows as 0. */
const STATES: Readonly<Record<FeedState, true>> = {
  'in step': true,
  late: true,
  failing: true,
  gap: true,
  paused: true,
  disabled: true,
  new: true,
  running: true,
};

/** Codes for which the queue may wait as a whole. */
const BLOCKING: readonly string[] = Object.entries(MEANINGS).flatMap(([code, { pace, wide }]) =>
  pace === 'hold' || wide ? [code] : [],
);

/** How far ahead missing time is warned of that will be lost. */
const EXPIRES_SOON = 3 * DAY;

/** Labels of a feed: as many as there are feeds, and nothing of a person. */
const FEED = ['org', 'dataset'] as const;

const feedLabels = ({ orgCode, dataset }: Pick<StatusRow, 'orgCode' | 'dataset'>) => ({
  org: orgCode,
  dataset,
});

/**
 * Writes down what the database tells as metrics, in a registry of their own: made anew for every
 * scrape, so that what is gone leaves no series behind.
 *
 * Of a disabled feed nothing is promised, so it only counts among the feeds by state.
 */
export function feedMetrics(readings: Readings): Registry {
  const registry = new Registry();
  const { status, rejects, findings, skew } = readings;
  const enabled = status.feeds.filter((feed) => feed.enabled);
  perFeed(registry, enabled, readings);
  countRejects(registry, enabled, rejects);
  countFound(registry, enabled, findings);
  countStates(registry, status.feeds);
  gauge(
    registry,
    'queue_blocked',
    'Whether the queue waits as a whole for the platform (0 or 1).',
  ).set(status.blocked ? 1 : 0);
  const waits = gauge(
    registry,
    'queue_blocked_by',
    'Whether the queue waits as a whole for this reason (0 or 1).',
    ['code'],
  );
  for (const code of BLOCKING) waits.set({ code }, status.blocked?.errorCode === code ? 1 : 0);
  gauge(registry, 'clock_skew_seconds', "Platform's clock less ours, as last seen.").set(
    skew / SECOND,
  );
  return registry;
}

function gauge<L extends string = never>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly L[] = [],
): Gauge<L> {
  return new Gauge<L>({
    name: `vcc_sync_${name}`,
    help,
    labelNames: [...labelNames],
    registers: [registry],
  });
}

type Reading = readonly [name: string, help: string, read: (feed: StatusRow) => number | null];

/** What is told of each feed; null before there is anything to tell. Milliseconds become seconds. */
const READINGS: readonly Reading[] = [
  ['feed_lag_seconds', 'Now less complete through.', ({ lag }) => inSeconds(lag)],
  [
    'feed_watermark_timestamp_seconds',
    'Upper end of the coverage, as Unix time.',
    ({ watermark }) => inSeconds(watermark),
  ],
  [
    'feed_complete_through_timestamp_seconds',
    'End of what is covered without a hole, as Unix time.',
    ({ completeThrough }) => inSeconds(completeThrough),
  ],
  [
    'feed_consecutive_failures',
    'Failed runs since the last good one.',
    ({ consecutiveFailures }) => consecutiveFailures,
  ],
  [
    'feed_gap_recoverable_until_timestamp_seconds',
    'When the first of its missing time drops out of reach, as Unix time.',
    ({ gaps }) => inSeconds(firstLoss(gaps)),
  ],
  ['feed_paused', 'Whether an operator paused it (0 or 1).', ({ paused }) => (paused ? 1 : 0)],
];

/** When the first instant of the open gaps drops out of reach; null if there are none. */
function firstLoss(gaps: readonly Gap[]): number | null {
  const ends = gaps.flatMap(({ recoverableUntil }) => recoverableUntil ?? []);
  return ends.length === 0 ? null : Math.min(...ends);
}

function inSeconds(ms: number | null): number | null {
  return ms === null ? null : ms / SECOND;
}

function perFeed(
  registry: Registry,
  feeds: readonly StatusRow[],
  { status: { now }, every }: Readings,
): void {
  const interval = 'Interval between its synchronisations.';
  const intervals = gauge(registry, 'feed_interval_seconds', interval, FEED);
  for (const feed of feeds) intervals.set(feedLabels(feed), (feed.every ?? every) / SECOND);
  for (const [name, help, read] of READINGS) {
    const metric = gauge(registry, name, help, FEED);
    for (const feed of feeds) {
      const value = read(feed);
      if (value !== null) metric.set(feedLabels(feed), value);
    }
  }
  const help = 'Source time that lacks, by whether it can still be had (open) or not (expired).';
  const lacking = gauge(registry, 'feed_gap_seconds', help, [...FEED, 'state']);
  const soon = 'Source time that lacks and drops out of reach within three days.';
  const expiring = gauge(registry, 'feed_gap_expiring_seconds', soon, FEED);
  const missed = new Counter({
    name: 'vcc_sync_feed_missed_rows_total',
    help: 'Rows that a deep re-read inserted or updated: they had been missed.',
    labelNames: FEED,
    registers: [registry],
  });
  for (const feed of feeds) {
    for (const state of ['open', 'expired'] satisfies Gap['state'][]) {
      const gaps = feed.gaps.filter((gap) => gap.state === state);
      lacking.set({ ...feedLabels(feed), state }, span(gaps) / SECOND);
    }
    expiring.set(feedLabels(feed), span(expiringBy(feed.gaps, now + EXPIRES_SOON)) / SECOND);
    missed.inc(feedLabels(feed), feed.missed);
  }
}

function countRejects(
  registry: Registry,
  feeds: readonly StatusRow[],
  rejects: readonly RejectCount[],
): void {
  const help = 'Refused lines that no good line has replaced and nobody has repaired.';
  const metric = gauge(registry, 'rejects_unresolved', help, [...FEED, 'reason']);
  const known = new Set(feeds.map(({ feedId }) => feedId));
  for (const { feedId, reason, count, ...feed } of rejects) {
    if (known.has(feedId)) metric.set({ ...feedLabels(feed), reason }, count);
  }
}

function countFound(
  registry: Registry,
  feeds: readonly StatusRow[],
  findings: readonly FindingCount[],
): void {
  const help =
    'Rows that the newest comparison with the source found to differ and did not repair, by how they do.';
  const metric = gauge(registry, 'feed_findings', help, [...FEED, 'kind']);
  const known = new Set(feeds.map(({ feedId }) => feedId));
  for (const found of findings) {
    if (!known.has(found.feedId)) continue;
    for (const kind of FINDING_KINDS) metric.set({ ...feedLabels(found), kind }, found[kind]);
  }
}

function countStates(registry: Registry, feeds: readonly StatusRow[]): void {
  const states = gauge(registry, 'feeds', 'Feeds by state, as `vcc-sync status` names it.', [
    'state',
  ]);
  for (const state of Object.keys(STATES)) states.set({ state }, 0);
  for (const { state } of feeds) states.inc({ state });
  gauge(registry, 'runs_running', 'Runs under way in all processes that show life.').set(
    feeds.filter(({ running }) => running).length,
  );
}
