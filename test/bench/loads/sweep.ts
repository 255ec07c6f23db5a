import { floorSecond, HOUR } from '../../../src/core/china-time.ts';
import { inDatabase } from '../cluster.ts';
import { filled, withCopy } from '../databases.ts';
import { runProgram } from '../program.ts';
import type { SweepResult, SweepTask } from '../programs/sweep.ts';
import { type Figures, type Load, type Stage, takeTurns } from '../stage.ts';

const CONCURRENCY = [1, 4, 8];

const QUEUES = [
  { queue: 'none', title: 'bare loop' },
  { queue: 'redis', title: 'Redis' },
  { queue: 'postgres', title: 'Postgres' },
] as const;

/** One sweep: by which queue and how many feeds at once. */
type Sweep = (typeof QUEUES)[number] & { readonly concurrency: number };

const nameOf = ({ title, concurrency }: Sweep): string => `${title}, ${concurrency} at once`;

/** Feeds with a handful of rows each, from a full queue until all are done. */
export const sweep: Load = {
  name: 'sweep',
  about: 'a sweep over feeds with a few rows each, from a full queue to done, feeds/s',
  async run(stage, figures) {
    if (!stage.redis) stage.say('sweep on Redis is left out: there is none');
    const sweeps = QUEUES.flatMap((one) =>
      CONCURRENCY.map((concurrency) => ({ ...one, concurrency })),
    )
      .filter(({ queue }) => queue !== 'redis' || stage.redis !== null)
      .sort((a, b) => a.concurrency - b.concurrency);
    const { orgs, rows } = stage.sizes.sweep;
    const template = await filled(stage, 'bench_sweep', (url) => addManyFeeds(url, orgs));
    const baseUrl = await stage.source.run({ kind: 'feeds', name: 'feeds', rows });
    await takeTurns(stage, figures, { load: 'sweep', contestants: sweeps, nameOf }, (one) =>
      measure(stage, figures, { one, template, baseUrl }),
    );
  },
};

async function measure(
  stage: Stage,
  figures: Figures,
  { one, template, baseUrl }: { one: Sweep; template: string; baseUrl: string },
): Promise<void> {
  const { queue, concurrency } = one;
  await withCopy(stage, template, async (databaseUrl, namespace) => {
    await stage.cluster.checkpoint();
    const redisUrl = stage.redis?.url ?? null;
    const task = { databaseUrl, baseUrl, queue, redisUrl, namespace, concurrency };
    try {
      const done = await runProgram<SweepTask, SweepResult>(stage, 'sweep', task);
      const what = nameOf(one);
      const rate = done.feeds / done.seconds;
      const { rows } = stage.sizes.sweep;
      await expectSwept(databaseUrl, stage);
      figures.add({ load: 'sweep', what, unit: '/s', rows }, rate);
      stage.say(`sweep: ${what} ${rate.toFixed(0)} feeds/s`);
    } finally {
      await stage.redis?.clear(namespace);
    }
  });
}

/** @throws Error unless every feed has one finished run with all its rows */
async function expectSwept(databaseUrl: string, { sizes: { sweep: size } }: Stage): Promise<void> {
  const { rows } = await inDatabase(databaseUrl, (pool) =>
    pool.query<{ runs: number; inserted: number }>(
      `select count(*) as runs, sum(inserted)::int as inserted from vcc.run where status = 'done'`,
    ),
  );
  const { runs, inserted } = rows[0]!;
  const feeds = size.orgs * 4;
  if (runs === feeds && inserted === feeds * size.rows) return;
  throw new Error(`sweep: ${runs} runs with ${inserted} rows of ${feeds} feeds`);
}

/** Adds organisations with all four feeds, which lack the last hour. */
async function addManyFeeds(databaseUrl: string, orgs: number): Promise<void> {
  await inDatabase(databaseUrl, async (pool) => {
    await pool.query(
      `with org as (
        insert into vcc.org (org_code) select 'S' || lpad(n::text, 6, '0') from generate_series(1, $1) n
        returning org_code)
      insert into vcc.feed (org_code, dataset, since)
        select org_code, unnest('{addresses,supply_points,subscribers,meters}'::text[]), $2 from org`,
      [orgs, new Date(floorSecond(Date.now() - HOUR))],
    );
  });
}
