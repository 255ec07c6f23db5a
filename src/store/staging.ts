import { finished, pipeline } from 'node:stream/promises';
import type { PoolClient } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import type { Dataset } from '../core/dataset.ts';
import { watchRepeats } from '../core/table/duplicate-keys.ts';
import type { Header } from '../core/table/header.ts';
import type { Row } from '../core/table/row.ts';
import { DATASETS } from '../datasets/catalogue.ts';
import { sendTogether, setPipeline } from './pool.ts';

// COPY and temporary tables whose columns come from the catalogue: nothing that table types could check.

/** Up to so many rows are sent as arrays: cheaper than a COPY, which takes round trips of its own. */
export const FEW_ROWS = 500;

/** From so many staged rows on, a nested loop over a table that is empty when it is planned would not end. */
export const MANY_ROWS = 10_000;

/**
 * The staging table; every connection has its own. It serves all datasets: at each commit that has
 * touched one, Postgres empties every temporary table of the connection, be there rows in it or not.
 */
export const STAGING = 'pg_temp.stage';

/** A dataset's columns, but for those that tell which row it is. */
export function contentColumns({ columns, key }: Dataset): readonly string[] {
  return columns.map(({ name }) => name).filter((name) => name !== key && name !== 'org_code');
}

/** No wider than the widest dataset: each column more is paid for by every row, though it be empty. */
const CONTENT = Array.from(
  { length: Math.max(...DATASETS.map((dataset) => contentColumns(dataset).length)) },
  (_, index) => `content_${index + 1}`,
);

/** The column of the staging table that holds a dataset's column, or another by its own name. */
export function stagedColumn(dataset: Dataset, name: string): string {
  if (name === dataset.key) return 'row_key';
  const place = contentColumns(dataset).indexOf(name);
  return place < 0 ? name : CONTENT[place]!;
}

/** The staged rows with their columns named as in the dataset's table, to select from; costs nothing. */
export function stagedRows(dataset: Dataset): string {
  const named = [dataset.key, ...contentColumns(dataset)].map(
    (name) => `${stagedColumn(dataset, name)} as ${name}`,
  );
  return `(select line_no, org_code, flags, extra, ${named.join(', ')} from ${STAGING})`;
}

const prepared = new WeakSet<PoolClient>();

/**
 * Makes the connection's staging table, once in the connection's life: a new temporary table for
 * every run would bloat the catalogue. It is emptied on each commit. Call it outside a transaction,
 * so that no rollback takes it away.
 */
export async function prepareStaging(client: PoolClient): Promise<void> {
  if (prepared.has(client)) return;
  await client.query(
    `create temp table if not exists stage (
      line_no bigint, org_code text collate "C", row_key text collate "C", flags text[], extra jsonb,
      ${CONTENT.map((name) => `${name} text`).join(', ')}
    ) on commit delete rows`,
  );
  prepared.add(client);
}

/** What staging has seen of a table's rows. */
export interface Staged {
  readonly rows: number;
  /** Rows with a flag. */
  readonly flagged: number;
  /** Keys that may stand more than once: all that do are among them. `many` is too many to tell. */
  readonly repeats: readonly string[] | 'many';
  /** Whether the rows came in the order of their keys. */
  readonly ascending: boolean;
  /** Ends when they are there: few are only on their way, and what follows on the connection need not wait. */
  readonly arrival: Promise<unknown>;
}

/**
 * Streams rows into the connection's staging table, within its transaction.
 *
 * Memory is bounded by a batch, whatever the number of rows.
 */
export async function stageRows(
  client: PoolClient,
  dataset: Dataset,
  header: Header,
  batches: AsyncIterable<readonly Row[]>,
): Promise<Staged> {
  const layout = layoutOf(dataset, header);
  const watch = watchRepeats();
  let flagged = 0;
  const look = (rows: readonly Row[]) => {
    for (const row of rows) {
      watch.see(row.key);
      if (row.flags !== null) flagged += 1;
    }
  };
  const seen = (rows: number, arrival: Promise<unknown> = Promise.resolve()): Staged => ({
    rows,
    flagged,
    repeats: watch.repeats(),
    ascending: watch.ascending(),
    arrival,
  });
  const iterator = batches[Symbol.asyncIterator]();
  const head: Row[] = [];
  while (head.length <= FEW_ROWS) {
    const next = await iterator.next();
    if (next.done) {
      look(head);
      // With the merge, which follows unless something is wrong with the rows.
      sendTogether(client);
      const arrival = insertFew(client, dataset, layout, head);
      // Whoever waits for it is told of its failure, as is what follows it.
      arrival.catch(() => {});
      return seen(head.length, arrival);
    }
    for (const row of next.value) head.push(row);
  }
  async function* lines(): AsyncGenerator<string> {
    try {
      look(head);
      yield copyLines(head, layout);
      for (let next = await iterator.next(); !next.done; next = await iterator.next()) {
        look(next.value);
        yield copyLines(next.value, layout);
      }
    } finally {
      // A COPY that fails must end the download too.
      await iterator.return?.();
    }
  }
  const rows = await copyMany(client, layout, lines());
  // To tell how wide the rows are and that their keys differ, a few thousand of them are enough.
  const analyse = `set local default_statistics_target = 10; analyze ${STAGING}`;
  if (rows >= MANY_ROWS) await client.query(analyse);
  return seen(rows);
}

