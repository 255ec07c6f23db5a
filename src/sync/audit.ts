import {
  closedWindows,
  isUnreadable,
  latenessOf,
  spreadEvenly,
  stillAskedFor,
} from '../core/audit.ts';
import { floorSecond, MINUTE } from '../core/china-time.ts';
import { watermark } from '../core/coverage.ts';
import type { DatasetName } from '../core/dataset.ts';
import {
  type ErrorCode,
  FatalError,
  InterruptedError,
  RetryableError,
  type SyncError,
  toSyncError,
} from '../core/errors.ts';
import { type Finding, firstOfEach } from '../core/finding.ts';
import type { Interval, IntervalSet } from '../core/interval.ts';
import { LONGEST_REQUEST, reach, splitWindow } from '../core/window.ts';
import { chooseFeeds } from './feed-choice.ts';
import { checkRejects } from './load.ts';
import { narrowDown } from './narrow.ts';
import type { Comparison, ComparisonRequest, Feed, FeedStaging } from './ports.ts';
import { stopsAll } from './preview.ts';
import type { RequestStore } from './resync.ts';
import { lookInto, openTable, stageTable } from './staged-table.ts';
import type { SyncWorld } from './sync-window.ts';
import { Tally } from './tally.ts';

/** How closely a missed change is placed in time, and how many requests that may take a window. */
const NARROW = { precision: MINUTE, requests: 40 };

/** Missed rows of a window that are placed in time, of each kind. */
const PLACED = 100;

/** Differing rows of a window that may be looked for in what has changed since; of more, the rest counts as it is. */
const LOOKED_FOR = 100_000;

/** A feed whose past is to be read again. */
export interface AuditWish {
  readonly orgCode: string;
  readonly dataset: DatasetName;
  /** How many of the month's closed windows, spread evenly; null: all of them. */
  readonly windows: number | null;
  /** Whether an audit that was interrupted is given up instead of gone on with. */
  readonly afresh: boolean;
  readonly reason: string | null;
  /** Who wants it, such as `cli:root`. */
  readonly requestedBy: string;
}

/** A window of an audit that is still to be read. */
export interface OpenWindow {
  readonly id: number;
  readonly during: Interval;
}

/** An audit on record. */
export interface OpenAudit {
  readonly requestId: number;
  readonly windows: readonly OpenWindow[];
}

/** Where audits are written down: what is done of them stays done. */
export interface AuditStore {
  /** The unfinished audit of a feed; null if there is none. */
  open(feedId: number): Promise<OpenAudit | null>;
  /** Records an audit and its windows. */
  plan(request: ComparisonRequest, windows: IntervalSet): Promise<OpenAudit>;
  /** Records what a window was found to be, once. */
  finish(window: OpenWindow, comparison: Comparison): Promise<void>;
  /** Records that a window can not be compared, and why. */
  refuse(window: OpenWindow, code: ErrorCode): Promise<void>;
  /** Ends an audit; its windows that were not read are forgotten. */
  close(requestId: number): Promise<void>;
  /** When runs last asked for all of an interval, by the platform's clock; null if no run is left that did. */
  lastAsked(feedId: number, during: Interval): Promise<number | null>;
}

/** What an audit needs of the world. */
export interface AuditWorld {
  readonly sync: SyncWorld;
  readonly requests: Pick<RequestStore, 'feedsOf'>;
  readonly audits: AuditStore;
}

/** What became of a window. */
export interface AuditedWindow {
  readonly during: Interval;
  /** Null if it was read and compared. */
  readonly error: SyncError | null;
}

/** What became of an audit. */
export interface AuditOutcome {
  readonly requestId: number;
  /** Whether it went on with one that had been interrupted. */
  readonly resumed: boolean;
  /** How many closed windows it was chosen from; null where it went on. */
  readonly closed: number | null;
  /** Whether all its windows have been read, or can not be. */
  readonly isDone: boolean;
}

/**
 * Reads closed windows of a feed again, one after another, and writes down what was missed, when it
 * changed at the source and how late it came at least. The tables are not touched.
 *
 * A platform may answer an old window with rows as they are now (P7): what has changed since at a time that
 * the next runs will ask for is not judged. A window whose answer can not be read is recorded as such.
 *
 * A window that was read stays so: an audit that is interrupted, or whose platform is away, goes on when
 * it is asked for again.
 *
 * @throws FatalError CONFIG if there is nothing to read again, or organisation or dataset is not there
 * @throws InterruptedError when the signal aborts
 */
export async function auditFeed(
  world: AuditWorld,
  wish: AuditWish,
  onWindow: (window: AuditedWindow, place: { done: number; all: number }) => void,
  signal: AbortSignal,
): Promise<AuditOutcome> {
  const { orgCode, dataset } = wish;
  chooseFeeds(await world.requests.feedsOf(orgCode), orgCode, [dataset]);
  const feed = (await world.sync.feeds.find({ dataset, orgCode }))!;
  const { resumed, requestId, closed, windows } = await openAudit(world, feed, wish);
  let isDone = true;
  for (const [index, window] of windows.entries()) {
    const error = await auditWindow(world, feed, window, signal).then(() => null, toSyncError);
    if (signal.aborted) throw new InterruptedError('stopped; the windows that were read stay read');
    if (error && isUnreadable(error.code)) await world.audits.refuse(window, error.code);
    else isDone &&= error === null;
    onWindow({ during: window.during, error }, { done: index + 1, all: windows.length });
    if (error && stopsAll(error)) break;
  }
  if (isDone) await world.audits.close(requestId);
  return { requestId, resumed, closed, isDone };
}

