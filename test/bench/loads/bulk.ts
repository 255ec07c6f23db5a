import { setTimeout as sleep } from 'node:timers/promises';
import { floorSecond, HOUR, SECOND } from '../../../src/core/china-time.ts';
import { inDatabase } from '../cluster.ts';
import { batches } from '../contestants/batches.ts';
import { type Contestant, type Loaded, nameOf, serveTables } from '../contestants/contestant.ts';
import { floor } from '../contestants/floor.ts';
import { ours } from '../contestants/ours.ts';
import { pgloader } from '../contestants/pgloader.ts';
import { psqlRecipe, psqlRecipeAtBest, psqlRecipeTuned } from '../contestants/psql-recipe.ts';
import {
  addFeeds,
  type Contents,
  contentsOf,
  filled,
  sameContents,
  withCopy,
} from '../databases.ts';
import { ORG } from '../rows.ts';
import { type Load, type Stage, takeTurns } from '../stage.ts';
import type { Kind } from '../table-file.ts';

/** How a big table is loaded. */
interface Bulk {
  readonly name: string;
  readonly about: string;
  readonly kind: Kind;
  /** Whether the tables hold the first load already. */
  readonly onTop: boolean;
  readonly contestants: readonly Contestant[];
}

/** (a), (b) and (c): one table into an empty one, again unchanged, and with changes. */
export const BULK_LOADS: readonly Load[] = [
  bulkLoad({
    name: 'empty',
    about: '(a) the table into an empty one',
    kind: 'first',
    onTop: false,
    contestants: [ours, floor, psqlRecipe, psqlRecipeTuned, batches, pgloader],
  }),
  bulkLoad({
    name: 'unchanged',
    about: '(b) the same again, unchanged',
    kind: 'first',
    onTop: true,
    contestants: [ours, psqlRecipe, psqlRecipeTuned, psqlRecipeAtBest, batches],
  }),
  bulkLoad({
    name: 'changed',
    about: '(c) a tenth changed, a tenth new, in random order',
    kind: 'changed',
    onTop: true,
    contestants: [ours, psqlRecipe, psqlRecipeTuned, psqlRecipeAtBest, batches],
  }),
];

function bulkLoad(bulk: Bulk): Load {
  return {
    name: bulk.name,
    about: bulk.about,
    async run(stage, figures) {
      const { rows } = stage.sizes;
      const able = await ableOf(stage, bulk.contestants);
      const baseUrl = await serveTables(stage, { kind: bulk.kind, rows, orgCodes: [ORG] });
      const expectSame = sameContents();
      const turns = { load: bulk.name, contestants: able, nameOf };
      await takeTurns(stage, figures, turns, async (contestant, round) => {
        const { loaded, held } = await measure(stage, bulk, contestant, baseUrl);
        expectSame(held, contestant.name);
        const figure = { load: bulk.name, what: contestant.name, unit: 's', rows } as const;
        figures.add(figure, loaded.seconds);
        stage.say(`${bulk.name}, round ${round + 1}: ${contestant.name} ${timeText(loaded)}`);
      });
    },
  };
}

/** Times for people; the processor's too, which tells a slow way from a busy machine. */
function timeText({ seconds, cpu }: Loaded): string {
  const share = cpu === undefined ? '' : ` (its process ${cpu.toFixed(2)} s of processor time)`;
  return `${seconds.toFixed(2)} s${share}`;
}

/** Those that can run here; of the others it is said why not. */
export async function ableOf<T extends Pick<Contestant, 'name' | 'lack'>>(
  stage: Stage,
  contestants: readonly T[],
): Promise<T[]> {
  const able: T[] = [];
  for (const contestant of contestants) {
    const lack = await contestant.lack();
    if (lack === null) able.push(contestant);
    else stage.say(`${contestant.name} is left out: ${lack}`);
  }
  return able;
}

async function measure(
  stage: Stage,
  { onTop }: Bulk,
  contestant: Contestant,
  baseUrl: string,
): Promise<{ loaded: Loaded; held: Contents }> {
  const { owner } = contestant;
  const template = onTop ? await firstLoad(stage, contestant) : undefined;
  return withCopy(stage, template, async (databaseUrl) => {
    if (owner === 'ours') await (onTop ? putOffDeep(databaseUrl) : addFeed(databaseUrl));
    await stage.cluster.checkpoint();
    const loaded = await contestant.load({
      databaseUrl,
      baseUrl,
      orgCodes: [ORG],
      rows: stage.sizes.rows,
      stage,
    });
    return { loaded, held: await contentsOf(databaseUrl, owner) };
  });
}

/** A database that holds the first load, made by the service or by `COPY`. */
async function firstLoad(stage: Stage, { owner }: Contestant): Promise<string> {
  const { rows } = stage.sizes;
  const way = owner === 'ours' ? ours : (await floor.lack()) === null ? floor : batches;
  return filled(stage, `bench_first_${owner}`, async (databaseUrl) => {
    const orgCodes = [ORG];
    const baseUrl = await serveTables(stage, { kind: 'first', rows, orgCodes });
    if (owner === 'ours') await addFeed(databaseUrl);
    await way.load({ databaseUrl, baseUrl, orgCodes, rows, stage });
    if (owner === 'plain') return;
    // The window that is measured must end later than this one, by a second at least.
    await sleep(2 * SECOND);
  });
}

/** A feed that lacks the last hour: one window. */
function addFeed(databaseUrl: string): Promise<void> {
  return addFeeds(databaseUrl, [ORG], floorSecond(Date.now() - HOUR));
}

/** A day may have turned since the first load: no deep re-read shall come between. */
async function putOffDeep(databaseUrl: string): Promise<void> {
  await inDatabase(databaseUrl, (pool) => pool.query('update vcc.feed set next_deep_at = null'));
}
