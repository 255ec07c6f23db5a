import { DAY, floorSecond, HOUR, MINUTE } from '../../../src/core/china-time.ts';
import { inDatabase } from '../cluster.ts';
import { serveTables, tableUrl } from '../contestants/contestant.ts';
import { expectReceipt } from '../contestants/ours.ts';
import { addFeeds, type Contents, contentsOf, filled, withCopy } from '../databases.ts';
import { runProgram, startProgram } from '../program.ts';
import type { OursResult, OursTask } from '../programs/ours.ts';
import type { TemporaryTableTask } from '../programs/temporary-table.ts';
import { ORG } from '../rows.ts';
import { type Figures, type Load, rotated, type Stage } from '../stage.ts';
import { OURS, SCRIPT, TEMPORARY } from '../targets.ts';

/** How long ago the table was filled: windows of a minute go on from there. */
const BEFORE = 20 * DAY;

/** Windows that are loaded before the first that counts: a service runs for weeks. */
export const WARM_UP = { rows: 20, count: 50 };

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
  /** Starts the process. */
  start(stage: Stage): Promise<WindowProcess>;
}

/** Its process. */
export interface WindowProcess {
  /** Loads windows and answers how long it took, in seconds. */
  load(windows: Windows): Promise<number>;
  stop(): Promise<void>;
}

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
  return { name, start };
}

/** The service's own path. */
export const oursByWindow = oursWith(OURS, false);

/** A script with a temporary table per run, recorded as the service records its runs, or the rows alone. */
export function temporaryTable(name: string, recorded: boolean): WindowLoader {
  return {
    name,
    async start(stage) {
      const program = await startProgram<TemporaryTableTask, number>(stage, 'temporary-table');
      return {
        load({ databaseUrl, baseUrl, count, from }) {
          const url = tableUrl(baseUrl, ORG);
          return program.run({ databaseUrl, tableUrl: url, windows: count, from, recorded });
        },
        stop: () => program.stop(),
      };
    },
  };
}

const LOADERS: readonly WindowLoader[] = [
  oursByWindow,
  oursWith(TEMPORARY, true),
  temporaryTable(SCRIPT, true),
  temporaryTable(`${SCRIPT}, no ledger`, false),
];

/** (d): small windows on top of a big table, one after another. */
export const windows: Load = {
  name: 'windows',
  about: '(d) windows into a table of twice the rows, one after another, windows/s',
  async run(stage, figures) {
    const template = await bigTable(stage);
    for (let round = 0; round < stage.rounds; round += 1) {
      const contents = new Set<string>();
      for (const loader of rotated(LOADERS, round)) {
        const { rows, sum } = await withCopy(stage, template, (databaseUrl) =>
          measure(stage, figures, { loader, databaseUrl }),
        );
        contents.add(`${rows} ${sum}`);
      }
      if (contents.size > 1) throw new Error('windows: the tables differ in the end');
    }
  },
};

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

async function measure(
  stage: Stage,
  figures: Figures,
  { loader, databaseUrl }: { loader: WindowLoader; databaseUrl: string },
): Promise<Contents> {
  const process = await loader.start(stage);
  try {
    let from = floorSecond(Date.now() - BEFORE) + HOUR;
    const load = async (size: { rows: number; count: number }) => {
      const task = { ...size, databaseUrl, baseUrl: await serveWindows(stage, size), from };
      await stage.cluster.checkpoint();
      from += size.count * MINUTE;
      return process.load(task);
    };
    await load(WARM_UP);
    for (const size of stage.sizes.windows) {
      const rate = size.count / (await load(size));
      const { rows } = size;
      const figure = { load: `windows of ${rows}`, what: loader.name, unit: '/s', rows } as const;
      figures.add(figure, rate);
      stage.say(`${figure.load}: ${loader.name} ${rate.toFixed(1)}/s`);
    }
    return await contentsOf(databaseUrl, 'ours');
  } finally {
    await process.stop();
  }
}

function serveWindows({ source, sizes }: Stage, size: typeof WARM_UP): Promise<string> {
  return source.run({ kind: 'windows', name: 'windows', base: 2 * sizes.rows, ...size });
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
