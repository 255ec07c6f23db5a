import type { Command } from 'commander';
import type { DatasetName } from '../core/dataset.ts';
import { FatalError } from '../core/errors.ts';
import type { ImportSpan } from '../core/import.ts';
import { importTable } from '../sync/import.ts';
import { run, type Surroundings } from './action.ts';
import {
  readDataset,
  readOrgCode,
  readPercent,
  readTime,
  requestedBy,
  TIME_HELP,
} from './arguments.ts';
import { BRINGING_SETTINGS } from './bringing.ts';
import { openBroughtFile } from './brought-file.ts';
import { count, printRows } from './output.ts';
import { RECEIPTS } from './sync-report.ts';

interface ImportOptions {
  readonly org: string;
  readonly dataset: DatasetName;
  readonly from?: number;
  readonly to?: number;
  readonly asOf?: number;
  readonly full?: boolean;
  readonly maxRejects?: number;
  readonly reason?: string;
  readonly json?: boolean;
}

/** Adds `import`: loads a table file got by other means. */
export function registerImport(program: Command): void {
  program
    .command('import')
    .description('load a table file got by other means than the API, and print the receipt')
    .argument('<file>', 'the table, plain or gzip, with its header line; - reads stdin')
    .requiredOption('--org <code>', 'organisation', readOrgCode)
    .requiredOption('--dataset <name>', 'dataset that the file holds', readDataset)
    .option('--from <time>', `the file holds the changes from here (${TIME_HELP})`, readTime)
    .option('--to <time>', 'to here, not included: the interval is covered then', readTime)
    .option('--as-of <time>', 'the file holds rows as they stood then; covers nothing', readTime)
    .option('--full', 'with --as-of: all rows there were; covers all time before')
    .option('--max-rejects <percent>', 'refused lines to put up with; needs --reason', readPercent)
    .option('--reason <text>', 'why, for the record')
    .option('--json', 'print the receipt as a JSON array')
    .addHelpText(
      'after',
      [
        '\nA file of any size is loaded in one transaction, the same way as a downloaded window: never',
        'older over newer, and all of it or nothing. What an import covers may lie far before the',
        "platform's reach; it may be repeated. --full sets the baseline of the feed: from then on it",
        'holds everything, not changes alone. Rows that a full extract lacks are left as they are.',
      ].join('\n'),
    )
    .action(run(BRINGING_SETTINGS, importFile));
}

async function importFile(
  surroundings: Surroundings<(typeof BRINGING_SETTINGS)[number]>,
  path: string,
  options: ImportOptions,
): Promise<0> {
  const { out } = surroundings;
  const span = readSpan(options);
  const { org: orgCode, dataset, json, maxRejects = null } = options;
  const { world, signal, read } = await openBroughtFile(surroundings, path, { dataset, orgCode });
  const reason = options.reason?.trim() || null;
  const wish = { orgCode, dataset, span, maxRejects, reason, requestedBy: requestedBy() };
  const outcome = await read((file) => importTable(world, wish, file, signal));
  printRows([{ ...outcome, feed: { dataset, orgCode } }], RECEIPTS, { json, out });
  const { stale } = outcome.receipt;
  if (stale > 0) {
    out.note(`${count(stale)} rows are here in a newer state, which was left as it is`);
  }
  return 0;
}

function readSpan({ from, to, asOf, full = false }: ImportOptions): ImportSpan {
  if ((from === undefined) !== (to === undefined)) {
    throw new FatalError('CONFIG', '--from and --to belong together');
  }
  if (from !== undefined && to !== undefined && asOf === undefined && !full) {
    return { kind: 'interval', during: { from, to } };
  }
  if (asOf !== undefined && from === undefined) return { kind: 'as-of', asOf, full };
  if (full && asOf === undefined) throw new FatalError('CONFIG', '--full needs --as-of');
  throw new FatalError(
    'CONFIG',
    'say what the file stands for: either --from and --to, or --as-of, and one of them only',
  );
}
