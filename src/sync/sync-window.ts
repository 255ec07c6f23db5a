import { formatChinaIso } from '../core/china-time.ts';
import type { DeepSettings } from '../core/deep.ts';
import type { SyncError } from '../core/errors.ts';
import type { Interval } from '../core/interval.ts';
import type { Receipt } from '../core/receipt.ts';
import type { Slots } from '../core/slots.ts';
import { requestedInterval, type WindowSettings } from '../core/window.ts';
import type { Work } from '../core/work.ts';
import type { DatabaseGate } from './database-gate.ts';
import { type LoadSettings, type LoadWorld, loadTable } from './load.ts';
import type { FeedClaim, NextTurn, Platform, PlatformState, RunFailure, Trigger } from './ports.ts';
import { endsOf, openTable } from './staged-table.ts';

/** Settings of a sync; durations in milliseconds. */
export interface SyncSettings extends WindowSettings, LoadSettings {
  /** Interval between synchronisations of a feed that has none of its own. */
  readonly every: number;
  /** How long a worker stays with one feed. */
  readonly slice: number;
  readonly retryBase: number;
  readonly retryMax: number;
  /** How the recent past is read again. */
  readonly deep: DeepSettings;
}

/** The world of a sync. */
export interface SyncWorld extends LoadWorld {
  readonly platform: Platform;
  readonly platformState: PlatformState;
  readonly databaseGate: DatabaseGate;
  /** Taken by feeds that were slow to fail when they were last tried. */
  readonly failing: Slots;
  readonly settings: SyncSettings;
}

/** A window that was loaded and committed. */
export interface WindowOutcome {
  readonly runId: number;
  readonly window: Interval;
  readonly receipt: Receipt;
  /** Rows that had been missed, if that is what the run was to find out. */
  readonly missed: number;
  /** Whether there is more to load at once. */
  readonly more: boolean;
  /** Length of the decoded body. */
  readonly bytes: number;
  /** How long it took, in milliseconds. */
  readonly ms: number;
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
 * @throws SyncError why the run failed, after it was recorded; or why not even that could be done
 */
export async function syncWindow(
  world: SyncWorld,
  claim: FeedClaim,
  task: WindowTask,
  decisions: Decisions,
): Promise<WindowOutcome> {
  const { work, trigger, now } = task;
  const requested = requestedInterval(work.window, world.settings.overlap, now);
  return loadTable(world, claim, {
    run: {
      trigger: work.request ? 'request' : trigger,
      requestId: work.request?.id ?? null,
      window: work.window,
      requested,
    },
    open: () => openTable(world, claim, requested),
    maxRejects: work.request?.maxRejects ?? null,
    merging({ date }) {
      const { covered, syncedThrough } = endsOf(world, claim, work.window, date);
      const { from } = requested;
      return { from, syncedThrough, coveredTo: covered, force: work.request?.force ?? false };
    },
    async commit({ runId, coveredTo, receipt, elapsed, ...loaded }) {
      const { from } = work.window;
      const window = { from, to: Math.max(from, coveredTo) };
      const { more, ...after } = decisions.afterCommit(claim, task, window);
      const missed = missedBy(work, receipt);
      await claim.commit({ ...after, window, receipt, missed, ...loaded });
      const { bytes } = loaded.facts;
      return { runId, window, receipt, missed, more, bytes, ms: elapsed() };
    },
    afterFailure: (error) => decisions.afterFailure(claim, work, error),
  });
}

/** What reading the past again brings had been missed: rows that were not there, or not as they are. */
function missedBy({ request }: Work, { inserted, updated }: Receipt): number {
  return request?.kind === 'deep' ? inserted + updated : 0;
}

/** How a window of a feed is named to people. */
export function subjectOf(feed: { dataset: string; orgCode: string }, window?: Interval): string {
  const name = `${feed.dataset} ${feed.orgCode}`;
  return window ? `${name} ${formatChinaIso(window.from)}` : name;
}
