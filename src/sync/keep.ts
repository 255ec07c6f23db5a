import { DAY } from '../core/china-time.ts';
import { toSyncError } from '../core/errors.ts';
import type { Keeping, SyncLog } from './ports.ts';

/** How long a run that changed nothing is kept, in milliseconds. */
const UNCHANGED_RUNS = 2 * DAY;

/**
 * How long a notice is remembered, in milliseconds: much longer than one stays fresh, so that clocks
 * that differ let none in twice.
 */
const NOTICES = DAY;

/** Most rows of each kind that one tick takes out: a few hundredths of a second's work. */
export const ROWS_PER_TICK = 1_000;

/** Most comparisons that one tick takes out: each may have a few thousand findings. */
const COMPARISONS_PER_TICK = 20;

/** What keeping needs of the world. */
export interface KeepWorld {
  readonly keeping: Keeping;
  readonly settings: KeepSettings;
  readonly log: SyncLog;
}

/** How long things are kept, in milliseconds. */
export interface KeepSettings {
  /** Runs and the service's own requests, once they have ended, and comparisons. */
  readonly runRetention: number;
  /** The text of refused lines, since they were last seen. */
  readonly rejectRetention: number;
}

/** How many rows a tick has taken out. */
export interface Kept {
  readonly runs: number;
  readonly requests: number;
  readonly lines: number;
  readonly notices: number;
  readonly comparisons: number;
}

/**
 * Takes one batch of what is over its time out of the ledgers; call it at every planner tick, behind what
 * is due.
 *
 * A backlog is worked off over many ticks, so there is nothing to schedule, to remember or to wait
 * for. A failure is logged and left to the next tick.
 *
 * @param signal ends it behind the batch in hand
 */
export async function keepTick(
  { keeping, settings, log }: KeepWorld,
  signal?: AbortSignal,
): Promise<Kept> {
  const { runRetention, rejectRetention } = settings;
  let isRefused = false;
  const batch = async (what: string, work: () => Promise<number>): Promise<number> => {
    if (signal?.aborted || isRefused) return 0;
    try {
      return await work();
    } catch (error) {
      const { code } = toSyncError(error);
      log.warn({ what, code }, 'ledger not thinned');
      // A database that takes no work takes none for the next ledger either.
      isRefused = code.startsWith('DATABASE_') && code !== 'DATABASE_BUSY';
      return 0;
    }
  };
  const unchanged = await batch('unchanged runs', () =>
    keeping.thinRuns('unchanged', Math.min(UNCHANGED_RUNS, runRetention), ROWS_PER_TICK),
  );
  const others = await batch('other runs', () =>
    keeping.thinRuns('others', runRetention, ROWS_PER_TICK),
  );
  const requests = await batch('deep re-reads', () =>
    keeping.thinDeepRequests(runRetention, ROWS_PER_TICK),
  );
  const lines = await batch('refused lines', () =>
    keeping.purgeLines(rejectRetention, ROWS_PER_TICK),
  );
  const comparisons = await batch('comparisons', () =>
    keeping.thinComparisons(runRetention, COMPARISONS_PER_TICK),
  );
  const notices = await batch('notices', () => keeping.forgetNotices(NOTICES, ROWS_PER_TICK));
  return { runs: unchanged + others, requests, lines, comparisons, notices };
}
