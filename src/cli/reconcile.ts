import type { Command } from 'commander';
import type { DatasetName } from '../core/dataset.ts';
import { FatalError } from '../core/errors.ts';
import {
  readDataset,
  readLimit,
  readOrgCode,
  readPercent,
  readTime,
  TIME_HELP,
} from './arguments.ts';
import { type FileOptions, reconcileFile } from './reconcile-file.ts';
import { reconcileOrg } from './reconcile-org.ts';

interface ReconcileOptions {
  readonly org: string;
  readonly file?: string;
  readonly dataset?: DatasetName;
  readonly asOf?: number;
  readonly repair?: boolean;
  readonly maxAbsent?: number;
  readonly maxRejects?: number;
  readonly sample?: number;
  readonly confidence?: number;
  readonly afresh?: boolean;
  readonly resync?: boolean;
  readonly reason?: string;
  readonly json?: boolean;
}

/** Adds `reconcile`: finds out whether the copy is right. */
export function registerReconcile(program: Command): void {
  program
    .command('reconcile')
    .description('compare the copy with the platform or a full extract, and say what differs')
    .requiredOption('--org <code>', 'organisation', readOrgCode)
    .option('--file <file>', 'a full extract, plain or gzip, with its header line; - reads stdin')
    .option('--dataset <name>', 'dataset that the file holds', readDataset)
    .option('--as-of <time>', `when the file was made (${TIME_HELP})`, readTime)
    .option('--repair', 'load what is missing or changed, and mark what the file lacks as absent')
    .option('--max-absent <percent>', 'rows the file may lack; needs --reason', readPercent)
    .option('--max-rejects <percent>', 'refused lines to put up with; needs --reason', readPercent)
    .option('--sample <count>', 'without a file: subscribers to draw on each side (200)', readLimit)
    .option('--confidence <percent>', 'how sure to be of what the sample says (95%)', readPercent)
    .option('--afresh', 'begin anew, where one that was interrupted would be gone on with')
    .option('--resync', 'request that what differs is loaded again')
    .option('--reason <text>', 'why, for the record')
    .option('--json', 'print a JSON array')
    .addHelpText(
      'after',
      [
        '\nWithout a file the subscribers are compared with those that the platform shows (3007, else 3005):',
        'its list is read whole if that takes no more requests than the sample has subscribers, else places',
        'in it are drawn; then rows of the table that were not on it are asked for. Masked values are',
        'allowed for. It goes on where it was interrupted.',
        '',
        'With a file, every row of it is compared; rows that are here in a newer state are no differences.',
        'Without --repair nothing but the findings is written, by keys and names of columns, never by values.',
      ].join('\n'),
    )
    .action(reconcile);
}

/** Options that only a file has, and those that only the platform has. */
const FILE_OPTIONS = ['dataset', 'asOf', 'repair', 'maxAbsent', 'maxRejects'] as const;
const PLATFORM_OPTIONS = ['sample', 'confidence', 'afresh', 'resync'] as const;

function reconcile(options: ReconcileOptions): Promise<void> {
  const { org, file, json } = options;
  const reason = options.reason?.trim() || null;
  const foreign = (file === undefined ? FILE_OPTIONS : PLATFORM_OPTIONS).find(
    (name) => options[name] !== undefined,
  );
  if (foreign) {
    const option = `--${foreign.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    const where = file === undefined ? 'needs a --file' : 'is not for a --file';
    throw new FatalError('CONFIG', `${option} ${where}`);
  }
  if (file !== undefined)
    return reconcileFile({ ...fileOptions(options, reason), file, org, json });
  const { sample, confidence = 95, afresh = false, resync = false } = options;
  if (confidence <= 0 || confidence >= 100) {
    throw new FatalError('CONFIG', '--confidence lies between 0% and 100%');
  }
  return reconcileOrg({ org, sample, confidence, afresh, resync, reason, json });
}

function fileOptions(
  { dataset, asOf, repair = false, ...options }: ReconcileOptions,
  reason: string | null,
): Omit<FileOptions, 'file' | 'org' | 'json'> {
  if (dataset === undefined || asOf === undefined) {
    throw new FatalError('CONFIG', '--file needs --dataset and --as-of');
  }
  const { maxAbsent = null, maxRejects = null } = options;
  if (maxAbsent !== null && !repair) {
    throw new FatalError('CONFIG', '--max-absent needs --repair: else nothing is marked absent');
  }
  if (maxAbsent !== null && reason === null) {
    throw new FatalError('CONFIG', 'a limit for absent rows of its own needs a --reason');
  }
  return { dataset, asOf, repair, maxAbsent, maxRejects, reason };
}
