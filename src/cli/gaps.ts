import type { Command } from 'commander';
import { DATABASE_SETTINGS } from '../config.ts';
import type { Gap } from '../core/coverage.ts';
import type { StatusRow } from '../store/ledgers.ts';
import { gapRecord } from '../store/records.ts';
import { type DatabaseSurroundings, run } from './action.ts';
import { registerGapsAccept } from './gaps-accept.ts';
import { type LedgerOptions, ledgerCommand, readLedgerStatus } from './ledger.ts';
import { chinaTime, duration, type Listing, printRows } from './output.ts';

/** A gap with its feed. */
interface GapRow extends Gap {
  readonly feed: StatusRow;
}

/** Adds `gaps`: what the feeds lack of what was promised. */
export function registerGaps(program: Command): void {
  const command = ledgerCommand(
    program,
    'gaps',
    'list what is missing of the source time that was promised',
  )
    // So that options after `accept` are its own.
    .enablePositionalOptions()
    .addHelpText(
      'after',
      [
        '\nTimes are China time. An open gap can still be had from the platform until the time shown; a',
        'running service fetches it by itself. An expired gap is closed by vcc-sync import, or',
        'by vcc-sync gaps accept where no file can be had.',
      ].join('\n'),
    )
    .action(run(DATABASE_SETTINGS, showGaps));
  registerGapsAccept(command);
}

async function showGaps(surroundings: DatabaseSurroundings, options: LedgerOptions): Promise<0> {
  const { feeds } = await readLedgerStatus(surroundings, options);
  const rows = feeds.flatMap((feed) => feed.gaps.map((gap): GapRow => ({ ...gap, feed })));
  printRows(rows, GAPS, { json: options.json, out: surroundings.out });
  return 0;
}

const GAPS: Listing<GapRow> = {
  empty: 'no gaps',
  columns: [
    { title: 'ORG', text: ({ feed }) => feed.orgCode },
    { title: 'DATASET', text: ({ feed }) => feed.dataset },
    { title: 'GAP', text: ({ state }) => state },
    { title: 'FROM', text: ({ from }) => chinaTime(from) },
    { title: 'TO', text: ({ to }) => chinaTime(to) },
    { title: 'LENGTH', text: ({ from, to }) => duration(to - from), right: true },
    { title: 'RECOVERABLE UNTIL', text: (gap) => chinaTime(gap.recoverableUntil) },
  ],
  record: ({ feed, ...gap }) => gapRecord(feed, gap),
};
