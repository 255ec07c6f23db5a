import { type Command, InvalidArgumentError } from 'commander';
import { DATABASE_SETTINGS } from '../config.ts';
import { listRejects, type RejectRow } from '../store/ledgers.ts';
import { type DatabaseSurroundings, run } from './action.ts';
import { type LedgerOptions, ledgerCommand, readFilter, withLimit } from './ledger.ts';
import { chinaTime, isoTime, type Listing, printRows } from './output.ts';

interface RejectsOptions extends LedgerOptions {
  readonly reason?: string;
  readonly all?: boolean;
  readonly limit: number;
}

/** Adds `rejects`: the lines that were refused, masked. */
export function registerRejects(program: Command): void {
  const command = ledgerCommand(
    program,
    'rejects',
    'list refused lines, last seen first; names and numbers in them are masked',
  );
  withLimit(command, 50)
    .option('--reason <reason>', 'only lines refused for this, such as field_count', readReason)
    .option('--all', 'also those that are resolved')
    .addHelpText(
      'after',
      '\nTimes are China time. The lines themselves are in table vcc.reject; they may hold personal data.',
    )
    .action(run(DATABASE_SETTINGS, showRejects));
}

function readReason(text: string): string {
  if (/^[a-z_]{1,40}$/.test(text)) return text;
  throw new InvalidArgumentError('expected a reason such as field_count, no_key or superseded.');
}

async function showRejects(
  { out, openDatabase }: DatabaseSurroundings,
  { reason, all = false, limit, ...options }: RejectsOptions,
): Promise<0> {
  const db = await openDatabase();
  const filter = await readFilter(db, options);
  const rows = await listRejects(db, { ...filter, reason, all, limit });
  printRows(rows, REJECTS, { json: options.json, out });
  return 0;
}

const REJECTS: Listing<RejectRow> = {
  empty: 'no rejects to show',
  columns: [
    { title: 'ORG', text: ({ org_code }) => org_code },
    { title: 'DATASET', text: ({ dataset }) => dataset },
    { title: 'RUN', text: ({ run_id }) => String(run_id), right: true },
    { title: 'LINE NO', text: ({ line_no }) => String(line_no), right: true },
    { title: 'REASON', text: ({ reason }) => reason },
    { title: 'KEY', text: ({ row_key }) => row_key ?? '-' },
    { title: 'FIRST SEEN', text: ({ first_seen }) => chinaTime(first_seen) },
    { title: 'LAST SEEN', text: ({ last_seen }) => chinaTime(last_seen) },
    { title: 'RESOLVED', text: ({ resolved_at }) => chinaTime(resolved_at) },
    { title: 'LINE (MASKED)', text: ({ line }) => line ?? '-' },
  ],
  record: ({ first_seen, last_seen, resolved_at, ...row }) => ({
    ...row,
    first_seen: isoTime(first_seen),
    last_seen: isoTime(last_seen),
    resolved_at: isoTime(resolved_at),
  }),
};
