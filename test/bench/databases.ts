import { migrate } from '../../src/store/migrate.ts';
import { addOrg } from '../../src/store/orgs.ts';
import { openDatabase } from '../../src/store/pool.ts';
import { inDatabase } from './cluster.ts';
import { ADDRESS_COLUMNS } from './rows.ts';
import type { Stage } from './stage.ts';

/** The database that all others are copies of: the service's schema, and the table of the others. */
const EMPTY = 'bench_empty';

/** The others' table: the same columns and key, none of the service's bookkeeping. */
const PLAIN_TABLE = `create table address (
  ${ADDRESS_COLUMNS.map((name) => (name === 'address_code' || name === 'org_code' ? `${name} text collate "C" not null` : `${name} text`)).join(', ')},
  primary key (org_code, address_code))`;

/** Whose table a database is for. */
export type Owner = 'ours' | 'plain';

/** The name of the table in a database. */
const tableOf = (owner: Owner): string => (owner === 'ours' ? 'vcc.address' : 'address');

/** Makes the empty database, once. */
export async function makeEmpty({ cluster }: Stage): Promise<void> {
  const url = await cluster.create(EMPTY);
  await migrate(url);
  await inDatabase(url, (pool) => pool.query(PLAIN_TABLE));
  await cluster.tidy(EMPTY);
}

let copies = 0;

/**
 * Lends a fresh copy of a database, for one measurement; it is dropped afterwards.
 *
 * @param work takes the copy's URL
 */
export async function withCopy<T>(
  { cluster, signal }: Stage,
  template: string | undefined,
  work: (url: string, name: string) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  copies += 1;
  const name = `bench_copy_${copies}`;
  const url = await cluster.create(name, template ?? EMPTY);
  try {
    return await work(url, name);
  } finally {
    await cluster.drop(name);
  }
}

const kept = new Set<string>();

/** Fills a database, once, of which later measurements take copies; answers its name. */
export async function filled(
  stage: Stage,
  name: string,
  fill: (url: string) => Promise<void>,
): Promise<string> {
  if (kept.has(name)) return name;
  stage.say(`filling ${name}`);
  // What a failure has left of it, if one has.
  await stage.cluster.drop(name);
  const url = await stage.cluster.create(name, EMPTY);
  await fill(url);
  await stage.cluster.tidy(name);
  kept.add(name);
  return name;
}

/** Adds organisations with a feed of addresses each, whose promise begins at `since` (milliseconds). */
export async function addFeeds(
  url: string,
  orgCodes: readonly string[],
  since: number,
): Promise<void> {
  await inDatabase(url, async (pool) => {
    const db = openDatabase(pool);
    for (const orgCode of orgCodes) await addOrg(db, { orgCode, datasets: ['addresses'], since });
  });
}

/** How many rows a table holds. */
export async function countRows(url: string, owner: Owner): Promise<number> {
  return inDatabase(url, async (pool) => {
    const { rows } = await pool.query<{ rows: number }>(
      `select count(*) as rows from ${tableOf(owner)}`,
    );
    return rows[0]!.rows;
  });
}

/** What a table holds: how many rows, and a sum over the text of each. */
export interface Contents {
  readonly rows: number;
  readonly sum: string;
}

/** Makes the check that tables hold the same in the end, whoever loaded them. */
export function sameContents(): (held: Contents, name: string) => void {
  let first: { readonly text: string; readonly name: string } | null = null;
  return ({ rows, sum }, name) => {
    const text = `${rows} ${sum}`;
    first ??= { text, name };
    if (text !== first.text) throw new Error(`${name} left other rows than ${first.name}`);
  };
}

/** Reads what a table holds, to compare it with others'. */
export async function contentsOf(url: string, owner: Owner): Promise<Contents> {
  return inDatabase(url, async (pool) => {
    const text = `concat_ws('|', ${ADDRESS_COLUMNS.join(', ')})`;
    const { rows } = await pool.query<Contents>(
      `select count(*) as rows, coalesce(sum(hashtextextended(${text}, 0)), 0)::text as sum
        from ${tableOf(owner)}`,
    );
    return rows[0]!;
  });
}
