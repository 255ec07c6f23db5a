import { readSettings, SERVICE_SETTINGS } from '../../../src/config.ts';
import { openLogger } from '../../../src/logger.ts';
import { planTick } from '../../../src/sync/plan.ts';
import { openWorld } from '../../../src/world.ts';
import { inDatabase } from '../cluster.ts';
import { filled, withCopy } from '../databases.ts';
import { platformSettings } from '../platform-settings.ts';
import { type Load, median, takeTurns } from '../stage.ts';
import { feedsName } from '../targets.ts';

/** Ticks of one measurement, whose median counts. */
const TICKS = 25;

/** Of how many feeds one is due at any tick: every 15 minutes of 10 seconds. */
const TICKS_PER_SLOT = 90;

interface Ledger {
  readonly feeds: number;
  readonly due: number;
}

const nameOf = ({ feeds, due }: Ledger): string => feedsName(feeds, due);

/** What a planner tick costs, by feeds and by those that are due. */
export const planner: Load = {
  name: 'planner',
  about: 'a planner tick, by feeds and by those of them that are due',
  async run(stage, figures) {
    const { feeds, due } = stage.sizes;
    const ledgers: Ledger[] = [
      ...feeds.map((all) => ({ feeds: all, due: Math.ceil(all / TICKS_PER_SLOT) })),
      { feeds: due.few, due: due.due },
      { feeds: due.many, due: due.due },
    ];
    await takeTurns(
      stage,
      figures,
      { load: 'planner', contestants: ledgers, nameOf },
      async (ledger) => {
        const name = `bench_ledger_${ledger.feeds}_${ledger.due}`;
        const template = await filled(stage, name, (url) => addLedger(url, ledger));
        await withCopy(stage, template, async (databaseUrl) => {
          await stage.cluster.checkpoint();
          const ms = await tickTime(databaseUrl, ledger);
          figures.add({ load: 'planner', what: nameOf(ledger), unit: 'ms' }, ms);
          stage.say(`planner: ${nameOf(ledger)}: ${ms.toFixed(2)} ms`);
        });
      },
    );
  },
};

/** The middle of some ticks, in milliseconds. */
async function tickTime(databaseUrl: string, { due }: Ledger): Promise<number> {
  const settings = readSettings(
    { ...platformSettings('http://127.0.0.1:9'), DATABASE_URL: databaseUrl },
    SERVICE_SETTINGS,
  );
  const world = openWorld({ settings, log: openLogger('silent') });
  try {
    const times: number[] = [];
    for (let tick = 0; tick < TICKS; tick += 1) {
      const started = performance.now();
      const found = await planTick(world.sync);
      times.push(performance.now() - started);
      if (found.length !== due) throw new Error(`planner: ${found.length} feeds due, not ${due}`);
    }
    return median(times);
  } finally {
    await world.close();
  }
}

/** Feeds of which some are due and the others tomorrow, long after the last round; in no order. */
async function addLedger(databaseUrl: string, { feeds, due }: Ledger): Promise<void> {
  await inDatabase(databaseUrl, async (pool) => {
    await pool.query(
      `insert into vcc.org (org_code) select 'P' || n from generate_series(1, $1::int / 4) n`,
      [feeds],
    );
    await pool.query(
      `with feed as (
        select org_code, dataset, row_number() over (order by md5(org_code || dataset)) as place
        from vcc.org, unnest('{addresses,supply_points,subscribers,meters}'::text[]) dataset)
      insert into vcc.feed (org_code, dataset, since, next_due_at)
        select org_code, dataset, date_trunc('second', now()),
          now() + case when place <= $1 then -place else place + 86400000 end * interval '1 millisecond'
        from feed`,
      [due],
    );
  });
}
