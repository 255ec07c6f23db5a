import { DAY, floorSecond, HOUR, MINUTE } from '../../../src/core/china-time.ts';
import { inDatabase } from '../cluster.ts';
import { batches } from '../contestants/batches.ts';
import { type Contestant, nameOf, serveTables, tableUrl } from '../contestants/contestant.ts';
import { floor } from '../contestants/floor.ts';
import { expectReceipt } from '../contestants/ours.ts';
import { psqlRecipe, psqlRecipeTuned } from '../contestants/psql-recipe.ts';
import {
  addFeeds,
  type Contents,
  contentsOf,
  filled,
  type Owner,
  sameContents,
  withCopy,
} from '../databases.ts';
import { runProgram, startProgram } from '../program.ts';
import type { BatchesResult, BatchesTask } from '../programs/batches.ts';
import type { MergesTask } from '../programs/merges.ts';
import type { OursResult, OursTask } from '../programs/ours.ts';
import type { TemporaryTableTask } from '../programs/temporary-table.ts';
import { ORG } from '../rows.ts';
import { type Load, type Stage, takeTurns } from '../stage.ts';
import { OURS, ROWS_ALONE, ROWS_ALONE_TEMPORARY, SCRIPT, TEMPORARY } from '../targets.ts';
import { ableOf } from './bulk.ts';

/** How long ago the table was filled: windows of a minute go on from there. */
const BEFORE = 20 * DAY;

/** Of so many windows one more comes before the first that counts: a service runs for weeks. */
const PER_WARM_UP = 10;

/** Small tables to load one after another, each a window of its own. */
export interface Windows {
  readonly databaseUrl: string;
  readonly baseUrl: string;
  readonly count: number;
  readonly rows: number;
  /** Where the first window begins (milliseconds). */
  readonly from: number;
}

/** One way to load windows, in a process of its own. */
export interface WindowLoader {
  readonly name: string;
  readonly owner: Owner;
  /** Of so many windows it loads one, where each takes a long time. */
  readonly oneOf: number;
  /** Says why it can not run here; null if it can. */
  lack(): Promise<string | null>;
  /** Starts the process. */
  start(stage: Stage): Promise<WindowProcess>;
}

/** Its process. */
export interface WindowProcess {
  /** Loads windows and answers how long it took, in seconds. */
  load(windows: Windows): Promise<number>;
  stop(): Promise<void>;
}

/** What can run everywhere, and loads all windows. */
const ALWAYS = { lack: async () => null, oneOf: 1 };

/** The service's own path, with its connection's staging table or with one for each run. */
function oursWith(name: string, freshStaging: boolean): WindowLoader {
  const start = async (stage: Stage): Promise<WindowProcess> => {
    const program = await startProgram<OursTask, OursResult>(stage, 'ours');
    const settings = { SYNC_MAX_WINDOW: '1m' };
    return {
      async load({ databaseUrl, baseUrl, count, rows, from }) {
        await leaveOpen(databaseUrl, from, from + count * MINUTE);
        const orgCodes = [ORG];
        const task = { databaseUrl, baseUrl, orgCodes, settings, clockBehind: 0, freshStaging };
        const done = await program.run(task);
        expectReceipt(done, count * rows);
        if (done.windows !== count) throw new Error(`${done.windows} windows, not ${count}`);
        return done.seconds;
      },
      stop: () => program.stop(),
    };
  };
  return { ...ALWAYS, name, owner: 'ours', start };
}

/** What a program of ours that loads windows is told besides what sets it apart. */
type WindowsTask = Pick<MergesTask, 'databaseUrl' | 'tableUrl' | 'windows' | 'from'>;

/** A program that fetches the tables of all windows itself and answers how long it took. */
function loop(file: string, name: string, apart: Readonly<Record<string, boolean>>): WindowLoader {
  return {
    ...ALWAYS,
    name,
    owner: 'ours',
    async start(stage) {
      const program = await startProgram<WindowsTask, number>(stage, file);
      return {
        load({ databaseUrl, baseUrl, count, from }) {
          const task = { databaseUrl, tableUrl: tableUrl(baseUrl, ORG), windows: count, from };
          return program.run({ ...task, ...apart });
        },
        stop: () => program.stop(),
      };
    },
  };
}

/** The rows alone: staged, merged and committed as the service does it, and nothing recorded. */
function mergesWith(name: string, freshStaging: boolean): WindowLoader {
  return loop('merges', name, { freshStaging } satisfies Partial<MergesTask>);
}

/** The service's own path. */
export const oursByWindow = oursWith(OURS, false);

/** A script with a temporary table per run, recorded as the service records its runs, or the rows alone. */
export function temporaryTable(name: string, recorded: boolean): WindowLoader {
  return loop('temporary-table', name, { recorded } satisfies Partial<TemporaryTableTask>);
}

/** The batches, window after window in one process. */
const batchesByWindow: WindowLoader = {
  ...batches,
  oneOf: 1,
  async start(stage) {
    const program = await startProgram<BatchesTask, BatchesResult>(stage, 'batches');
    return {
      async load({ databaseUrl, baseUrl, count }) {
        const task = { databaseUrl, tableUrl: tableUrl(baseUrl, ORG), tables: count };
        return (await program.run(task)).seconds;
      },
      stop: () => program.stop(),
    };
  },
};

