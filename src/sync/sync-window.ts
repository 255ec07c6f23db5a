import { formatChinaIso } from '../core/china-time.ts';
import { FatalError, type SyncError, toSyncError } from '../core/errors.ts';
import type { Interval } from '../core/interval.ts';
import { balances, EMPTY_RECEIPT, type Receipt, tooManyRejects } from '../core/receipt.ts';
import type { Charset } from '../core/table/charset.ts';
import type { Quotes } from '../core/table/field-parser.ts';
import type { Reject, Row } from '../core/table/row.ts';
import { type Batch, readTable } from '../core/table/table-reader.ts';
import { requestedInterval, settledUntil, type WindowSettings } from '../core/window.ts';
import type { Work } from '../core/work.ts';
import { CATALOGUE } from '../datasets/catalogue.ts';
import type {
  Download,
  DownloadFacts,
  FeedClaim,
  FeedStore,
  NextTurn,
  Platform,
  PlatformState,
  RunFailure,
  Surroundings,
  Trigger,
} from './ports.ts';

/** Refused lines kept per run; all are counted. */
const KEPT_REJECTS = 1000;

/** Settings of a sync; durations in milliseconds. */
export interface SyncSettings extends WindowSettings {
  /** Interval between synchronisations of a feed that has none of its own. */
  readonly every: number;
  /** How long a worker stays with one feed. */
  readonly slice: number;
  readonly retryBase: number;
  readonly retryMax: number;
  readonly charset: Charset | 'auto';
  readonly quotes: Quotes;
  /** Whether rows of another organisation are refused or stored under their own. */
  readonly otherOrgs: 'reject' | 'accept';
}

/** The world of a sync. */
export interface SyncWorld extends Surroundings {
  readonly platform: Platform;
  readonly platformState: PlatformState;
  readonly feeds: FeedStore;
  readonly settings: SyncSettings;
  /** Told how a download comes along; for a progress bar. */
  readonly onProgress?: (progress: Progress) => void;
}

/** How far a window has come. */
export interface Progress {
  readonly runId: number;
  /** Bytes of the decoded body so far. */
  readonly bytes: number;
  readonly lines: number;
}

/** A window that was loaded and committed. */
export interface WindowOutcome {
  readonly runId: number;
  readonly window: Interval;
  readonly receipt: Receipt;
  /** Whether there is more to load at once. */
  readonly more: boolean;
}

/** What to load, and why. */
export interface WindowTask {
  readonly work: Work;
  readonly trigger: Trigger;
  /** The platform's time, in milliseconds. */
  readonly now: number;
}

/** What the schedule makes of a commit or a failure. */
export interface Decisions {
  /** After the commit: when the feed is due next and which requests are finished. */
  afterCommit(
    claim: FeedClaim,
    task: WindowTask,
    covered: Interval,
  ): NextTurn & { readonly more: boolean; readonly since: number };
  /** After a failure: when the feed is tried again and whether it counts against it. */
  afterFailure(
    claim: FeedClaim,
    work: Work,
    error: SyncError,
  ): Pick<RunFailure, 'nextDueAt' | 'counts'>;
}

/**
 * Loads one window of a claimed feed: download, check, stage, classify, merge, and commit rows,
 * rejects, receipt and coverage together (design section 3).
 *
 * A failure is recorded and leaves tables and coverage as they were; the claim is given up either way.
 *
 * @throws SyncError why the run failed, after it was recorded
 */
export async function syncWindow(
  world: SyncWorld,
  claim: FeedClaim,
  task: WindowTask,
  decisions: Decisions,
  signal: AbortSignal,
): Promise<WindowOutcome> {
  const { feed } = claim;
  const { work, trigger, now } = task;
  const requested = requestedInterval(work.window, world.settings.overlap, now);
  const tally = new Tally();
  let runId: number | null = null;
  try {
    runId = await claim.start({
      trigger: work.request ? 'request' : trigger,
      requestId: work.request?.id ?? null,
      window: work.window,
      requested,
    });
    const covered = await loadWindow(world, claim, { work, requested, runId }, tally, signal);
    const receipt = tally.receipt();
    if (!balances(receipt)) throw new Error('the receipt does not balance');
    const { more, ...after } = decisions.afterCommit(claim, task, covered);
    await claim.commit({
      ...after,
      window: covered,
      receipt,
      facts: tally.facts(),
      rejects: tally.rejects,
    });
    return { runId, window: covered, receipt, more };
  } catch (cause) {
    const error = toSyncError(cause);
    // Before the record, so that no lock is held while other connections are waited for.
    await claim.release();
    if (runId !== null) {
      await world.feeds.recordFailure({
        runId,
        feed,
        error,
        facts: tally.facts(),
        lines: tally.lines,
        rejected: tally.rejected,
        rejects: tally.rejects,
        ...decisions.afterFailure(claim, work, error),
        knownRequests: claim.requests.map(({ id }) => id),
      });
    }
    throw error;
  }
}

