import type { PoolClient } from 'pg';
import type { Dataset } from '../core/dataset.ts';
import { RetryableError } from '../core/errors.ts';
import type { Repeats, RepeatWatch } from '../core/table/duplicate-keys.ts';
import type { Row } from '../core/table/row.ts';
import { type CopyLayout, copyInto, lineWriter } from './copy.ts';
import { PLAN_BY_COST } from './load-window.ts';
import type { RowStream } from './row-stream.ts';
import { STAGING, stagedColumn } from './staging.ts';
import { toTimestamp } from './time.ts';

// Of an organisation that has no row in a table yet, everything is new. So the first rows that come for
// it need not be staged and compared, but go straight to their place: as long as their keys ascend, no two
// are the same. From the first that does not fit on, all are staged; where one of these has the key of a row
// that went straight, that row is pulled back and staged as well.

/** How rows are written that go straight into their table. */
export interface StraightPlan {
  /** Only rows of this organisation may. */
  readonly orgCode: string;
  readonly runId: number;
  /** Milliseconds. */
  readonly syncedThrough: number;
}

/** Rows that have gone straight into their table, in the order of lines and keys alike. */
export interface StraightRows {
  readonly rows: number;
  /** Line of the first. */
  readonly firstLine: number;
  /** Lines between the first and the last that were not among them, in their order. */
  readonly gaps: readonly number[];
}

/** So many lines may be missing between rows that go straight; more are not remembered. */
const MOST_GAPS = 10_000;

/** Among these, the order of code units is not that of bytes in UTF-8, by which Postgres sorts. */
const SORTED_OTHERWISE = /[\ud800-\uffff]/;

/** Counts the rows that may go straight; `take` answers whether the next one may, and is asked until one may not. */
function straightHead(
  orgCode: string,
  watch: RepeatWatch,
): { take(row: Row): boolean; taken(): StraightRows | null } {
  const gaps: number[] = [];
  let rows = 0;
  let firstLine = 0;
  let lastLine = 0;
  return {
    take(row) {
      if (row.orgCode !== orgCode || rows >= watch.risen()) return false;
      if (SORTED_OTHERWISE.test(row.key) || row.lineNo <= lastLine) return false;
      if (rows === 0) firstLine = row.lineNo;
      else if (gaps.length + row.lineNo - lastLine > MOST_GAPS) return false;
      else for (let line = lastLine + 1; line < row.lineNo; line += 1) gaps.push(line);
      rows += 1;
      lastLine = row.lineNo;
      return true;
    },
    taken: () => (rows === 0 ? null : { rows, firstLine, gaps }),
  };
}

/**
 * Copies the first rows of a stream straight into the dataset's table, if the organisation has none there;
 * what is not taken stays in the stream. Null if none was.
 *
 * Call it under the lock of the organisation's feed: hardly anybody else inserts its rows then, and whoever
 * inserts the same fails, or makes this fail.
 */
export async function copyStraight(
  client: PoolClient,
  { table }: Dataset,
  layout: CopyLayout,
  { stream, watch }: { readonly stream: RowStream; readonly watch: RepeatWatch },
  { orgCode, runId, syncedThrough }: StraightPlan,
): Promise<StraightRows | null> {
  const { rows: stored } = await client.query(
    `select from vcc.${table} where org_code = $1 limit 1`,
    [orgCode],
  );
  if (stored.length > 0) return null;
  const head = straightHead(orgCode, watch);
  const line = lineWriter(layout, `|${toTimestamp(syncedThrough)}|${runId}\n`);
  const lines = stream.texts((rows) => {
    let text = '';
    let taken = 0;
    for (const row of rows) {
      if (!head.take(row)) break;
      text += line(row);
      taken += 1;
    }
    return { text, taken };
  });
  const columns = [...layout.columns, 'flags', 'extra', 'synced_through', 'run_id'];
  await copyInto(client, `vcc.${table}`, columns, lines);
  return head.taken();
}

/**
 * Stages the rows of a run that went straight and whose keys may have come again, as if they never had;
 * answers how many.
 *
 * Their line is found by their place: it is the same among keys and lines.
 *
 * @throws RetryableError `DATABASE_BUSY` if they are not all there
 */
export async function pullBack(
  client: PoolClient,
  dataset: Dataset,
  { orgCode, runId }: StraightPlan,
  { rows, firstLine, gaps }: StraightRows,
  repeats: Repeats,
): Promise<number> {
  if (repeats.length === 0) return 0;
  const { table, key, columns } = dataset;
  const names = [...columns.map(({ name }) => name), 'flags', 'extra'];
  const named = repeats === 'many' ? [] : [repeats];
  const straight = `vcc.${table} where org_code = $1 and run_id = $5`;
  // An organisation that is new is in no statistics: a nested loop would look like the best plan, and not end.
  await client.query(`${PLAN_BY_COST}; set local enable_nestloop = off`);
  const { rows: counted } = await client.query<{ back: number; staged: number; placed: number }>(
    `with placed as (
        select ${key}, row_number() over (order by ${key}) as place from ${straight}
      ), lines as (
        select line_no, row_number() over (order by line_no) as place
        from generate_series($2::bigint, $3::bigint) as line_no
        where not exists (select from unnest($4::bigint[]) as gap where gap = line_no)
      ), back as (
        delete from ${straight} ${named.map(() => `and ${key} = any ($6)`).join('')} returning *
      ), staged as (
        insert into ${STAGING} (line_no, ${names.map((name) => stagedColumn(dataset, name)).join(', ')})
        select line_no, ${names.join(', ')} from back join placed using (${key}) join lines using (place)
        returning 1
      )
      select (select count(*) from back) as back, (select count(*) from staged) as staged,
        (select count(*) from placed) as placed`,
    [orgCode, firstLine, firstLine + rows + gaps.length - 1, [...gaps], runId, ...named],
  );
  await client.query('set local enable_nestloop to default');
  const { back, staged, placed } = counted[0]!;
  if (placed !== rows || staged !== back) {
    throw new RetryableError('DATABASE_BUSY', 'rows of this organisation changed during the load');
  }
  return back;
}
