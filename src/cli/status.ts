import type { Command } from 'commander';
import { DATABASE_SETTINGS, readSettings } from '../config.ts';
import type { Gap } from '../core/coverage.ts';
import { holdingOf } from '../core/holding.ts';
import { span } from '../core/interval.ts';
import type { LastRun, PlatformBlock, Status, StatusRow } from '../store/ledgers.ts';
import { statusRecord } from '../store/records.ts';
import { type DatabaseSurroundings, run } from './action.ts';
import { type LedgerOptions, ledgerCommand, readLedgerStatus } from './ledger.ts';
import { chinaTime, count, duration, type Listing, printRows } from './output.ts';

/** Adds `status`: how every feed stands. */
export function registerStatus(program: Command): void {
  ledgerCommand(
    program,
    'status',
    'show how every feed stands: state, complete through, lag, gaps, last run, last error',
  )
    .addHelpText(
      'after',
      [
        '\nTimes are China time. Rows are inserted/updated/unchanged/stale in the last run.',
        '\nMISSED, where there are any: rows that a deep re-read found new or changed, ever.',
        '\nStates:',
        '  in step   nothing lacks but the newest interval or two',
        '  late      behind, but without a hole; a running service will catch up',
        '  failing   the last run failed; it is tried again with growing distance',
        '  gap       a hole in what was promised: vcc-sync gaps shows it',
        '  running   a run is under way',
        '  new       nothing has been loaded yet',
        '  paused    vcc-sync feed resume lets it go on',
        '  disabled  vcc-sync org enable, or org add --datasets, lets it go on',
      ].join('\n'),
    )
    .action(run(DATABASE_SETTINGS, showStatus));
}

async function showStatus(surroundings: DatabaseSurroundings, options: LedgerOptions): Promise<0> {
  const { out } = surroundings;
  const status = await readLedgerStatus(surroundings, options, readAppId());
  // In JSON each row says it.
  if (status.blocked && !options.json) out.line(blockedLine(status.blocked, status.now));
  printRows(status.feeds, listing(status), { json: options.json, out });
  return 0;
}

/** The application whose dealings with the platform count, where it is known: looking needs no credentials. */
function readAppId(): string | undefined {
  try {
    return readSettings(process.env, ['VCC_APP_ID']).VCC_APP_ID;
  } catch {
    return undefined;
  }
}

function blockedLine(block: PlatformBlock, now: number): string {
  const since = `since ${chinaTime(block.blockedSince)} (${duration(now - block.blockedSince)})`;
  return `The queue of app ${block.appId} waits as a whole ${since}, next try ${chinaTime(block.probeAt)}: ${block.errorMessage ?? block.errorCode ?? 'no reason recorded'}`;
}

function listing({ blocked, feeds }: Status): Listing<StatusRow> {
  const missed = { title: 'MISSED', text: (row: StatusRow) => count(row.missed), right: true };
  return {
    empty: 'no feeds to show; vcc-sync org add CODE adds an organisation',
    columns: [
      { title: 'ORG', text: ({ orgCode }) => orgCode },
      { title: 'DATASET', text: ({ dataset }) => dataset },
      { title: 'STATE', text: ({ state }) => state },
      { title: 'COMPLETE THROUGH', text: (row) => chinaTime(row.completeThrough) },
      { title: 'WATERMARK', text: (row) => chinaTime(row.watermark) },
      { title: 'LAG', text: ({ lag }) => duration(lag), right: true },
      { title: 'OPEN GAPS', text: ({ gaps }) => gapSpan(gaps, 'open'), right: true },
      { title: 'EXPIRED GAPS', text: ({ gaps }) => gapSpan(gaps, 'expired'), right: true },
      // All is well where it is missing: a column of zeros would only take room.
      ...(feeds.some((row) => row.missed > 0) ? [missed] : []),
      { title: 'HOLDS', text: holds },
      { title: 'LAST RUN', text: ({ lastRun }) => describeRun(lastRun) },
      { title: 'ROWS', text: ({ lastRun }) => rowsOf(lastRun) },
      { title: 'FAILURES', text: (row) => String(row.consecutiveFailures), right: true },
      { title: 'LAST ERROR', text: describeLastError },
    ],
    record: (row) => statusRecord(row, blocked),
  };
}

function gapSpan(gaps: readonly Gap[], state: Gap['state']): string {
  const total = span(gaps.filter((gap) => gap.state === state));
  return total === 0 ? '-' : duration(total);
}

const LACKS = {
  nothing: '',
  gaps: ', with gaps',
  'accepted gaps': ', less accepted gaps',
} as const;

function holds(row: StatusRow): string {
  const holding = holdingOf(row);
  if (!holding) return '-';
  const { isFull, from, lacks } = holding;
  if (!isFull) return `changes since ${chinaTime(from)}${LACKS[lacks]}`;
  return `${lacks === 'nothing' ? 'all, ' : ''}full as of ${chinaTime(from)}${LACKS[lacks]}`;
}

function describeRun(last: LastRun | null): string {
  return last ? `#${last.id} ${last.status} ${chinaTime(last.finishedAt ?? last.startedAt)}` : '-';
}

function rowsOf(last: LastRun | null): string {
  if (last?.status !== 'done') return '-';
  return [last.inserted, last.updated, last.unchanged, last.stale].map(count).join('/');
}

function describeLastError({ lastErrorCode, lastError }: StatusRow): string {
  return lastErrorCode === null ? '-' : `${lastErrorCode}: ${lastError ?? ''}`;
}