interface StartedRun {
  readonly work: Work;
  readonly requested: Interval;
  readonly runId: number;
}

/** Everything between the run's record and its commit; answers what is covered by it. */
async function loadWindow(
  world: SyncWorld,
  claim: FeedClaim,
  { work, requested, runId }: StartedRun,
  tally: Tally,
  signal: AbortSignal,
): Promise<Interval> {
  const { feed } = claim;
  const { settings } = world;
  const dataset = CATALOGUE[feed.dataset];
  const download = await world.platform.download(
    { dataset, orgCode: feed.orgCode, areaCode: feed.areaCode, requested },
    signal,
  );
  tally.started(download, world);
  const ownOrgs = settings.otherOrgs === 'accept' ? await world.feeds.orgCodes() : null;
  const table = await readTable(download.body, {
    dataset,
    orgCode: feed.orgCode,
    acceptOrg: (org) => ownOrgs !== null && !ownOrgs.has(org),
    declaredCharset: download.charset,
    forcedCharset: settings.charset,
    quotes: settings.quotes,
  });
  const report = () => world.onProgress?.({ runId, bytes: download.bytes, lines: tally.lines });
  await claim.stage(table.header, tally.counted(table.batches, report));
  if (tooManyRejects(tally.lines, tally.rejected, work.request?.maxRejects ?? null)) {
    throw new FatalError(
      'TOO_MANY_REJECTS',
      `${tally.rejected} of ${tally.lines} lines were refused (${tally.reasons()})`,
    );
  }
  // The platform's clock rules; without one, Postgres's (P7, design invariant 7). One that runs ahead
  // of ours may be set back: what it calls past by then is still to come.
  const latest = Math.min(download.date ?? claim.databaseNow, world.clock());
  const until = settledUntil(latest, settings.settle);
  const syncedThrough = Math.min(work.window.to, until);
  const merge = { syncedThrough, force: work.request?.force ?? false };
  tally.merged(await claim.classify(merge));
  await claim.merge(merge);
  return { from: work.window.from, to: Math.max(work.window.from, syncedThrough) };
}

/** Keeps count of what a run sees and does. */
class Tally {
  lines = 0;
  rejected = 0;
  readonly rejects: Reject[] = [];
  readonly #hashes = new Set<string>();
  readonly #reasons = new Map<string, number>();
  #download: Download | null = null;
  #clockSkew: number | null = null;
  #receipt: Receipt = EMPTY_RECEIPT;

  /** Takes note of the answer and of the platform's clock. */
  started(download: Download, { clock }: SyncWorld): void {
    this.#download = download;
    if (download.date !== null) this.#clockSkew = Math.round((download.date - clock()) / 1000);
  }

  /** Passes rows on and keeps the refused lines back. */
  async *counted(
    batches: AsyncIterable<Batch>,
    report: () => void,
  ): AsyncGenerator<readonly Row[]> {
    for await (const { rows, rejects } of batches) {
      this.lines += rows.length + rejects.length;
      this.rejected += rejects.length;
      for (const reject of rejects) this.#keep(reject);
      report();
      yield rows;
    }
  }

  #keep(reject: Reject): void {
    this.#reasons.set(reject.reason, (this.#reasons.get(reject.reason) ?? 0) + 1);
    if (this.rejects.length >= KEPT_REJECTS || this.#hashes.has(reject.hash)) return;
    this.#hashes.add(reject.hash);
    this.rejects.push(reject);
  }

  /** How many lines were refused for which reason. */
  reasons(): string {
    return [...this.#reasons].map(([reason, count]) => `${reason} ${count}`).join(', ');
  }

  merged({ counts, flagged, superseded }: Awaited<ReturnType<FeedClaim['classify']>>): void {
    const accepted = this.lines - this.rejected;
    this.#receipt = { ...counts, flagged, accepted, lines: this.lines, rejected: this.rejected };
    this.rejects.push(...superseded.slice(0, KEPT_REJECTS - this.rejects.length));
  }

  receipt(): Receipt {
    return this.#receipt;
  }

  facts(): DownloadFacts {
    const download = this.#download;
    return {
      seq: download?.seq ?? null,
      httpStatus: download?.httpStatus ?? null,
      bytes: download?.bytes ?? 0,
      sha256: download?.sha256() ?? null,
      clockSkew: this.#clockSkew,
    };
  }
}

/** How a window of a feed is named to people. */
export function subjectOf(feed: { dataset: string; orgCode: string }, window?: Interval): string {
  const name = `${feed.dataset} ${feed.orgCode}`;
  return window ? `${name} ${formatChinaIso(window.from)}` : name;
}
