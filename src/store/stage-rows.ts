import type { PoolClient } from 'pg';
import type { Dataset } from '../core/dataset.ts';
import { type Repeats, watchRepeats } from '../core/table/duplicate-keys.ts';
import type { Header } from '../core/table/header.ts';
import type { Row } from '../core/table/row.ts';
import { type CopyLayout, copyInto, copyLayout, lineWriter } from './copy.ts';
import { sentRows } from './row-source.ts';
import { type RowStream, rowStream } from './row-stream.ts';
import { FEW_ROWS, STAGING, stagedColumn } from './staging.ts';
import { copyStraight, type StraightPlan, type StraightRows } from './straight.ts';

/** What has become of a table's rows. */
export interface Staged {
  /** All rows, if they are few: none is staged then. Null: they are not. */
  readonly held: readonly Row[] | null;
  /** How many are held or staged. */
  readonly rows: number;
  /** The first rows that went straight into the dataset's table; null if none did. */
  readonly straight: StraightRows | null;
  /** Rows with a flag. */
  readonly flagged: number;
  readonly repeats: Repeats;
  /** Whether the rows came in the order of their keys. */
  readonly ascending: boolean;
}

/**
 * Streams rows into the connection's staging table, within its transaction; holds them if they are few.
 *
 * Memory is bounded by a batch, whatever the number of rows.
 *
 * @param straight how the first rows may go straight into the dataset's table; null: they may not
 */
export async function stageRows(
  client: PoolClient,
  dataset: Dataset,
  header: Header,
  batches: AsyncIterable<readonly Row[]>,
  straight: StraightPlan | null = null,
): Promise<Staged> {
  const watch = watchRepeats();
  let flagged = 0;
  const stream = rowStream(batches, (row) => {
    watch.see(row.key);
    if (row.flags !== null) flagged += 1;
  });
  const seen = (held: Staged['held'], rows: number, gone: StraightRows | null = null): Staged => ({
    held,
    rows,
    straight: gone,
    flagged,
    repeats: watch.repeats(),
    ascending: watch.ascending(),
  });
  try {
    const head: Row[] = [];
    while (head.length <= FEW_ROWS) {
      const next = await stream.next();
      if (next === null) return seen(head, head.length);
      for (const row of next) head.push(row);
    }
    stream.putBack(head);
    const layout = copyLayout(dataset, header);
    const gone =
      straight && (await copyStraight(client, dataset, layout, { stream, watch }, straight));
    return seen(null, await copyStaged(client, dataset, layout, stream), gone);
  } catch (error) {
    // What can not be stored need not be downloaded; nor is its end to be waited for.
    stream.end().catch(() => {});
    throw error;
  }
}

async function copyStaged(
  client: PoolClient,
  dataset: Dataset,
  layout: CopyLayout,
  stream: RowStream,
): Promise<number> {
  const next = await stream.next();
  if (next === null) return 0;
  stream.putBack(next);
  const names = layout.columns.map((name) => stagedColumn(dataset, name));
  const line = lineWriter(layout, '\n');
  const lines = stream.texts((rows) => {
    let text = '';
    for (const row of rows) text += `${row.lineNo}|${line(row)}`;
    return { text, taken: rows.length };
  });
  return copyInto(client, STAGING, ['line_no', ...names, 'flags', 'extra'], lines);
}

/** Puts rows that were held into the staging table. */
export async function stageHeld(
  client: PoolClient,
  dataset: Dataset,
  header: Header,
  rows: readonly Row[],
): Promise<void> {
  if (rows.length === 0) return;
  const { columns } = copyLayout(dataset, header);
  const { select, values } = sentRows(dataset, header, rows);
  const staged = columns.map((name) => stagedColumn(dataset, name));
  await client.query(
    `insert into ${STAGING} (line_no, ${staged.join(', ')}, flags, extra)
      select line_no, ${columns.join(', ')}, flags, extra from ${select(1)} as held`,
    [...values],
  );
}