/** Goes on with an interrupted audit, or plans one. */
async function openAudit(
  { sync, audits }: AuditWorld,
  feed: Feed,
  { windows: count, afresh, reason, requestedBy }: AuditWish,
): Promise<OpenAudit & Pick<AuditOutcome, 'resumed' | 'closed'>> {
  const now = sync.clock() + (await sync.platformState.clockSkew());
  const open = await audits.open(feed.id);
  if (open && !afresh) {
    // What dropped out of reach meanwhile can not be read any more.
    const windows = open.windows.filter(({ during }) => during.from >= reach(now));
    return { ...open, windows, resumed: true, closed: null };
  }
  // What is later than this is still asked for by the next run.
  const to = (watermark(feed.coverage) ?? -Infinity) - sync.settings.overlap;
  const closed = closedWindows(feed.coverage, { from: reach(now), to });
  const [first] = closed;
  if (first === undefined) {
    throw new FatalError(
      'CONFIG',
      'nothing of the past month is loaded yet: there is nothing to audit',
    );
  }
  if (open) await audits.close(open.requestId);
  const windows = spreadEvenly(closed, count ?? closed.length);
  const during = { from: windows[0]!.from, to: windows.at(-1)!.to };
  const request = { kind: 'audit', feedId: feed.id, during, reason, requestedBy } as const;
  const planned = await audits.plan(request, windows);
  return { ...planned, resumed: false, closed: closed.length };
}

async function auditWindow(
  world: AuditWorld,
  feed: Feed,
  window: OpenWindow,
  signal: AbortSignal,
): Promise<void> {
  const { during } = window;
  // As a re-sync of that day would ask, so that both judge alike.
  const from = during.from - world.sync.settings.overlap;
  const options = { from, asOf: during.to, full: false, told: LOOKED_FOR };
  const compare = (staging: FeedStaging) => staging.compare(options);
  const { findings, ...counts } = await withStaged(world.sync, feed, during, signal, compare);
  const changed = findings.filter(({ kind }) => kind === 'changed').map(({ rowKey }) => rowKey);
  const newer = await changedSince(world.sync, { feed, at: during.to }, changed, signal);
  const judged = findings.filter(({ kind, rowKey }) => kind !== 'changed' || !newer.has(rowKey));
  const placed = await place(world, feed, during, firstOfEach(judged), signal);
  await world.audits.finish(window, {
    ...counts,
    changed: counts.changed - newer.size,
    stale: counts.stale + newer.size,
    kind: 'window',
    during,
    asOf: during.to,
    compared: counts.sourceRows,
    findings: placed,
  });
}

/** Which of these rows have changed since, at a time for which the next runs will ask. */
async function changedSince(
  sync: SyncWorld,
  { feed, at }: { readonly feed: Feed; readonly at: number },
  keys: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  if (keys.length === 0) return found;
  const to = floorSecond(sync.clock() + (await sync.platformState.clockSkew()));
  const since = stillAskedFor(feed.coverage, { from: at, to }, sync.settings.overlap);
  for (const interval of since.flatMap((one) => splitWindow(one, LONGEST_REQUEST))) {
    const look = (staging: FeedStaging) => staging.staged(keys);
    const there = await withStaged(sync, feed, interval, signal, look).catch((cause: unknown) => {
      throw asLater(toSyncError(cause));
    });
    for (const key of there) found.add(key);
  }
  return found;
}

/** The same failure, said to be one of a later time than the window's own. */
function asLater(error: SyncError): SyncError {
  const message = `it was read, but not what has changed since: ${error.message}`;
  if (error instanceof FatalError) return new FatalError(error.code, message, { cause: error });
  if (!(error instanceof RetryableError)) return error;
  const { code, retryAfter } = error;
  return new RetryableError(code, message, { retryAfter, cause: error });
}

/** Tells when missed rows changed, and how late they came at least. */
async function place(
  { sync, audits }: AuditWorld,
  feed: Feed,
  during: Interval,
  findings: readonly Finding[],
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const keys = firstOfEach(findings, {}, PLACED).map(({ rowKey }) => rowKey);
  const has = async (interval: Interval, sought: readonly string[]) => {
    const look = (staging: FeedStaging) => staging.staged(sought);
    try {
      return await withStaged(sync, feed, interval, signal, look);
    } catch (cause) {
      if (isUnreadable(toSyncError(cause).code)) return null;
      throw cause;
    }
  };
  const places = await narrowDown(during, keys, NARROW, has);
  // Rows that are late come together: few intervals, many rows.
  const lates = new Map<Interval, number>();
  for (const at of new Set([during, ...places.values()])) {
    const asked = await audits.lastAsked(feed.id, at);
    lates.set(at, latenessOf(at, asked, sync.settings.settle));
  }
  return findings.map((finding) => {
    const at = places.get(finding.rowKey) ?? during;
    return { ...finding, during: at, late: lates.get(at)! };
  });
}

/** Downloads and stages exactly an interval, looks at it and gives it up again. */
function withStaged<T>(
  sync: SyncWorld,
  feed: Feed,
  interval: Interval,
  signal: AbortSignal,
  look: (staging: FeedStaging) => Promise<T>,
): Promise<T> {
  return lookInto(sync, feed.id, signal, async (staging) => {
    const tally = new Tally(async () => new Set());
    const table = await openTable(sync, staging, interval);
    await stageTable(sync, staging, table, tally);
    checkRejects(tally, null);
    return look(staging);
  });
}
