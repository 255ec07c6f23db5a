import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import type { PoolClient } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import type { Dataset } from '../core/dataset.ts';
import type { Header } from '../core/table/header.ts';
import type { Row } from '../core/table/row.ts';

// COPY and temporary tables whose columns come from the catalogue: nothing that table types could check.

/** Up to so many rows are sent as arrays: cheaper than a COPY, which takes round trips of its own. */
const FEW_ROWS = 500;

/** The staging table of a dataset; every connection has its own. */
export function stagingTable(dataset: Dataset): string {
  return `pg_temp.stage_${dataset.table}`;
}

const prepared = new WeakMap<PoolClient, Set<string>>();

/**
 * Makes the connection's staging table, once in the connection's life: a new temporary table for
 * every run would bloat the catalogue. It is emptied on each commit. Call it outside a transaction,
 * so that no rollback takes it away.
 */
export async function prepareStaging(client: PoolClient, dataset: Dataset): Promise<void> {
  const known = prepared.get(client) ?? new Set<string>();
  if (known.has(dataset.name)) return;
  const keys = new Set(['org_code', dataset.key]);
  const columns = dataset.columns.map(
    ({ name }) => `${name} text${keys.has(name) ? ' collate "C"' : ''}`,
  );
  await client.query(
    `create temp table if not exists stage_${dataset.table} (
      line_no bigint, ${columns.join(', ')}, flags text[], extra jsonb
    ) on commit delete rows`,
  );
  known.add(dataset.name);
  prepared.set(client, known);
}

/** A row as text for every staged column: line number, values, flags, extra. */
type Fields = readonly (string | null)[];

function fieldsOf(row: Row, positions: readonly number[]): Fields {
  return [
    String(row.lineNo),
    ...positions.map((position) => row.values[position] ?? null),
    // Flags are names of columns and faults: letters, underscores and colons, nothing to quote.
    row.flags === null ? null : `{${row.flags.join(',')}}`,
    row.extra === null ? null : JSON.stringify(row.extra),
  ];
}

/**
 * Streams rows into the connection's staging table, within its transaction.
 *
 * @returns how many rows were staged
 */
export async function stageRows(
  client: PoolClient,
  dataset: Dataset,
  header: Header,
  batches: AsyncIterable<readonly Row[]>,
): Promise<number> {
  const positions = dataset.columns.flatMap((_, index) =>
    header.positions[index] === -1 ? [] : [index],
  );
  const names = [
    'line_no',
    ...positions.map((position) => dataset.columns[position]!.name),
    'flags',
    'extra',
  ];
  const iterator = batches[Symbol.asyncIterator]();
  const head: Fields[] = [];
  while (head.length <= FEW_ROWS) {
    const next = await iterator.next();
    if (next.done) {
      const complete = header.absent.length === 0;
      await insertFew(client, stagingTable(dataset), { names, complete }, head);
      return head.length;
    }
    for (const row of next.value) head.push(fieldsOf(row, positions));
  }
  async function* lines(): AsyncGenerator<string> {
    try {
      yield head.map(copyLine).join('');
      for (let next = await iterator.next(); !next.done; next = await iterator.next()) {
        yield next.value.map((row) => copyLine(fieldsOf(row, positions))).join('');
      }
    } finally {
      // A COPY that fails must end the download too.
      await iterator.return?.();
    }
  }
  return copyMany(client, `${stagingTable(dataset)} (${names.join(', ')})`, lines());
}

async function insertFew(
  client: PoolClient,
  table: string,
  { names, complete }: { readonly names: readonly string[]; readonly complete: boolean },
  rows: readonly Fields[],
): Promise<void> {
  if (rows.length === 0) return;
  const types = names.map((name) => (name === 'line_no' ? 'bigint' : 'text'));
  const casts = names.map((name) =>
    name === 'flags' ? 'flags::text[]' : name === 'extra' ? 'extra::jsonb' : name,
  );
  await client.query({
    // Headers that lack a column are rare and each makes another statement: those are not kept.
    ...(complete ? { name: `stage ${table}` } : {}),
    text: `insert into ${table} (${names.join(', ')}) select ${casts.join(', ')}
      from unnest(${types.map((type, index) => `$${index + 1}::${type}[]`).join(', ')})
        as few (${names.join(', ')})`,
    values: names.map((_, index) => rows.map((row) => row[index])),
  });
}

async function copyMany(
  client: PoolClient,
  target: string,
  lines: AsyncIterable<string>,
): Promise<number> {
  const copy = client.query(copyFrom(`copy ${target} from stdin`));
  const end = finished(copy);
  // Awaited below; a failure before that must not count as unhandled.
  end.catch(() => {});
  try {
    for await (const text of lines) {
      if (!copy.write(text)) await Promise.race([once(copy, 'drain'), end]);
    }
    copy.end();
  } catch (error) {
    // Ends the COPY on the server too; its own complaint about that is not the cause.
    copy.destroy(error as Error);
    await end.catch(() => {});
    throw error;
  }
  await end;
  return copy.rowCount;
}

/** One row in COPY's text format. */
function copyLine(fields: Fields): string {
  let line = '';
  for (let index = 0; index < fields.length; index++) {
    const field = fields[index];
    if (index > 0) line += '\t';
    line += field === null || field === undefined ? '\\N' : escapeCopy(field);
  }
  return `${line}\n`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\t': '\\t',
  '\n': '\\n',
  '\r': '\\r',
};

/** Escapes what COPY's text format treats as special; the literal text `\N` becomes `\\N`. */
export function escapeCopy(field: string): string {
  return /[\\\t\n\r]/.test(field)
    ? field.replace(/[\\\t\n\r]/g, (found) => ESCAPES[found]!)
    : field;
}
