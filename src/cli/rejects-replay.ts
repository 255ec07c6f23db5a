import { readFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError } from 'commander';
import type { DatasetName } from '../core/dataset.ts';
import { FatalError } from '../core/errors.ts';
import { readRepairs } from '../core/repairs.ts';
import { openRejectStore } from '../store/replay.ts';
import { type ReplayedFeed, replayRejects } from '../sync/replay.ts';
import { replayRecord } from '../sync/replay-record.ts';
import { subjectOf } from '../sync/sync-window.ts';
import { run, type Surroundings } from './action.ts';
import { readDataset, readOrgCode, requestedBy } from './arguments.ts';
import { BRINGING_SETTINGS, describeBringing, openBringing } from './bringing.ts';
import { readFilter } from './ledger.ts';
import { count, type Listing, type Output, printRows, type TableColumn } from './output.ts';
import { nameOfFile, whyUnreadable } from './table-file.ts';

interface ReplayOptions {
  readonly org?: string;
  readonly dataset?: DatasetName;
  readonly run?: number;
  readonly map?: string;
  readonly reason?: string;
  readonly json?: boolean;
}

/** Adds `rejects replay`: loads refused lines after all. */
export function registerRejectsReplay(rejects: Command): void {
  rejects
    .command('replay')
    .description('load refused lines after all, repaired or as they are, and resolve them')
    .option('--org <code>', 'this organisation only', readOrgCode)
    .option('--dataset <name>', 'this dataset only', readDataset)
    .option('--run <id>', 'only lines that this run saw last', readRunId)
    .option('--map <file>', 'repaired lines: id, tab, line, as psql writes them')
    .option('--reason <text>', 'why, for the record')
    .option('--json', 'print a JSON array')
    .addHelpText(
      'after',
      [
        '\nWithout --map the unresolved lines are tried as they are: worth it after a setting such as',
        'SYNC_OTHER_ORGS or vcc-sync itself has changed. To repair lines, write them out with psql, edit',
        'them and give the file back (it holds personal data):',
        String.raw`  \copy (select id, line from vcc.reject where resolved_at is null) to 'repairs.tsv'`,
        'A line is read by the header of its own file and is no newer than its window; a line whose',
        'stored text is gone or not whole is left unless it comes repaired.',
      ].join('\n'),
    )
    .action(run(BRINGING_SETTINGS, replay));
}

function readRunId(text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected the number of a run, as vcc-sync runs shows it.');
}

async function replay(
  surroundings: Surroundings<(typeof BRINGING_SETTINGS)[number]>,
  { org, dataset, run: runId, map, reason, json }: ReplayOptions,
): Promise<0 | 1> {
  const { out } = surroundings;
  const repairs = map === undefined ? null : readRepairs(await readMap(map), nameOfFile(map));
  const { store, world, signal } = await openBringing(surroundings);
  const chosen = await readFilter(store.db, { ...(org && { org }), ...(dataset && { dataset }) });
  const results = await replayRejects(
    { ...world, rejects: openRejectStore(store.db) },
    {
      filter: { ...chosen, runId },
      repairs,
      reason: reason?.trim() || null,
      requestedBy: requestedBy(),
    },
    { onBusy: (feed) => out.note(`${subjectOf(feed)}: another process is loading it; waiting`) },
    signal,
  );
  printRows(results, REPLAYED, { json, out });
  for (const result of results) noteRest(result, out);
  return results.some(({ error }) => error !== null) ? 1 : 0;
}

async function readMap(file: string): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    throw new FatalError('CONFIG', `${nameOfFile(file)}: ${whyUnreadable(error)}`);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new FatalError('CONFIG', `${nameOfFile(file)}: it is not UTF-8; write it out as such`);
  }
}

function noteRest(result: ReplayedFeed, out: Output): void {
  const subject = subjectOf(result);
  if (total(result.refused) > 0) {
    out.note(`${subject}: refused again, and still open: ${describe(result.refused)}`);
  }
  if (result.receipt.stale > 0) {
    out.note(
      `${subject}: ${count(result.receipt.stale)} stale: a newer window has brought those rows since`,
    );
  }
  if (total(result.left) > 0) {
    out.note(`${subject}: left, since only --map can repair them: ${describe(result.left)}`);
  }
  if (result.error) out.note(describeBringing(result.error, subject));
}

type Counts = Readonly<Record<string, number>>;

function total(counts: Counts): number {
  return Object.values(counts).reduce((sum, one) => sum + one, 0);
}

function describe(counts: Counts): string {
  return Object.entries(counts)
    .map(([name, number]) => `${name} ${count(number)}`)
    .join(', ');
}

const COUNTS = ['lines', 'inserted', 'updated', 'unchanged', 'stale', 'duplicate'] as const;

const REPLAYED: Listing<ReplayedFeed> = {
  empty: 'no rejects to replay',
  columns: [
    { title: 'ORG', text: ({ orgCode }) => orgCode },
    { title: 'DATASET', text: ({ dataset }) => dataset },
    { title: 'RUNS', text: ({ runs }) => count(runs.length), right: true },
    ...COUNTS.map(
      (name): TableColumn<ReplayedFeed> => ({
        title: name.toUpperCase(),
        text: ({ receipt }) => count(receipt[name]),
        right: true,
      }),
    ),
    { title: 'REFUSED AGAIN', text: ({ refused }) => count(total(refused)), right: true },
    { title: 'LEFT', text: ({ left }) => count(total(left)), right: true },
  ],
  record: replayRecord,
};
