import type { PoolClient } from 'pg';
import type { Dataset } from '../core/dataset.ts';
import type { Repeats } from '../core/table/duplicate-keys.ts';
import type { Header } from '../core/table/header.ts';
import type { Reject } from '../core/table/row.ts';
import { hashLine } from '../core/table/table-reader.ts';
import { STAGING, stagedColumn } from './staging.ts';

/** Superseded lines kept per run; all are counted. */
const KEPT_SUPERSEDED = 1000;

interface SupersededRow {
  readonly line_no: number;
  readonly row_key: string;
  readonly extra: Readonly<Record<string, string>> | null;
  readonly [column: string]: unknown;
}

/** Rows taken out of the staging table. */
export interface Duplicates {
  readonly duplicate: number;
  /** How many of them had a flag. */
  readonly flagged: number;
  /** Those that differed from the row that was kept; some of them, if there are many. */
  readonly superseded: readonly Reject[];
}

export const NO_DUPLICATES: Duplicates = { duplicate: 0, flagged: 0, superseded: [] };

/**
 * Takes duplicates out of the staging table: the later line of a key wins; an earlier one that differs
 * is kept among the rejects (P6).
 *
 * @param repeats keys to look at
 */
export async function removeDuplicates(
  client: PoolClient,
  dataset: Dataset,
  header: Header,
  repeats: Repeats,
): Promise<Duplicates> {
  if (repeats.length === 0) return NO_DUPLICATES;
  const content = [...dataset.columns.map(({ name }) => stagedColumn(dataset, name)), 'extra'];
  const row = (alias: string) => `(${content.map((name) => `${alias}.${name}`).join(', ')})`;
  const named = repeats === 'many' ? [] : [repeats];
  const { rows } = await client.query<{
    duplicate: number;
    flagged: number;
    superseded: SupersededRow[] | null;
  }>(
    `with kept as (
        select org_code, row_key, max(line_no) as line_no from ${STAGING}
        ${named.map(() => 'where row_key = any ($1)').join('')}
        group by 1, 2 having count(*) > 1
      ), gone as (
        delete from ${STAGING} a using kept k join ${STAGING} b using (line_no)
        where a.org_code = k.org_code and a.row_key = k.row_key and a.line_no < k.line_no
        returning a.*, ${row('a')} is distinct from ${row('b')} as differs
      )
      select count(*) as duplicate, count(*) filter (where flags is not null) as flagged,
        (select json_agg(early) from (
          select * from gone where differs order by line_no limit ${KEPT_SUPERSEDED}) as early) as superseded
      from gone`,
    named,
  );
  const { superseded, ...counts } = rows[0]!;
  return {
    ...counts,
    superseded: (superseded ?? []).map((one) => asReject(one, dataset, header)),
  };
}

/** Writes a staged row as the line it came from, in the order of its header. */
function asReject(staged: SupersededRow, dataset: Dataset, header: Header): Reject {
  const fields = Array.from({ length: header.width }, () => '');
  header.positions.forEach((position, index) => {
    const column = stagedColumn(dataset, dataset.columns[index]!.name);
    if (position >= 0) fields[position] = (staged[column] as string) ?? '';
  });
  for (const { position, name } of header.unknown) fields[position] = staged.extra?.[name] ?? '';
  const line = fields.join('|');
  return {
    lineNo: staged.line_no,
    reason: 'superseded',
    rowKey: staged.row_key,
    hash: hashLine(line),
    line,
  };
}
