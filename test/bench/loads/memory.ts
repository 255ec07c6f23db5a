import { floorSecond, HOUR } from '../../../src/core/china-time.ts';
import { serveTables } from '../contestants/contestant.ts';
import { ours } from '../contestants/ours.ts';
import { addFeeds, withCopy } from '../databases.ts';
import { ORG } from '../rows.ts';
import type { Load } from '../stage.ts';
import { rowsName } from '../targets.ts';

/** Sizes of the table, in big tables. */
const TIMES = [1, 10];

/** The most memory that the service's process holds, by the table's size. */
export const memory: Load = {
  name: 'memory',
  about: 'peak memory of the process that loads a table into an empty one; ten times: once',
  async run(stage, figures) {
    for (const times of TIMES) {
      const rows = stage.sizes.rows * times;
      const what = rowsName(rows);
      const orgCodes = [ORG];
      const baseUrl = await serveTables(stage, { kind: 'first', rows, orgCodes });
      for (let round = 0; round < (times === 1 ? stage.rounds : 1); round += 1) {
        await withCopy(stage, undefined, async (databaseUrl) => {
          await addFeeds(databaseUrl, orgCodes, floorSecond(Date.now() - HOUR));
          const done = await ours.load({ databaseUrl, baseUrl, orgCodes, rows, stage });
          const megabytes = done.peak! / 1e6;
          figures.add({ load: 'memory', what, unit: 'MB' }, megabytes);
          stage.say(`memory: ${what} ${megabytes.toFixed(0)} MB, ${done.seconds.toFixed(1)} s`);
        });
      }
    }
  },
};
