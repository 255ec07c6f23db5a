import { type Command, InvalidArgumentError } from 'commander';
import { DATABASE_SETTINGS } from '../config.ts';
import { DATASET_NAMES, type DatasetName } from '../core/dataset.ts';
import { FatalError } from '../core/errors.ts';
import { reach } from '../core/window.ts';
import { addOrg, listOrgs, type OrgRow, setOrgEnabled } from '../store/orgs.ts';
import { unknownOrg } from '../sync/feed-choice.ts';
import { type DatabaseSurroundings, run } from './action.ts';
import { readDatasets, readEvery, readOrgCode, readTime, TIME_HELP } from './arguments.ts';
import { chinaTime, type Listing, type Output, printRows } from './output.ts';

interface AddOptions {
  readonly name?: string;
  readonly area?: string;
  readonly datasets?: readonly DatasetName[] | 'all';
  readonly every?: number;
  readonly since?: number;
}

/** Adds `org add`, `org list`, `org enable` and `org disable`. */
export function registerOrg(program: Command): void {
  const org = program.command('org').description('the organisations that are kept in step');
  org
    .command('add')
    .description('add an organisation, or change one; what is not named stays as it is')
    .argument('<code>', "the platform's code of the organisation, such as WJ0105", readOrgCode)
    .option('--name <name>', 'name for people', readText)
    .option('--area <area>', 'areaCode to send along, where the platform asks for one', readText)
    .option(
      '--datasets <list>',
      `some of ${DATASET_NAMES.join(',')}; a new organisation takes all`,
      readDatasets,
    )
    .option(
      '--every <duration>',
      'interval between synchronisations, instead of SYNC_EVERY',
      readEvery,
    )
    .option('--since <time>', `where the promise begins (${TIME_HELP})`, readTime)
    .action(run(DATABASE_SETTINGS, add));
  org
    .command('list')
    .description('list the organisations')
    .option('--json', 'print a JSON array')
    .action(
      run(DATABASE_SETTINGS, async ({ out, openDatabase }, { json }: { json?: boolean }) => {
        printRows(await listOrgs(await openDatabase()), ORGS, { json, out });
        return 0;
      }),
    );
  registerSwitch(org, 'enable', 'synchronise an organisation again, from where it stopped', true);
  registerSwitch(org, 'disable', 'stop synchronising an organisation; its data stays', false);
}

function readText(text: string): string {
  if (text.trim() !== '' && !/\p{Cc}/u.test(text)) return text.trim();
  throw new InvalidArgumentError('expected a text of one line.');
}

async function add(
  { out, openDatabase }: DatabaseSurroundings,
  orgCode: string,
  { area, datasets, ...options }: AddOptions,
): Promise<0> {
  const now = Date.now();
  if (options.since !== undefined && options.since >= now) {
    throw new FatalError('CONFIG', `--since must be in the past: it is now ${chinaTime(now)}`);
  }
  const wanted = datasets === 'all' ? DATASET_NAMES : datasets;
  const change = { ...options, orgCode, areaCode: area, datasets: wanted };
  const { isNew, enabled, added, kept } = await addOrg(await openDatabase(), change);
  if (isNew) out.line(`added ${orgCode}: ${added.join(', ')}`);
  else if (added.length > 0) out.line(`updated ${orgCode}: added ${added.join(', ')}`);
  else out.line(`updated ${orgCode}: ${kept.join(', ') || 'it has no feeds'}`);
  if (!enabled) {
    out.note(`${orgCode} is disabled and stays so; vcc-sync org enable ${orgCode} changes that`);
  }
  if (options.since !== undefined) noteReach(out, options.since, now);
  return 0;
}

/** Says what of a promise the platform can not keep for us any more (P7). */
function noteReach(out: Output, since: number, now: number): void {
  const earliest = reach(now);
  if (since >= earliest) return;
  out.note(
    `the platform serves nothing from before ${chinaTime(earliest)} (China time): ` +
      `from ${chinaTime(since)} until then is an expired gap until vcc-sync import fills it`,
  );
}

function registerSwitch(
  org: Command,
  name: 'enable' | 'disable',
  description: string,
  enabled: boolean,
): void {
  org
    .command(name)
    .description(description)
    .argument('<code>', "the platform's code of the organisation", readOrgCode)
    .action(
      run(DATABASE_SETTINGS, async ({ out, openDatabase }, orgCode: string) => {
        const found = await setOrgEnabled(await openDatabase(), orgCode, enabled);
        if (!found) throw unknownOrg(orgCode);
        out.line(`${name}d ${orgCode}`);
        return 0;
      }),
    );
}

const ORGS: Listing<OrgRow> = {
  empty: 'no organisations yet; vcc-sync org add CODE adds one',
  columns: [
    { title: 'ORG', text: ({ orgCode }) => orgCode },
    { title: 'NAME', text: ({ name }) => name ?? '-' },
    { title: 'AREA', text: ({ areaCode }) => areaCode ?? '-' },
    { title: 'ENABLED', text: ({ enabled }) => (enabled ? 'yes' : 'no') },
    {
      title: 'DATASETS',
      text: ({ datasets, paused }) =>
        datasets.map((name) => (paused.includes(name) ? `${name} (paused)` : name)).join(', ') ||
        '-',
    },
  ],
  record: ({ orgCode, name, areaCode, enabled, datasets, paused }) => ({
    org_code: orgCode,
    name,
    area_code: areaCode,
    enabled,
    datasets,
    paused,
  }),
};
