import type { PoolClient } from 'pg';
import type { Dataset } from '../core/dataset.ts';
import { RetryableError } from '../core/errors.ts';
import type { MergeCounts } from '../core/receipt.ts';
import type { Header } from '../core/table/header.ts';
import type { Reject } from '../core/table/row.ts';
import { hashLine } from '../core/table/table-reader.ts';
import type { Merged, MergeOptions } from '../sync/ports.ts';
import { stagingTable } from './staging.ts';
import { toTimestamp } from './time.ts';

/** Superseded lines kept per run; all are counted. */
const KEPT_SUPERSEDED = 1000;

/** From so many staged rows on, a nested loop over a table believed empty would not end. */
const MANY_ROWS = 10_000;

// Set-based SQL made anew for each header's columns: a builder could not check names known only at run
// time, so these statements are text on the run's connection.

/** What the merge statements of one header have in common. */
interface Clauses {
  readonly stage: string;
  readonly target: string;
  /** Joins staged rows `s` to stored rows `t`. */
  readonly match: string;
  /** Whether stored and delivered content differ; columns that the header lacks do not count. */
  readonly differs: string;
  /** Columns delivered, bookkeeping left out. */
  readonly columns: readonly string[];
  readonly contentColumns: readonly string[];
}

function clauses(dataset: Dataset, header: Header): Clauses {
  const columns = dataset.columns
    .map(({ name }) => name)
    .filter((name) => !header.absent.includes(name));
  const contentColumns = [
    ...columns.filter((name) => name !== dataset.key && name !== 'org_code'),
    'extra',
  ];
  const row = (alias: string) => `(${contentColumns.map((name) => `${alias}.${name}`).join(', ')})`;
  return {
    stage: stagingTable(dataset),
    target: `vcc.${dataset.table}`,
    match: `t.org_code = s.org_code and t.${dataset.key} = s.${dataset.key}`,
    differs: `${row('t')} is distinct from ${row('s')}`,
    columns,
    contentColumns,
  };
}

/** Tells the planner how many rows to expect, which it can not know of a staging table. */
export async function planFor(client: PoolClient, rows: number): Promise<void> {
  await client.query(
    rows < MANY_ROWS ? 'set local random_page_cost = 1.1' : 'set local enable_nestloop = off',
  );
}

/**
 * Takes duplicates out of the staging table and counts what a merge would do: the one classification
 * that receipt and preview share (P6, design section 3).
 */
export async function classifyStaged(
  client: PoolClient,
  dataset: Dataset,
  header: Header,
  options: MergeOptions,
): Promise<Merged & { readonly advanced: number }> {
  const { duplicate, superseded } = await removeDuplicates(client, dataset, header);
  const { stage, target, match, differs } = clauses(dataset, header);
  const { rows } = await client.query<MergeCounts & { flagged: number; advanced: number }>(
    `select
        count(*) filter (where not known) as inserted,
        count(*) filter (where known and differs and may) as updated,
        count(*) filter (where known and not differs) as unchanged,
        count(*) filter (where known and differs and not may) as stale,
        count(*) filter (where known and not differs and behind) as advanced,
        count(*) filter (where flagged) as flagged
      from (
        select t.org_code is not null as known, ${differs} as differs,
          t.synced_through <= $1 or $2 as may,
          t.synced_through < $1 or (t.synced_through = $1 and t.flags is distinct from s.flags) as behind,
          s.flags is not null as flagged
        from ${stage} s left join ${target} t on ${match}
      ) as staged`,
    [toTimestamp(options.syncedThrough), options.force],
  );
  const { flagged, advanced, ...counts } = rows[0]!;
  return { counts: { ...counts, duplicate }, flagged, advanced, superseded };
}

interface SupersededRow {
  readonly line_no: number;
  readonly extra: Readonly<Record<string, string>> | null;
  readonly [column: string]: unknown;
}

