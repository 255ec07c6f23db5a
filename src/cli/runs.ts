import type { Command } from 'commander';
import { DATABASE_SETTINGS } from '../config.ts';
import { listRuns, type RunRow, type RunStatus } from '../store/ledgers.ts';
import { runRecord } from '../store/records.ts';
import { type DatabaseSurroundings, run } from './action.ts';
import { type LedgerOptions, ledgerCommand, oneOf, readFilter, withLimit } from './ledger.ts';
import { chinaTime, count, duration, type Listing, printRows } from './output.ts';

interface RunsOptions extends LedgerOptions {
  readonly status?: RunStatus;
  readonly limit: number;
}

/** Adds `runs`: the receipts. */
export function registerRuns(program: Command): void {
  const command = ledgerCommand(program, 'runs', 'list runs and their receipts, newest first');
  withLimit(command, 50)
    .option(
      '--status <status>',
      'only runs that are running, done, failed or interrupted',
      oneOf('running', 'done', 'failed', 'interrupted'),
    )
    .addHelpText(
      'after',
      '\nTimes are China time. Lines are accepted or rejected; rows are inserted/updated/unchanged/stale/duplicate.',
    )
    .action(run(DATABASE_SETTINGS, showRuns));
}

async function showRuns(
  { out, openDatabase }: DatabaseSurroundings,
  { status, limit, ...options }: RunsOptions,
): Promise<0> {
  const db = await openDatabase();
  const filter = await readFilter(db, options);
  printRows(await listRuns(db, { ...filter, status, limit }), RUNS, { json: options.json, out });
  return 0;
}

const RUNS: Listing<RunRow> = {
  empty: 'no runs to show',
  columns: [
    { title: 'RUN', text: ({ id }) => String(id), right: true },
    { title: 'ORG', text: ({ org_code }) => org_code },
    { title: 'DATASET', text: ({ dataset }) => dataset },
    { title: 'TRIGGER', text: ({ trigger }) => trigger },
    { title: 'STATUS', text: ({ status }) => status },
    { title: 'STARTED', text: ({ started_at }) => chinaTime(started_at) },
    { title: 'TOOK', text: (row) => tookText(row), right: true },
    { title: 'WINDOW FROM', text: ({ window_from }) => chinaTime(window_from) },
    { title: 'TO', text: ({ window_to }) => chinaTime(window_to) },
    { title: 'LINES', text: ({ lines }) => count(lines), right: true },
    { title: 'REJECTED', text: ({ rejected }) => count(rejected), right: true },
    { title: 'ROWS', text: rowsText },
    { title: 'FLAGGED', text: ({ flagged }) => count(flagged), right: true },
    {
      title: 'ERROR',
      text: ({ error_code, error_message }) =>
        error_code === null ? '-' : `${error_code}: ${error_message ?? ''}`,
    },
  ],
  record: runRecord,
};

function tookText({ started_at, finished_at }: RunRow): string {
  return duration(finished_at === null ? null : finished_at.getTime() - started_at.getTime());
}

function rowsText({ inserted, updated, unchanged, stale, duplicate }: RunRow): string {
  return [inserted, updated, unchanged, stale, duplicate].map(count).join('/');
}
