import type { PoolClient } from 'pg';
import type { Dataset } from '../core/dataset.ts';
import type { Repeats, RepeatWatch } from '../core/table/duplicate-keys.ts';
import type { Row } from '../core/table/row.ts';
import { type CopyLayout, copyInto, lineWriter } from './copy.ts';
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

/** Beyond Latin letters, the order of code units may not be Postgres's, by bytes of UTF-8. */
const BEYOND_LATIN = /[^\0-\xff]/;

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
      if (row.orgCode !== orgCode || rows >= watch.risen() || BEYOND_LATIN.test(row.key))
        return false;
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
 * Call it under the lock of the organisation's feed: nobody else inserts its rows then.
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
 * Stages the rows that went straight and whose keys may have come again, as if they never had; answers how
 * many.
 *
 * Their line is found by their place: it is the same among keys and lines.
 */
export async function pullBack(
  client: PoolClient,
  dataset: Dataset,
  orgCode: string,
  { rows, firstLine, gaps }: StraightRows,
  repeats: Repeats,
): Promise<number> {
  if (repeats.length === 0) return 0;
  const { table, key, columns } = dataset;
  const names = [...columns.map(({ name }) => name), 'flags', 'extra'];
  const named = repeats === 'many' ? [] : [repeats];
  const { rowCount } = await client.query(
    `with placed as (
        select ${key}, row_number() over (order by ${key}) as place from vcc.${table} where org_code = $1
      ), lines as (
        select line_no, row_number() over (order by line_no) as place
        from generate_series($2::bigint, $3::bigint) as line_no
        where not exists (select from unnest($4::bigint[]) as gap where gap = line_no)
      ), back as (
        delete from vcc.${table} where org_code = $1 ${named.map(() => `and ${key} = any ($5)`).join('')}
        returning *
      )
      insert into ${STAGING} (line_no, ${names.map((name) => stagedColumn(dataset, name)).join(', ')})
      select line_no, ${names.join(', ')} from back join placed using (${key}) join lines using (place)`,
    [orgCode, firstLine, firstLine + rows + gaps.length - 1, [...gaps], ...named],
  );
  return rowCount ?? 0;
}