/** Programs of the shell, which start anew for each window. */
function shellLoop(contestant: Contestant): WindowLoader {
  const start = async (stage: Stage): Promise<WindowProcess> => ({
    async load({ databaseUrl, baseUrl, count, rows }) {
      const task = { databaseUrl, baseUrl, orgCodes: [ORG], rows, stage };
      let seconds = 0;
      for (let window = 0; window < count; window += 1) {
        seconds += (await contestant.load(task)).seconds;
      }
      return seconds;
    },
    stop: async () => {},
  });
  return { ...contestant, oneOf: 10, start };
}

const LOADERS: readonly WindowLoader[] = [
  oursByWindow,
  oursWith(TEMPORARY, true),
  mergesWith(ROWS_ALONE, false),
  mergesWith(ROWS_ALONE_TEMPORARY, true),
  temporaryTable(SCRIPT, true),
  temporaryTable(`${SCRIPT}, no ledger`, false),
  batchesByWindow,
  shellLoop(psqlRecipe),
  shellLoop(psqlRecipeTuned),
];

/** (d): small windows on top of a big table, one after another. */
export const windows: Load = {
  name: 'windows',
  about: '(d) windows into a table of twice the rows, one after another, windows/s',
  async run(stage, figures) {
    const able = await ableOf(stage, LOADERS);
    // By how many windows are loaded, and in which order.
    const checks = new Map<string, ReturnType<typeof sameContents>>();
    await takeTurns(
      stage,
      figures,
      { load: 'windows', contestants: able, nameOf },
      async (loader, round) => {
        const template = await (loader.owner === 'ours' ? bigTable(stage) : plainTable(stage));
        const { rates, held } = await withCopy(stage, template, (databaseUrl) =>
          measure(stage, { loader, databaseUrl, round }),
        );
        const group = `${loader.oneOf} ${round % 2}`;
        checks.set(group, checks.get(group) ?? sameContents());
        checks.get(group)!(held, loader.name);
        for (const { rows, rate } of rates) {
          const figure = {
            load: `windows of ${rows}`,
            what: loader.name,
            unit: '/s',
            rows,
          } as const;
          figures.add(figure, rate);
        }
      },
    );
  },
};

/** The same rows in the table of the others. */
function plainTable(stage: Stage): Promise<string> {
  return filled(stage, 'bench_double_plain', async (databaseUrl) => {
    const rows = 2 * stage.sizes.rows;
    const orgCodes = [ORG];
    const baseUrl = await serveTables(stage, { kind: 'first', rows, orgCodes });
    const way = (await floor.lack()) === null ? floor : batches;
    await way.load({ databaseUrl, baseUrl, orgCodes, rows, stage });
  });
}

/** A database with twice the rows, loaded by the service as of some time ago. */
function bigTable(stage: Stage): Promise<string> {
  return filled(stage, 'bench_double', async (databaseUrl) => {
    const rows = 2 * stage.sizes.rows;
    const baseUrl = await serveTables(stage, { kind: 'first', rows, orgCodes: [ORG] }, true);
    await addFeeds(databaseUrl, [ORG], floorSecond(Date.now() - BEFORE - HOUR));
    const task = {
      databaseUrl,
      baseUrl,
      orgCodes: [ORG],
      settings: {},
      clockBehind: BEFORE,
      freshStaging: false,
    };
    expectReceipt(await runProgram<OursTask, OursResult>(stage, 'ours', task), rows);
    // The token came with the real time: to a clock that is set back, a platform far ahead.
    await inDatabase(databaseUrl, (pool) => pool.query('delete from vcc.platform_state'));
  });
}

interface Measurement {
  readonly loader: WindowLoader;
  readonly databaseUrl: string;
  readonly round: number;
}

interface Measured {
  /** Windows per second, by the rows of each. */
  readonly rates: readonly { readonly rows: number; readonly rate: number }[];
  readonly held: Contents;
}

/** Loads windows of all sizes; in every second round the large ones first, since each leaves the table larger. */
async function measure(
  stage: Stage,
  { loader, databaseUrl, round }: Measurement,
): Promise<Measured> {
  const process = await loader.start(stage);
  try {
    let from = floorSecond(Date.now() - BEFORE) + HOUR;
    const rates: { rows: number; rate: number }[] = [];
    const { windows: sizes, rows: base } = stage.sizes;
    for (const size of round % 2 === 0 ? sizes : sizes.toReversed()) {
      const { rows } = size;
      const measured = Math.ceil(size.count / loader.oneOf);
      const warmUp = Math.ceil(measured / PER_WARM_UP);
      const all = { name: 'windows', count: warmUp + measured, rows, base: 2 * base };
      const baseUrl = await stage.source.run({ kind: 'windows', ...all });
      const load = async (count: number) => {
        await stage.cluster.checkpoint();
        const seconds = await process.load({ databaseUrl, baseUrl, count, rows, from });
        from += count * MINUTE;
        return seconds;
      };
      await load(warmUp);
      const rate = measured / (await load(measured));
      rates.push({ rows, rate });
      stage.say(`windows of ${rows}: ${loader.name} ${rate.toFixed(1)}/s`);
    }
    return { rates, held: await contentsOf(databaseUrl, loader.owner) };
  } finally {
    await process.stop();
  }
}

/** Covers all of a feed's time but an interval, so that the service has just that to load. */
export async function leaveOpen(databaseUrl: string, from: number, to: number): Promise<void> {
  const end = Date.now() + DAY;
  await inDatabase(databaseUrl, (pool) =>
    pool.query(
      `update vcc.feed set next_deep_at = null, coverage =
        tstzmultirange(tstzrange(since, $1), tstzrange($2, $3))`,
      [new Date(from), new Date(to), new Date(floorSecond(end))],
    ),
  );
}
