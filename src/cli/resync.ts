import type { Command } from 'commander';
import { DATABASE_SETTINGS, readSettings, SERVICE_SETTINGS } from '../config.ts';
import type { DatasetName } from '../core/dataset.ts';
import { openRequestStore } from '../store/requests.ts';
import { type RequestedFeed, type ResyncWish, requestResync } from '../sync/resync.ts';
import { type DatabaseSurroundings, run } from './action.ts';
import {
  readDatasets,
  readOrgCodes,
  readPercent,
  readTime,
  requestedBy,
  TIME_HELP,
} from './arguments.ts';
import { chinaTime, type Json, type Output, printRows, range } from './output.ts';
import { previewResync } from './resync-preview.ts';

interface ResyncOptions {
  readonly org: readonly string[];
  readonly dataset: readonly DatasetName[] | 'all';
  readonly from: number;
  readonly to: number;
  readonly force?: boolean;
  readonly maxRejects?: number;
  readonly reason?: string;
  readonly preview?: boolean;
  readonly json?: boolean;
}

/** Adds `resync`: records a request to load an interval again, or shows what that would do. */
export function registerResync(program: Command): void {
  program
    .command('resync')
    .description('have an interval loaded again; the running service does it next')
    .requiredOption('--org <list>', 'one organisation, or several with commas', readOrgCodes)
    .requiredOption('--dataset <list>', 'one dataset, several with commas, or all', readDatasets)
    .requiredOption('--from <time>', `start of the interval (${TIME_HELP})`, readTime)
    .requiredOption('--to <time>', 'its end, not included', readTime)
    .option('--force', 'let what comes overwrite newer content; it is recorded who asked')
    .option('--max-rejects <percent>', 'refused lines to put up with; needs --reason', readPercent)
    .option('--reason <text>', 'why, for the record')
    .option('--preview', 'look what it would do, and neither record nor change anything')
    .option('--json', 'print a JSON array')
    .action((options: ResyncOptions) => (options.preview ? preview : record)(options));
}

const record = run(DATABASE_SETTINGS, resync);

/** A preview asks the platform, and so needs all settings. */
function preview(options: ResyncOptions): Promise<void> {
  return previewResync(readSettings(process.env, SERVICE_SETTINGS), {
    choice: {
      orgCodes: options.org,
      datasets: options.dataset,
      during: { from: options.from, to: options.to },
    },
    force: options.force ?? false,
    maxRejects: options.maxRejects ?? null,
    json: options.json,
  });
}

async function resync(
  { out, openDatabase }: DatabaseSurroundings,
  options: ResyncOptions,
): Promise<0> {
  const wish: ResyncWish = {
    orgCodes: options.org,
    datasets: options.dataset,
    during: { from: options.from, to: options.to },
    force: options.force ?? false,
    maxRejects: options.maxRejects ?? null,
    reason: options.reason?.trim() || null,
    requestedBy: requestedBy(),
  };
  const requests = openRequestStore(await openDatabase());
  const recorded = await requestResync({ requests, clock: Date.now }, wish);
  const listing = {
    columns: [],
    record: (row: RequestedFeed) => requestRecord(row, wish),
    empty: '',
  };
  if (options.json) printRows(recorded, listing, { json: true, out });
  else printRequests(recorded, wish, out);
  return 0;
}

function printRequests(
  recorded: readonly RequestedFeed[],
  { during }: ResyncWish,
  out: Output,
): void {
  const interval = `${chinaTime(during.from)} to ${chinaTime(during.to)}`;
  for (const { id, feed } of recorded) {
    out.line(`request ${id}: ${feed.dataset} ${feed.orgCode}, ${interval} (China time)`);
    if (!feed.active) {
      out.note(`${feed.dataset} ${feed.orgCode} is paused or disabled: its request waits as long`);
    }
  }
}

function requestRecord({ id, feed }: RequestedFeed, wish: ResyncWish): Json {
  return {
    id,
    feed_id: feed.id,
    org_code: feed.orgCode,
    dataset: feed.dataset,
    kind: 'resync',
    during: range(wish.during),
    force: wish.force,
    max_rejects: wish.maxRejects,
    reason: wish.reason,
    requested_by: wish.requestedBy,
  };
}
