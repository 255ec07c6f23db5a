import type { PoolClient } from 'pg';
import { floorSecond, HOUR } from '../../../src/core/china-time.ts';
import { inDatabase } from '../cluster.ts';
import { serveTables } from '../contestants/contestant.ts';
import { ours } from '../contestants/ours.ts';
import { addFeeds, filled, withCopy } from '../databases.ts';
import { ORG } from '../rows.ts';
import type { Figures, Load, Stage } from '../stage.ts';
import { SLOWEST_QUESTION } from '../targets.ts';
import { fillReporting, NAMED } from './reporting-world.ts';

const { district, building, subscriber } = NAMED;

/** Typical questions, by view. */
const QUESTIONS: Readonly<Record<string, string>> = {
  'address_tree: the path of an address': `select path_names from address_tree where address_code = '${building}'`,
  'address_tree: the buildings of a district, with paths': `select count(t.path_names) from address_below b
    join address_tree t using (org_code, address_code) where b.ancestor_code = '${district}' and t.address_type = 'B'`,
  'address_below: how much is in each district': `select ancestor_name, count(*) from address_below
    where ancestor_code like '13205%' and ancestor_type = 'D' group by 1`,
  'subscriber: current ones by type': `select subscriber_type_en, count(*) from subscriber where is_current group by 1`,
  'subscriber: those of a district': `select s.* from address_below b join subscriber s using (org_code, address_code)
    where b.ancestor_code = '${district}'`,
  'supply_point: by type and source': `select supply_point_type_en, gas_source_type_en, count(*) from supply_point group by 1, 2`,
  'meter: by state and whether current': `select state_en, is_current, count(*) from meter group by 1, 2`,
  'meter: one, with subscriber and path': `select * from meter where subscriber_code = '${subscriber}' and org_code = '${ORG}'`,
  'household: one': `select * from household where subscriber_code = '${subscriber}'`,
  'household: those of a district': `select count(*), sum(cardinality(meter_codes)) from address_below b
    join household h using (org_code, address_code) where b.ancestor_code = '${district}'`,
  'flag_summary: all': 'select * from flag_summary',
  'freshness: all': 'select * from freshness',
  'gap: all': 'select * from gap',
  'run_log: the newest 50': `select * from run_log where org_code = '${ORG}' order by run_id desc limit 50`,
  'daily_volume: the last week': `select * from daily_volume where day > current_date - 7`,
};

/** Questions that read all of a table and join it, or half a year: measured and shown, but not judged. */
const WHOLE: Readonly<Record<string, string>> = {
  'moved: all': 'select * from moved',
  'orphan: meters by cause': `select cause, count(*) from orphan where dataset = 'meters' group by 1`,
  'all addresses by district': `select city, district, count(*) from address_tree group by 1, 2`,
  'all subscribers by district': `select city, district, count(*) from subscriber group by 1, 2`,
  'all households without a meter': `select count(*) from household where meter_codes = '{}'`,
  'all orphans': 'select dataset, cause, count(*) from orphan group by 1, 2',
  'half a year by day': 'select * from daily_volume',
};

/** Indexes that only readers need. */
const INDEXES = ['address_parent_idx', 'address_flagged_idx'];

/** How fast the views answer, and what their indexes cost a load. */
export const reporting: Load = {
  name: 'reporting',
  about: 'questions to the views of schema reporting, and what their indexes cost a load',
  async run(stage, figures) {
    await ask(stage, figures);
    await loadWithAndWithout(stage, figures);
  },
};

async function ask(stage: Stage, figures: Figures): Promise<void> {
  const name = 'bench_reporting';
  await filled(stage, name, (url) =>
    inDatabase(url, (pool) => fillReporting(pool, stage.sizes.rows)),
  );
  await withCopy(stage, name, (url) =>
    inDatabase(url, async (pool) => {
      const client = await pool.connect();
      try {
        await client.query(`set role vcc_reader; set search_path = reporting; set jit = off`);
        for (let round = 0; round < stage.rounds; round += 1) await askAll(client, stage, figures);
      } finally {
        client.release(true);
      }
    }),
  );
}

/** Asks each question twice: the second time counts, when what it reads has been read before. */
async function askAll(client: PoolClient, { say }: Stage, figures: Figures): Promise<void> {
  let slowest = 0;
  for (const [what, question] of Object.entries({ ...QUESTIONS, ...WHOLE })) {
    let seconds = 0;
    for (let time = 0; time < 2; time += 1) {
      const started = performance.now();
      await client.query(question);
      seconds = (performance.now() - started) / 1000;
    }
    const isTypical = what in QUESTIONS;
    figures.add({ load: isTypical ? 'reporting' : 'whole tables', what, unit: 's' }, seconds);
    if (isTypical) slowest = Math.max(slowest, seconds);
    say(`reporting: ${what}: ${seconds.toFixed(3)} s`);
  }
  figures.add({ load: 'reporting', what: SLOWEST_QUESTION, unit: 's' }, slowest);
}

/** The same table into an empty one, with the indexes of the views and without. */
async function loadWithAndWithout(stage: Stage, figures: Figures): Promise<void> {
  const { rows } = stage.sizes;
  const baseUrl = await serveTables(stage, { kind: 'first', rows, orgCodes: [ORG] });
  for (let round = 0; round < stage.rounds; round += 1) {
    for (const what of ['a load without their indexes', 'a load with their indexes']) {
      await withCopy(stage, undefined, async (databaseUrl) => {
        await addFeeds(databaseUrl, [ORG], floorSecond(Date.now() - HOUR));
        if (what.includes('without')) await dropIndexes(databaseUrl);
        await stage.cluster.checkpoint();
        const task = { databaseUrl, baseUrl, orgCodes: [ORG], rows, stage };
        const { seconds } = await ours.load(task);
        figures.add({ load: 'reporting', what, unit: 's', rows }, seconds);
        stage.say(`reporting: ${what}: ${seconds.toFixed(2)} s`);
      });
    }
  }
}

async function dropIndexes(databaseUrl: string): Promise<void> {
  await inDatabase(databaseUrl, (pool) =>
    pool.query(`drop index ${INDEXES.map((index) => `vcc.${index}`).join(', ')}`),
  );
}
