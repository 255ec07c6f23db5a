import { type Command, InvalidArgumentError } from 'commander';
import type { DatasetName } from '../core/dataset.ts';
import { readStatus, type Status } from '../store/ledgers.ts';
import { feedsOfOrg } from '../store/orgs.ts';
import type { Database } from '../store/pool.ts';
import { unknownOrg } from '../sync/feed-choice.ts';
import type { DatabaseSurroundings } from './action.ts';
import { readDataset, readLimit, readOrgCode } from './arguments.ts';

/** Options that all ledgers have. */
export interface LedgerOptions {
  readonly org?: string;
  readonly dataset?: DatasetName;
  readonly json?: boolean;
}

/** Adds a command that prints a ledger, with its options `--org`, `--dataset` and `--json`. */
export function ledgerCommand(program: Command, name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .option('--org <code>', 'this organisation only', readOrgCode)
    .option('--dataset <name>', 'this dataset only', readDataset)
    .option('--json', 'print a JSON array');
}

/** Adds `--limit` to a ledger that may be long. */
export function withLimit(command: Command, rows: number): Command {
  return command.option('--limit <rows>', 'how many rows at most', readLimit, rows);
}

/** Reads one of a few words. */
export function oneOf<const T extends string>(...words: readonly T[]): (text: string) => T {
  return (text) => {
    const word = words.find((one) => one === text);
    if (word) return word;
    throw new InvalidArgumentError(`expected one of ${words.join(', ')}.`);
  };
}

/**
 * The filter of a ledger's query.
 *
 * @throws FatalError CONFIG if there is no such organisation
 */
export async function readFilter(
  db: Database,
  { org, dataset }: LedgerOptions,
): Promise<{ readonly orgCode?: string; readonly dataset?: DatasetName }> {
  if (org !== undefined && (await feedsOfOrg(db, org)) === null) throw unknownOrg(org);
  return { ...(org && { orgCode: org }), ...(dataset && { dataset }) };
}

/**
 * How the feeds of a ledger stand now.
 *
 * @param appId whose dealings with the platform count, where that is known
 * @throws FatalError CONFIG if there is no such organisation
 */
export async function readLedgerStatus(
  { settings, openDatabase }: DatabaseSurroundings,
  options: LedgerOptions,
  appId?: string,
): Promise<Status> {
  const db = await openDatabase();
  const filter = await readFilter(db, options);
  const judgedBy = { every: settings.SYNC_EVERY, settle: settings.SYNC_SETTLE };
  return readStatus(db, judgedBy, Date.now(), { ...filter, appId });
}
