import { type Command, InvalidArgumentError } from 'commander';
import { DATABASE_SETTINGS } from '../config.ts';
import { REJECT_REASONS, type RejectReason } from '../core/table/row.ts';
import { rejectRecord } from '../store/records.ts';
import { listRejects, type RejectRow } from '../store/reject-ledger.ts';
import { type DatabaseSurroundings, run } from './action.ts';
import { type LedgerOptions, ledgerCommand, readFilter, withLimit } from './ledger.ts';
import { chinaTime, type Listing, printRows } from './output.ts';
import { registerRejectsReplay } from './rejects-replay.ts';

interface RejectsOptions extends LedgerOptions {
  readonly reason?: RejectReason;
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
    // So that options after `replay` are its own.
    .enablePositionalOptions()
    .option('--reason <reason>', 'only lines refused for this, such as field_count', readReason)
    .option('--all', 'also those that are resolved')
    .addHelpText(
      'after',
      '\nTimes are China time. The lines themselves are in table vcc.reject; they may hold personal data.',
    )
    .action(run(DATABASE_SETTINGS, showRejects));
  registerRejectsReplay(command);
}

function readReason(text: string): RejectReason {
  const reason = REJECT_REASONS.find((one) => one === text);
  if (reason) return reason;
  throw new InvalidArgumentError(`expected one of ${REJECT_REASONS.join(', ')}.`);
}

async function showRejects(
  { out, openDatabase }: DatabaseSurroundings,
  { reason, all = false, limit, ...options }: RejectsOptions,
): Promise<0> {
  const db = await openDatabase();
  const filter = await readFilter(db, options);
  const rows = await listRejects(db, { ...filter, reason, state: all ? 'all' : 'open', limit });
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
  record: rejectRecord,
};
