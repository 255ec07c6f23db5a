import { InterruptedError, type SyncError, toSyncError } from '../core/errors.ts';
import type { Interval } from '../core/interval.ts';
import { type Receipt, tooManyRejects } from '../core/receipt.ts';
import { requestedInterval } from '../core/window.ts';
import type { FeedStaging } from './ports.ts';
import type { ChosenFeed } from './resync.ts';
import type { PlannedFeed } from './resync-plan.ts';
import { endsOf, openTable, stageTable } from './staged-table.ts';
import type { SyncWorld } from './sync-window.ts';
import { Tally } from './tally.ts';

/** How the previewed windows would be loaded, and how long looking may take. */
export interface PreviewOptions {
  /** Whether older content may overwrite newer. */
  readonly force: boolean;
  /** Percent of lines that may be refused; null: the default. */
  readonly maxRejects: number | null;
  /** Milliseconds after which the rest is left; undefined: as long as it takes. */
  readonly limit?: number;
}

/** What became of the preview of one window. */
export type PreviewOutcome =
  /** It was downloaded and classified: what its run would do now. */
  | {
      readonly state: 'counted';
      readonly receipt: Receipt;
      /** Whether the run would fail, since so many lines are refused. */
      readonly tooManyRejects: boolean;
    }
  /** Another preview looks at the same feed. */
  | { readonly state: 'busy' }
  /** As many previews are under way as may be in one process. */
  | { readonly state: 'full' }
  | { readonly state: 'failed'; readonly error: SyncError }
  /** Not looked at: the time was used up, or the platform or the database is away. */
  | { readonly state: 'left' };

/** One window of a preview. */
export interface PreviewedWindow {
  readonly feed: ChosenFeed;
  readonly window: Interval;
  readonly outcome: PreviewOutcome;
}

/**
 * Downloads, stages and classifies windows without touching the tables, one after another, and answers
 * each as it is done. Runs go on beside it; what it counts holds for the tables as they are then: a row
 * that comes in several windows counts in each.
 *
 * @throws InterruptedError when the signal aborts
 */
export async function* previewWindows(
  world: SyncWorld,
  feeds: readonly PlannedFeed[],
  options: PreviewOptions,
  signal: AbortSignal,
): AsyncGenerator<PreviewedWindow> {
  const timeUp = new AbortController();
  const { limit } = options;
  const timer = limit === undefined ? undefined : setTimeout(() => timeUp.abort(), limit);
  const either = AbortSignal.any([signal, timeUp.signal]);
  let isAway = false;
  try {
    for (const { windows, ...feed } of feeds) {
      for (const window of windows) {
        const outcome: PreviewOutcome =
          isAway || timeUp.signal.aborted
            ? { state: 'left' }
            : await lookAt(world, feed, { window, ...options }, either);
        if (signal.aborted) throw new InterruptedError();
        const isCut = outcome.state === 'failed' && timeUp.signal.aborted;
        yield { feed, window, outcome: isCut ? { state: 'left' } : outcome };
        isAway ||= outcome.state === 'failed' && stopsAll(outcome.error);
      }
    }
  } finally {
    clearTimeout(timer);
  }
}

/** Whether the next window would meet the same; a refusal of one organisation or interface is its own. */
export function stopsAll({ code, meaning }: SyncError): boolean {
  const isAway = code === 'SOURCE_UNAVAILABLE' || code === 'RATE_LIMITED';
  return isAway || meaning.pace === 'hold' || meaning.database === true;
}

async function lookAt(
  world: SyncWorld,
  feed: ChosenFeed,
  options: PreviewOptions & { readonly window: Interval },
  signal: AbortSignal,
): Promise<PreviewOutcome> {
  try {
    const staging = await world.feeds.preview(feed.id, signal);
    if (typeof staging === 'string') return { state: staging };
    try {
      return await classifyWindow(world, staging, options);
    } finally {
      await staging.release();
    }
  } catch (cause) {
    return { state: 'failed', error: toSyncError(cause) };
  }
}

async function classifyWindow(
  world: SyncWorld,
  staging: FeedStaging,
  { window, force, maxRejects }: PreviewOptions & { readonly window: Interval },
): Promise<PreviewOutcome> {
  const now = world.clock() + (await world.platformState.clockSkew());
  const requested = requestedInterval(window, world.settings.overlap, now);
  const tally = new Tally(async () => new Set());
  const table = await openTable(world, staging, requested);
  tally.started(table, world.clock);
  await stageTable(world, staging, table, tally);
  const { syncedThrough } = endsOf(world, staging, window, table.date);
  tally.merged(await staging.classify({ from: requested.from, syncedThrough, force }));
  return {
    state: 'counted',
    receipt: tally.receipt(),
    tooManyRejects: tooManyRejects(tally.lines, tally.rejected, maxRejects),
  };
}
