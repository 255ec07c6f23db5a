import { firstLine } from '../postgres-programs.ts';
import { ADDRESS_COLUMNS } from '../rows.ts';
import { postgresEnvironment, runShell } from '../shell.ts';
import { TUNED } from '../targets.ts';
import { allAtOnce, type Contestant, tableUrl } from './contestant.ts';

const names = ADDRESS_COLUMNS.join(', ');
const content = ADDRESS_COLUMNS.filter((name) => name !== 'org_code' && name !== 'address_code');
const stored = content.map((name) => `a.${name}`).join(', ');
const delivered = content.map((name) => `excluded.${name}`).join(', ');

/** Takes the later line of a key. */
const UPSERT = `insert into address as a (${names})
  select distinct on (org_code, address_code) ${names} from staged
  order by org_code, address_code, ctid desc
  on conflict (org_code, address_code) do update
  set (${content.join(', ')}) = row(${delivered})`;

/** Leaves rows alone that came as they are: what few think of. */
const UPSERT_DIFFERENT = `${UPSERT}
  where (${stored}) is distinct from (${delivered})`;

const STAGE = `create temp table staged (${ADDRESS_COLUMNS.map((name) => `${name} text${content.includes(name) ? '' : ' collate "C"'}`).join(', ')})`;

const COPY = String.raw`\copy staged from pstdin with (header true, delimiter '|', null '')`;

/** What an expert would type: curl, `\copy` into a staging table, `insert … on conflict do update`. */
export const psqlRecipe = recipe('curl | psql', UPSERT);

/** The recipe with the memory and without the compiling that the service's own connections are given. */
export const psqlRecipeTuned = recipe(TUNED, UPSERT, '-c jit=off -c work_mem=128MB');

/** The recipe at its best. */
export const psqlRecipeAtBest = recipe('curl | psql, what differs', UPSERT_DIFFERENT);

/** @param settings of the session, as options of the server's command line */
function recipe(name: string, upsert: string, settings = ''): Contestant {
  return {
    name,
    owner: 'plain',
    async lack() {
      for (const program of ['psql', 'curl']) {
        if (!(await firstLine(program, ['--version']))) return `${program} is not installed`;
      }
      return null;
    },
    load: ({ databaseUrl, baseUrl, orgCodes, stage: { signal } }) =>
      allAtOnce(orgCodes, (orgCode) =>
        runShell(
          {
            text: 'curl -fsS "$URL" | psql -X -q -1 -v ON_ERROR_STOP=1 -c "$STAGE" -c "$COPY" -c "$UPSERT"',
            env: {
              ...postgresEnvironment(databaseUrl),
              PGOPTIONS: settings,
              URL: tableUrl(baseUrl, orgCode),
              STAGE,
              COPY,
              UPSERT: upsert,
            },
          },
          signal,
        ),
      ),
  };
}
