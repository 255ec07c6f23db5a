import { floorSecond, HOUR } from '../../../src/core/china-time.ts';
import { type Contestant, nameOf, serveTables } from '../contestants/contestant.ts';
import { floor } from '../contestants/floor.ts';
import { ours, oursApart } from '../contestants/ours.ts';
import { psqlRecipe, psqlRecipeTuned } from '../contestants/psql-recipe.ts';
import { addFeeds, countRows, withCopy } from '../databases.ts';
import { ORG } from '../rows.ts';
import { type Figures, type Load, type Stage, takeTurns } from '../stage.ts';
import { ableOf } from './bulk.ts';

const ORGS = [ORG, 'WJ0106', 'WJ0107', 'WJ0108'];

/** How many tables are loaded at once, and by whom. */
const TOGETHER = [
  {
    name: 'two at once',
    orgCodes: ORGS.slice(0, 2),
    by: [ours, oursApart, psqlRecipe, psqlRecipeTuned, floor],
  },
  { name: 'four at once', orgCodes: ORGS, by: [ours, psqlRecipe, floor] },
] as const;

/** Several organisations at once, each with a whole table, into empty ones. */
export const atOnce: Load = {
  name: 'at-once',
  about: 'two and four organisations at once, a table of the rows each, into empty ones',
  async run(stage, figures) {
    const { rows } = stage.sizes;
    for (const { name, orgCodes, by } of TOGETHER) {
      const able = await ableOf(stage, by);
      const baseUrl = await serveTables(stage, { kind: 'first', rows, orgCodes });
      await takeTurns(stage, figures, { load: name, contestants: able, nameOf }, (contestant) =>
        measure(stage, figures, { name, orgCodes, contestant, baseUrl }),
      );
    }
  },
};

interface Together {
  readonly name: string;
  readonly orgCodes: readonly string[];
  readonly contestant: Contestant;
  readonly baseUrl: string;
}

async function measure(
  stage: Stage,
  figures: Figures,
  { name, orgCodes, contestant, baseUrl }: Together,
): Promise<void> {
  const { rows } = stage.sizes;
  const all = rows * orgCodes.length;
  await withCopy(stage, undefined, async (databaseUrl) => {
    if (contestant.owner === 'ours') {
      await addFeeds(databaseUrl, orgCodes, floorSecond(Date.now() - HOUR));
    }
    await stage.cluster.checkpoint();
    const { seconds } = await contestant.load({ databaseUrl, baseUrl, orgCodes, rows, stage });
    const held = await countRows(databaseUrl, contestant.owner);
    if (held !== all) throw new Error(`${contestant.name} left ${held} rows, not ${all}`);
    figures.add({ load: name, what: contestant.name, unit: 's', rows: all }, seconds);
    stage.say(`${name}: ${contestant.name} ${seconds.toFixed(2)} s`);
  });
}