/** The later line of a key wins; an earlier one that differs is kept among the rejects (P6). */
async function removeDuplicates(
  client: PoolClient,
  dataset: Dataset,
  header: Header,
): Promise<{ duplicate: number; superseded: Reject[] }> {
  const { stage } = clauses(dataset, header);
  const key = dataset.key;
  const content = [...dataset.columns.map(({ name }) => name), 'extra'];
  const row = (alias: string) => `(${content.map((name) => `${alias}.${name}`).join(', ')})`;
  const { rows } = await client.query<{ duplicate: number; superseded: SupersededRow[] | null }>(
    `with kept as (
        select org_code, ${key}, max(line_no) as line_no from ${stage}
        group by org_code, ${key} having count(*) > 1
      ), gone as (
        delete from ${stage} a using kept k join ${stage} b using (line_no)
        where a.org_code = k.org_code and a.${key} = k.${key} and a.line_no < k.line_no
        returning a.*, ${row('a')} is distinct from ${row('b')} as differs
      )
      select (select count(*) from gone) as duplicate,
        (select json_agg(early) from (
          select * from gone where differs order by line_no limit ${KEPT_SUPERSEDED}) as early) as superseded`,
  );
  const { duplicate, superseded } = rows[0]!;
  return {
    duplicate,
    superseded: (superseded ?? []).map((one) => asReject(one, dataset, header)),
  };
}

/** Writes a staged row as the line it came from, in the order of its header. */
function asReject(staged: SupersededRow, dataset: Dataset, header: Header): Reject {
  const fields = Array.from({ length: header.width }, () => '');
  header.positions.forEach((position, index) => {
    if (position >= 0) fields[position] = (staged[dataset.columns[index]!.name] as string) ?? '';
  });
  for (const { position, name } of header.unknown) fields[position] = staged.extra?.[name] ?? '';
  const line = fields.join('|');
  return {
    lineNo: staged.line_no,
    reason: 'superseded',
    rowKey: staged[dataset.key] as string,
    hash: hashLine(line),
    line,
  };
}

/** What `mergeStaged` must know besides the options. */
export interface MergePlan extends MergeOptions {
  readonly runId: number;
  readonly counts: MergeCounts;
  /** Unchanged rows whose `synced_through` advances. */
  readonly advanced: number;
}

/**
 * Merges the staged rows as classified: updates, advances, inserts; steps with nothing to do are left out.
 *
 * Unchanged rows must advance too: else a row that went A, B, A could fall back to B when the middle
 * window is repeated.
 *
 * @throws RetryableError `DATABASE_BUSY` if another transaction changed rows since the classification
 */
export async function mergeStaged(
  client: PoolClient,
  dataset: Dataset,
  header: Header,
  plan: MergePlan,
): Promise<void> {
  const { stage, target, match, differs, columns, contentColumns } = clauses(dataset, header);
  const { counts, advanced } = plan;
  const through = toTimestamp(plan.syncedThrough);
  const step = async (expected: number, text: string, values: readonly unknown[]) => {
    if (expected === 0) return;
    const { rowCount } = await client.query(text, [...values]);
    if (rowCount !== expected) {
      throw new RetryableError(
        'DATABASE_BUSY',
        'rows of this organisation changed during the merge',
      );
    }
  };
  await step(
    counts.updated,
    `update ${target} t set ${contentColumns.map((name) => `${name} = s.${name}`).join(', ')},
        flags = s.flags, changed_at = statement_timestamp(), run_id = $3, absent_since = null,
        synced_through = greatest(t.synced_through, $1)
      from ${stage} s where ${match} and ${differs} and (t.synced_through <= $1 or $2)`,
    [through, plan.force, plan.runId],
  );
  await step(
    advanced,
    `update ${target} t set synced_through = $1, flags = s.flags, absent_since = null
      from ${stage} s where ${match} and not (${differs}) and (t.synced_through < $1
        or (t.synced_through = $1 and t.flags is distinct from s.flags))`,
    [through],
  );
  const names = [...columns, 'flags', 'extra'].join(', ');
  // Where nothing is known yet, there is nothing to look for.
  const allNew = counts.updated + counts.unchanged + counts.stale === 0;
  await step(
    counts.inserted,
    `insert into ${target} (${names}, first_seen_at, changed_at, synced_through, run_id)
      select ${names}, statement_timestamp(), statement_timestamp(), $1, $2 from ${stage} s
      ${allNew ? '' : `where not exists (select from ${target} t where ${match})`}`,
    [through, plan.runId],
  );
}
