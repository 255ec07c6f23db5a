import { type Command, InvalidArgumentError } from 'commander';
import { FatalError } from '../core/errors.ts';
import type { ToldSubscriber } from '../sync/ports.ts';
import type { BoundSubscriber } from '../vcc/subscribers.ts';
import { run } from './action.ts';
import { readOrgCode } from './arguments.ts';
import { chinaTime, isoTime, type Json, type Listing, printRows } from './output.ts';
import { CALL_SETTINGS, type CallSurroundings, openPlatform } from './platform.ts';

/** Adds `subscriber get`, `bound` and `search`: subscribers as the platform tells them (3005 to 3007). */
export function registerSubscriber(program: Command): void {
  const subscriber = program
    .command('subscriber')
    .description('ask the platform for single subscribers; names and numbers come masked');
  subscriber
    .command('get')
    .description('print one subscriber')
    .argument('<code>', 'code of the subscriber', readCode)
    .requiredOption('--org <code>', 'organisation', readOrgCode)
    .option('--json', 'print a JSON array')
    .action(run(CALL_SETTINGS, get));
  subscriber
    .command('bound')
    .description('list the subscribers that a member has bound to their account')
    .argument('<user>', 'code of the member', readCode)
    .option('--json', 'print a JSON array')
    .action(run(CALL_SETTINGS, bound));
  subscriber
    .command('search')
    .description('print all subscribers that fit, as JSON lines or CSV, as they come')
    .requiredOption('--org <code>', 'organisation', readOrgCode)
    .option('--code <code>', 'only this subscriber', readCode)
    .option('--name <text>', 'only names like this')
    .option('--address-code <code>', 'only at this address', readCode)
    .option('--full-address <text>', 'only at addresses like this')
    .option('--telephone <number>', 'only with this number')
    .option('--mobile <number>', 'only with this number')
    .option('--csv', 'CSV with a header, in place of JSON lines')
    .addHelpText(
      'after',
      "\nWhat changes at the platform meanwhile can shift its pages: compare the count at the end with the\nplatform's total, which stands beside it.",
    )
    .action(run(CALL_SETTINGS, search));
}

function readCode(text: string): string {
  if (/^[\x21-\x7e]{1,64}$/.test(text)) return text;
  throw new InvalidArgumentError('expected a code without spaces.');
}

async function get(
  surroundings: CallSurroundings,
  code: string,
  { org, json }: { readonly org: string; readonly json?: boolean },
): Promise<0 | 1> {
  const { client, signal } = await openPlatform(surroundings);
  const found = await client.findSubscriber(org, code, signal);
  printRows(found ? [found] : [], SUBSCRIBERS, { json, out: surroundings.out });
  return found ? 0 : 1;
}

/** The columns of a subscriber, in the order of the table. */
const COLUMNS = [
  'subscriber_code',
  'name',
  'address_code',
  'address_detail',
  'subscriber_type',
  'state',
  'telephone',
  'mobile',
  'org_code',
  'display_address',
] as const satisfies readonly (keyof ToldSubscriber)[];

const SUBSCRIBERS: Listing<ToldSubscriber> = {
  empty: 'the platform knows no such subscriber',
  columns: COLUMNS.map((name) => ({
    title: name.replaceAll('_', ' ').toUpperCase(),
    text: (row) => row[name] ?? '-',
  })),
  record: (row) => ({ ...row }),
};

async function bound(
  surroundings: CallSurroundings,
  user: string,
  { json }: { readonly json?: boolean },
): Promise<0> {
  const { client, signal } = await openPlatform(surroundings);
  printRows(await client.boundSubscribers(user, signal), BOUND, { json, out: surroundings.out });
  return 0;
}

const BOUND: Listing<BoundSubscriber> = {
  empty: 'the member has bound no subscriber',
  columns: [
    { title: 'SUBSCRIBER', text: ({ subscriberCode }) => subscriberCode },
    { title: 'ORG', text: ({ orgCode }) => orgCode },
    { title: 'NICK NAME', text: ({ nickName }) => nickName ?? '-' },
    { title: 'BOUND', text: ({ createdAt }) => chinaTime(createdAt) },
  ],
  record: ({ subscriberCode, orgCode, nickName, createdAt }) => ({
    subscriber_code: subscriberCode,
    org_code: orgCode,
    nick_name: nickName,
    created_at: isoTime(createdAt),
  }),
};

interface SearchOptions {
  readonly org: string;
  readonly code?: string;
  readonly name?: string;
  readonly addressCode?: string;
  readonly fullAddress?: string;
  readonly telephone?: string;
  readonly mobile?: string;
  readonly csv?: boolean;
}

async function search(
  surroundings: CallSurroundings,
  { org, code, csv, ...wanted }: SearchOptions,
): Promise<0 | 1> {
  if (wanted.name === '' || wanted.fullAddress === '') {
    throw new FatalError('CONFIG', '--name and --full-address need a text to look for');
  }
  const { out } = surroundings;
  const { client, signal } = await openPlatform(surroundings);
  if (csv) out.line(csvLine(COLUMNS));
  let seen = 0;
  let total = 0;
  const question = { orgCode: org, subscriberCode: code, ...wanted };
  for await (const page of client.searchSubscribers(question, signal)) {
    for (const row of page.subscribers) {
      out.line(csv ? csvLine(COLUMNS.map((name) => row[name])) : JSON.stringify(row));
    }
    seen += page.subscribers.length;
    total = page.total;
  }
  out.note(`${seen} subscribers; the platform counts ${total}`);
  return seen === total ? 0 : 1;
}

/** One record of CSV (RFC 4180), without its line end. */
function csvLine(fields: readonly Json[]): string {
  return fields
    .map((field) => String(field ?? ''))
    .map((text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text))
    .join(',');
}
