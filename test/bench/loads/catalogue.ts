import { DAY, floorSecond, HOUR, MINUTE } from '../../../src/core/china-time.ts';
import { inDatabase } from '../cluster.ts';
import { addFeeds, withCopy } from '../databases.ts';
import { ORG } from '../rows.ts';
import type { Load, Stage } from '../stage.ts';
import { SCRIPT } from '../targets.ts';
import { oursByWindow, temporaryTable, type WindowLoader } from './windows.ts';

const LOADERS = [oursByWindow, temporaryTable(SCRIPT, true)];

/** Runs before those that count. */
const WARM_UP = 50;

/** Rows of each run's window, and of the table that they change. */
const ROWS = 20;
const BASE = 10_000;

/** How much the system's own tables grow over many runs. */
export const catalogue: Load = {
  name: 'catalogue',
  about: "growth of Postgres's catalogue over many runs of 20 rows; once",
  async run(stage, figures) {
    for (const loader of LOADERS) {
      await withCopy(stage, undefined, async (databaseUrl) => {
        const megabytes = await growth(stage, loader, databaseUrl);
        figures.add({ load: 'catalogue', what: loader.name, unit: 'MB' }, megabytes);
        const { runs } = stage.sizes;
        stage.say(`catalogue: ${loader.name} ${megabytes.toFixed(2)} MB over ${runs} runs`);
      });
    }
  },
};

/** How much larger the catalogue is after the runs than after the process's first ones, in MB. */
async function growth(stage: Stage, loader: WindowLoader, databaseUrl: string): Promise<number> {
  let from = floorSecond(Date.now() - 20 * DAY);
  await addFeeds(databaseUrl, [ORG], from - HOUR);
  const process = await loader.start(stage);
  try {
    const load = async (count: number) => {
      const route = { kind: 'windows', name: 'runs', count, rows: ROWS, base: BASE } as const;
      const baseUrl = await stage.source.run(route);
      await process.load({ databaseUrl, baseUrl, count, rows: ROWS, from });
      from += count * MINUTE;
    };
    await load(WARM_UP);
    const before = await catalogueSize(databaseUrl);
    await load(stage.sizes.runs);
    return ((await catalogueSize(databaseUrl)) - before) / 1e6;
  } finally {
    await process.stop();
  }
}

/** Without statistics: autovacuum renews them as tables grow, whoever fills those. */
async function catalogueSize(databaseUrl: string): Promise<number> {
  const { rows } = await inDatabase(databaseUrl, (pool) =>
    pool.query<{ bytes: number }>(
      `select sum(pg_total_relation_size(oid))::bigint as bytes from pg_class
        where relnamespace = 'pg_catalog'::regnamespace and relkind = 'r'
          and oid <> 'pg_statistic'::regclass`,
    ),
  );
  return rows[0]!.bytes;
}