/** In which order a header's columns are staged: its own, so that its lines need not be taken apart. */
interface Layout {
  /** Staged columns: line number, columns of the header, flags, extra. */
  readonly names: readonly string[];
  /** For each column of the header that is staged: its index among the dataset's columns. */
  readonly order: readonly number[];
  /** Whether a line holds nothing but what is staged. */
  readonly whole: boolean;
  /** Whether no column is missing. */
  readonly complete: boolean;
}

function layoutOf(dataset: Dataset, { positions, unknown, absent }: Header): Layout {
  const order = positions
    .flatMap((position, index) => (position === -1 ? [] : [{ position, index }]))
    .sort((a, b) => a.position - b.position)
    .map(({ index }) => index);
  return {
    names: [
      'line_no',
      ...order.map((index) => stagedColumn(dataset, dataset.columns[index]!.name)),
      'flags',
      'extra',
    ],
    order,
    whole: unknown.length === 0,
    complete: absent.length === 0,
  };
}

// Flags are names of columns and faults: letters, underscores and colons, nothing to quote.
const flagsAsText = ({ flags }: Row) => (flags === null ? null : `{${flags.join(',')}}`);
const extraAsText = ({ extra }: Row) => (extra === null ? null : JSON.stringify(extra));

async function insertFew(
  client: PoolClient,
  { name: dataset }: Dataset,
  { names, order, complete }: Layout,
  rows: readonly Row[],
): Promise<void> {
  if (rows.length === 0) return;
  const values = rows.map((row) => row.values);
  const types = names.map((name) => (name === 'line_no' ? 'bigint' : 'text'));
  const casts = names.map((name) =>
    name === 'flags' ? 'flags::text[]' : name === 'extra' ? 'extra::jsonb' : name,
  );
  await client.query({
    // Headers that lack a column are rare and each makes another statement: those are not kept.
    ...(complete ? { name: `stage ${dataset} ${order.join(' ')}` } : {}),
    text: `insert into ${STAGING} (${names.join(', ')}) select ${casts.join(', ')}
      from unnest(${types.map((type, index) => `$${index + 1}::${type}[]`).join(', ')})
        as few (${names.join(', ')})`,
    values: [
      rows.map(({ lineNo }) => lineNo),
      ...order.map((index) => values.map((row) => row[index])),
      rows.map(flagsAsText),
      rows.map(extraAsText),
    ],
  });
}

async function copyMany(
  client: PoolClient,
  { names }: Layout,
  lines: AsyncIterable<string>,
): Promise<number> {
  // A COPY has the connection to itself; one that fails leaves it so.
  setPipeline(client, false);
  // The table's own dialect as far as it goes: an empty field is NULL there too (P6).
  const copy = client.query(
    copyFrom(`copy ${STAGING} (${names.join(', ')}) from stdin (delimiter '|', null '')`),
  );
  const end = finished(copy);
  // Awaited below; a failure before that must not count as unhandled.
  end.catch(() => {});
  try {
    await pipeline(lines, copy);
  } catch (error) {
    // The COPY has been ended on the server too; its own complaint about that is not the cause.
    await end.catch(() => {});
    throw error;
  }
  setPipeline(client, true);
  return copy.rowCount;
}

/** Rows in COPY's text format: a line that needs no escaping is passed on as it came. */
function copyLines(rows: readonly Row[], { order, whole }: Layout): string {
  let text = '';
  for (const row of rows) {
    const line =
      whole && row.text && !SPECIAL.test(row.text) ? row.text : fieldsForCopy(row.values, order);
    const flags = flagsAsText(row) ?? '';
    const extra = row.extra === null ? '' : escapeCopy(JSON.stringify(row.extra));
    text += `${row.lineNo}|${line}|${flags}|${extra}\n`;
  }
  return text;
}

function fieldsForCopy(values: Row['values'], order: Layout['order']): string {
  return order.map((index) => escapeCopy(values[index] ?? '')).join('|');
}

/** What COPY's text format treats as special within a line, `|` apart. */
const SPECIAL = /[\\\n\r]/;

const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '|': '\\|',
  '\n': '\\n',
  '\r': '\\r',
};

/** Escapes what COPY's text format treats as special in a field; the text `\N` becomes `\\N`. */
function escapeCopy(field: string): string {
  return /[\\|\n\r]/.test(field) ? field.replace(/[\\|\n\r]/g, (found) => ESCAPES[found]!) : field;
}
