import { MINUTE } from '../../src/core/china-time.ts';
import type { Bounds, Reading } from '../../src/simulator/history.ts';
import { waitForCalm } from './calm.ts';
import { playChaos } from './chaos.ts';
import { countBy, type Finding, openJournal } from './journal.ts';
import { judge } from './oracle.ts';
import { drawSchedule } from './schedule.ts';
import { type Queue, type Stage, setStage } from './stage.ts';

/** What is tortured, and how long. */
export interface TortureOptions {
  /** The same seed draws the same source, settings and schedule; the timing of processes differs. */
  readonly seed: number;
  /** How long everything goes wrong; the calm comes on top. */
  readonly minutes: number;
  readonly queue: Queue;
  /** How long the calm may take, in milliseconds; three minutes unless said otherwise. */
  readonly patience?: number;
  /** Told in short how it goes on. */
  readonly say?: (line: string) => void;
  /** Ends it early: nothing is judged then. */
  readonly signal?: AbortSignal;
  /** Told what every process wrote, at the end. */
  readonly onLog?: (pid: number, text: string) => void;
}

/** What a torture did and what it found. */
export interface Report extends Pick<TortureOptions, 'seed' | 'minutes' | 'queue'> {
  readonly reading: Reading;
  readonly bounds: Bounds;
  readonly settings: Readonly<Record<string, string>>;
  /** Milliseconds from the beginning of the calm until everything was right. */
  readonly recovery: number;
  readonly runs: Readonly<Record<string, number>>;
  /** Failed runs by error code. */
  readonly failures: Readonly<Record<string, number>>;
  /** Faults of the platform by kind. */
  readonly faults: Readonly<Record<string, number>>;
  /** Everything else that was done, by kind. */
  readonly deeds: Readonly<Record<string, number>>;
  readonly downloads: number;
  readonly rows: number;
  readonly states: number;
  /** Nothing, if all is well. */
  readonly findings: readonly Finding[];
}

/** Milliseconds between two lines on how it goes. */
const SAY_EVERY = 30_000;

/**
 * Tortures three processes of the service that keep 40 feeds, lets it be calm, and has the oracle judge.
 *
 * Everything that it starts is its own and is ended and removed, whatever happens.
 *
 * @throws Error if the stage can not be set, or the signal aborts
 */
export async function torture(options: TortureOptions): Promise<Report> {
  const { seed, minutes, say = () => {}, signal = new AbortController().signal } = options;
  const journal = openJournal();
  const lasts = minutes * MINUTE;
  say('setting the stage');
  const stage = await setStage({ seed, queue: options.queue, journal });
  const { queue } = stage;
  const schedule = drawSchedule({ seed, lasts, queue });
  say(`${schedule.length} events in ${minutes} minutes, queue in ${queue}`);
  const timer = setInterval(() => void describe(stage).then(say, () => {}), SAY_EVERY);
  try {
    signal.throwIfAborted();
    await playChaos(stage, journal, { seed, schedule, lasts }, signal);
    signal.throwIfAborted();
    say('calm: waiting until everything is right again');
    const { calmAt, took } = await waitForCalm(stage, journal, signal, options.patience);
    say('judging');
    const { findings, runs, rows, states } = await judge(stage, journal, calmAt);
    const failed = runs.filter(({ status }) => status === 'failed');
    return {
      ...{ seed, minutes, queue, rows, states },
      ...{ reading: stage.reading, bounds: stage.bounds, settings: stage.settings },
      recovery: took,
      runs: countBy(runs, ({ status }) => status),
      failures: countBy(failed, ({ errorCode }) => errorCode ?? 'none'),
      faults: countBy(stage.simulator.injected, ({ kind }) => kind),
      deeds: countBy(journal.incidents, ({ what }) => what),
      downloads: stage.simulator.requests.filter(({ dataset }) => dataset !== null).length,
      findings: [...journal.findings, ...findings],
    };
  } finally {
    clearInterval(timer);
    for (const one of stage.services.flatMap(({ process }) => process.all)) {
      options.onLog?.(one.pid, one.stderr());
    }
    await stage.close();
  }
}

async function describe({ pool, simulator, services }: Stage): Promise<string> {
  const { rows } = await pool.query<{ status: string; runs: number }>(
    'select status, count(*)::int as runs from vcc.run group by status order by status',
  );
  const runs = rows.map((row) => `${row.runs} ${row.status}`).join(', ');
  const up = services.filter(({ process }) => process.pids.length > 0).length;
  return `runs: ${runs}; ${simulator.injected.length} faults of the platform; ${up} processes up`;
}
