import type { PoolClient } from 'pg';
import type { Dataset } from '../core/dataset.ts';
import { DATASETS } from '../datasets/catalogue.ts';
import type { RowSource } from './row-source.ts';

// A temporary table whose columns come from the catalogue: nothing that table types could check.

/** Up to so many rows are sent along with the statement that merges them, which spares the staging table. */
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

/** The staged rows, to select from; their names cost nothing. */
export function stagedRows(dataset: Dataset): RowSource {
  const named = [dataset.key, ...contentColumns(dataset)].map(
    (name) => `${stagedColumn(dataset, name)} as ${name}`,
  );
  const text = `(select line_no, org_code, flags, extra, ${named.join(', ')} from ${STAGING})`;
  return { select: () => text, values: [] };
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
