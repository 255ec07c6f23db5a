import { Counter, Histogram, Registry } from 'prom-client';
import { SECOND } from '../core/china-time.ts';
import { DATASET_NAMES } from '../core/dataset.ts';
import { MEANINGS } from '../core/errors.ts';
import { PUSH_INTERFACES } from '../core/push.ts';
import type { MergeCounts } from '../core/receipt.ts';
import type { RejectReason } from '../core/table/row.ts';
import type { CatchUpOutcome } from '../sync/catch-up.ts';
import { type DownloadObserver, RUN_OUTCOMES, type RunObserver } from '../sync/observer.ts';
import { NOTICE_OUTCOMES } from '../sync/push.ts';
import type { NoticeObserver } from './push.ts';

/** How a turn of the worker with a feed ended; `failed` and `interrupted` where it threw. */
export type TurnOutcome = CatchUpOutcome | 'failed' | 'interrupted';

/** Counts what happens in this process, from its start on. */
export interface EventMetrics extends RunObserver, DownloadObserver {
  readonly registry: Registry;
  /** A job of the queue woke a feed, and its turn has ended. */
  turnEnded(outcome: TurnOutcome): void;
  /** The planner has looked for feeds that are due. */
  ticked(): void;
  /** A notice of the platform was answered. */
  noticed: NoticeObserver;
}

const TURNS: Readonly<Record<TurnOutcome, true>> = {
  'caught-up': true,
  'nothing-to-do': true,
  sliced: true,
  busy: true,
  'not-due': true,
  held: true,
  'put-off': true,
  unknown: true,
  failed: true,
  interrupted: true,
};

const ROW_OUTCOMES: Readonly<Record<keyof MergeCounts, true>> = {
  inserted: true,
  updated: true,
  unchanged: true,
  stale: true,
  duplicate: true,
};

/** Why lines are refused; a superseded one was accepted and counts as `duplicate`. */
const REASONS: Readonly<Record<Exclude<RejectReason, 'superseded'>, true>> = {
  field_count: true,
  no_key: true,
  no_org: true,
  other_org: true,
  encoding: true,
  nul: true,
  too_long: true,
};

/** Upper bounds of the histograms, in seconds: from a window without changes to a month of a large org. */
const SECONDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 1800];

/**
 * Opens the counters of this process.
 *
 * Labels are constants alone: what concerns a single feed is told by the metrics from the database.
 * Every series is there from the start with 0, or the first increase would not be seen as one.
 */
export function openEventMetrics(): EventMetrics {
  const registry = new Registry();
  const count = counters(registry);
  const runs = count('runs_total', 'Runs that have ended.', DATASETS, { outcome: RUN_OUTCOMES });
  const failures = count('run_failures_total', 'Runs that failed, by error code.', {
    code: Object.keys(MEANINGS).filter((code) => code !== 'INTERRUPTED'),
  });
  const rows = count('rows_total', 'Rows of committed runs, by what became of them.', DATASETS, {
    outcome: Object.keys(ROW_OUTCOMES),
  });
  const flagged = count(
    'rows_flagged_total',
    'Rows of committed runs with a value that the document does not allow.',
    DATASETS,
  );
  const rejects = count('rejects_total', 'Lines refused, failed runs included.', DATASETS, {
    reason: Object.keys(REASONS),
  });
  const bytes = count('download_bytes_total', 'Bytes of decoded bodies received.', DATASETS);
  const turns = count('turns_total', 'Turns with a feed that a job of the queue began.', {
    outcome: Object.keys(TURNS),
  });
  const ticks = count('planner_ticks_total', 'Times that the planner looked for due feeds.');
  const notices = count(
    'push_notices_total',
    "The platform's notices of changes, by what became of them: accepted and ignored are taken, the others refused.",
    { interface: Object.keys(PUSH_INTERFACES), outcome: NOTICE_OUTCOMES },
  );
  const { runTimes, downloadTimes } = histograms(registry);
  return {
    registry,
    runEnded({ dataset, outcome, code, receipt, rejectedBy, ms }) {
      runs.inc({ dataset, outcome });
      runTimes.observe({ dataset, outcome }, ms / SECOND);
      if (outcome === 'failed' && code !== null) failures.inc({ code });
      for (const [reason, lines] of rejectedBy) rejects.inc({ dataset, reason }, lines);
      if (receipt === null) return;
      for (const row of Object.keys(ROW_OUTCOMES) as (keyof MergeCounts)[]) {
        rows.inc({ dataset, outcome: row }, receipt[row]);
      }
      flagged.inc({ dataset }, receipt.flagged);
    },
    received: (dataset, length) => bytes.inc({ dataset }, length),
    downloaded: (dataset, ms) => downloadTimes.observe({ dataset }, ms / SECOND),
    turnEnded: (outcome) => turns.inc({ outcome }),
    ticked: () => ticks.inc(),
    noticed: (interfaceCode, outcome) => notices.inc({ interface: interfaceCode, outcome }),
  };
}

type LabelValues = Readonly<Record<string, readonly string[]>>;

const DATASETS: LabelValues = { dataset: DATASET_NAMES };

/** Makes counters of which every combination of label values is there from the start. */
function counters(registry: Registry) {
  return (name: string, help: string, ...given: LabelValues[]): Counter => {
    const labels: LabelValues = Object.assign({}, ...given);
    const counter = new Counter({
      name: `vcc_sync_${name}`,
      help,
      labelNames: Object.keys(labels),
      registers: [registry],
    });
    for (const combination of combinations(labels)) counter.inc(combination, 0);
    return counter;
  };
}

function combinations(labels: LabelValues): Record<string, string>[] {
  return Object.entries(labels).reduce<Record<string, string>[]>(
    (made, [label, values]) =>
      made.flatMap((one) => values.map((value) => ({ ...one, [label]: value }))),
    [{}],
  );
}

function histograms(registry: Registry) {
  const runTimes = new Histogram({
    name: 'vcc_sync_run_duration_seconds',
    help: 'Time from the start of a run to its commit or failure.',
    labelNames: ['dataset', 'outcome'],
    buckets: SECONDS,
    registers: [registry],
  });
  const downloadTimes = new Histogram({
    name: 'vcc_sync_download_duration_seconds',
    help: 'Time from asking for a table to its last byte; its rows are staged meanwhile.',
    labelNames: ['dataset'],
    buckets: SECONDS,
    registers: [registry],
  });
  for (const dataset of DATASET_NAMES) {
    downloadTimes.zero({ dataset });
    for (const outcome of RUN_OUTCOMES) runTimes.zero({ dataset, outcome });
  }
  return { runTimes, downloadTimes };
}
