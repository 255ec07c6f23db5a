import type { PoolClient } from 'pg';
import type { Dataset } from '../core/dataset.ts';
import { RetryableError } from '../core/errors.ts';
import type { MergeCounts } from '../core/receipt.ts';
import type { Header } from '../core/table/header.ts';
import type { MergeOptions } from '../sync/ports.ts';
import type { RowSource } from './row-source.ts';
import { contentColumns, FEW_ROWS, MANY_ROWS, stagedRows } from './staging.ts';
import { toTimestamp } from './time.ts';

/** What one step of a large merge may use, a hash twice that: a million rows in one pass over the table. */
const WORK_MEMORY = '128MB';

/** Tables smaller than this, in bytes, may be planned as if they were empty. */
const SMALL_TABLE = 1024 * 1024;

// Set-based SQL made anew for each header's columns: a builder could not check names known only at run
// time, so these statements are text on the run's connection.

/** What becomes of staged rows that are no duplicates. */
export type Outcome = Omit<MergeCounts, 'duplicate'>;

/** What the merge statements of one header have in common. */
export interface Clauses {
  readonly target: string;
  /**
   * Joins staged rows `s` to stored rows `t`. Of many rows, the organisation is only a filter behind the
   * key: known to be unique, the table would be the one that is hashed, and large tables then written all
   * over. Read in its own order, each of its pages is written once.
   */
  readonly match: string;
  /** Whether stored and delivered content differ; columns that the header lacks do not count. */
  readonly differs: string;
  /** Columns delivered, bookkeeping left out. */
  readonly columns: readonly string[];
  /** The same without key and organisation. */
  readonly content: readonly string[];
}

/** @param rows how many are staged; by default many */
export function clauses(dataset: Dataset, header: Header, rows = Infinity): Clauses {
  const isThere = (name: string) => !header.absent.includes(name);
  const columns = dataset.columns.map(({ name }) => name).filter(isThere);
  const content = [...contentColumns(dataset).filter(isThere), 'extra'];
  const row = (alias: string) => `(${content.map((name) => `${alias}.${name}`).join(', ')})`;
  return {
    target: `vcc.${dataset.table}`,
    match: `t.${dataset.key} = s.${dataset.key} and t.org_code ${rows > FEW_ROWS ? 'is not distinct from' : '='} s.org_code`,
    differs: `${row('t')} is distinct from ${row('s')}`,
    columns,
    content,
  };
}

/**
 * Settings of a transaction with few rows to merge: each is looked up by its key, whatever the statistics
 * say. A prepared plan made while a table is empty would else read all of it once it has grown.
 */
export const PLAN_FOR_FEW = `set local enable_seqscan = off; set local enable_hashjoin = off;
  set local enable_mergejoin = off; set local random_page_cost = 1.1`;

/** Leaves the rest of such a transaction to the planner. */
export const PLAN_BY_COST = `set local enable_seqscan to default; set local enable_hashjoin to default;
  set local enable_mergejoin to default`;

/**
 * Leaves more than a few rows to the planner. Many get memory to be joined in, and no nested loop over a
 * table that is all but empty when it is planned, and grows while it is filled.
 */
export async function planFor(client: PoolClient, dataset: Dataset, rows: number): Promise<void> {
  if (rows <= FEW_ROWS) return;
  await client.query(PLAN_BY_COST);
  if (rows < MANY_ROWS) return;
  await client.query(
    `select set_config('work_mem', $1, true),
      case when pg_relation_size($2) < $3 then set_config('enable_nestloop', 'off', true) end`,
    [WORK_MEMORY, `vcc.${dataset.table}`, SMALL_TABLE],
  );
}

/**
 * Counts what a merge of the staged rows would do without doing it, for a preview; `mergeRows` counts
 * the same (design section 3).
 */
export async function classifyStaged(
  client: PoolClient,
  dataset: Dataset,
  header: Header,
  options: MergeOptions,
): Promise<Outcome> {
  const { target, match, differs } = clauses(dataset, header);
  const staged = stagedRows(dataset).select(1);
  const { rows } = await client.query<Outcome>(
    `select
        count(*) filter (where not known) as inserted,
        count(*) filter (where known and differs and may) as updated,
        count(*) filter (where known and not differs) as unchanged,
        count(*) filter (where known and differs and not may) as stale
      from (
        select t.org_code is not null as known, ${differs} as differs, t.synced_through <= $1 or $2 as may
        from ${staged} s left join ${target} t on ${match}
      ) as staged`,
    [toTimestamp(options.syncedThrough), options.force],
  );
  return rows[0]!;
}

/** What a merge must know besides the options. */
export interface MergePlan extends MergeOptions {
  /** Of a run that has written none of these rows yet: by it a row tells that it was updated. */
  readonly runId: number;
  /** How many there are, of which no two have the same key. */
  readonly rows: number;
  /** Whether they come in the order of their keys. */
  readonly ascending: boolean;
  readonly orgCode: string;
  /** Time of the newest full extract that told absent what it lacked of the organisation; null without one. */
  readonly extractAt: number | null;
}

/** When what an older window delivers has been absent since, as a newer extract has told; null: it is not. */
export function absentSince(
  extractAt: number | null,
  { syncedThrough, force }: MergeOptions,
): number | null {
  return extractAt !== null && extractAt > syncedThrough && !force ? extractAt : null;
}

/**
 * Merges delivered rows and counts what becomes of them: what differs is updated and what does not
 * advances, all in one pass; what is new is inserted, and what is left is counted.
 *
 * Unchanged rows must advance too: else a row that went A, B, A could fall back to B when the middle
 * window is repeated.
 *
 * A row that another transaction changes at the same time (rows of an organisation without feeds of its own,
 * which two feeds deliver) is judged by what that one leaves.
 *
 * @param source where the rows are; by default they are staged
 * @throws RetryableError `DATABASE_BUSY` if another transaction inserted or deleted rows at the same time
 */
export async function mergeRows(
  client: PoolClient,
  dataset: Dataset,
  header: Header,
  plan: MergePlan,
  source: RowSource = stagedRows(dataset),
): Promise<Outcome> {
  const { rows } = plan;
  if (rows === 0) return { inserted: 0, updated: 0, unchanged: 0, stale: 0 };
  const parts = clauses(dataset, header, rows);
  // Headers that lack a column are rare and each makes another statement: those are not kept. Nor are those
  // for few that were staged: they may have been planned for many.
  const keeps = header.absent.length === 0 && source.values.length > 0;
  const prepared = keeps ? { name: `merge ${dataset.name}` } : {};
  const written =
    rows <= FEW_ROWS
      ? await mergeAtOnce(client, parts, plan, source, prepared)
      : await mergeInSteps(client, dataset, parts, plan, source);
  const { inserted, updated, advanced } = written;
  const left = rows - inserted - updated - advanced;
  const stale = left === 0 ? 0 : await countStale(client, parts, plan, source, left);
  return { inserted, updated, unchanged: advanced + left - stale, stale };
}

/** What a merge has written. */
interface Written {
  readonly updated: number;
  readonly advanced: number;
  readonly inserted: number;
}

/** Merges a few rows by one statement, of which each half sees what was there before. */
async function mergeAtOnce(
  client: PoolClient,
  parts: Clauses,
  plan: MergePlan,
  source: RowSource,
  prepared: { readonly name?: string },
): Promise<Written> {
  const staged = source.select(7);
  const text = `with written as (${updateKnown(parts, staged, { force: '$3', from: '$4' })}),
      added as (${insertNew(parts, staged, { orgCode: '$5', absentSince: '$6' })} returning 1)
      select count(*) filter (where differed) as updated, count(*) filter (where not differed) as advanced,
        (select count(*) from added) as inserted
      from written`;
  const own = [...bookkeeping(plan), ...forKnown(plan), ...forNew(plan)];
  const values = [...own, ...source.values];
  return (await client.query<Written>({ ...prepared, text, values })).rows[0]!;
}

/** Merges many rows by two statements: it is worth knowing whether any is left to be inserted. */
async function mergeInSteps(
  client: PoolClient,
  dataset: Dataset,
  parts: Clauses,
  plan: MergePlan,
  source: RowSource,
): Promise<Written> {
  const update = updateKnown(parts, source.select(5), { force: '$3', from: '$4' });
  const { rows } = await client.query<Omit<Written, 'inserted'>>(
    `with written as (${update})
      select count(*) filter (where differed) as updated, count(*) filter (where not differed) as advanced
      from written`,
    [...bookkeeping(plan), ...forKnown(plan), ...source.values],
  );
  const { updated, advanced } = rows[0]!;
  if (updated + advanced === plan.rows) return { updated, advanced, inserted: 0 };
  // The index of the keys is filled page by page then, and not all over.
  const order = plan.rows < MANY_ROWS || plan.ascending ? '' : `order by s.${dataset.key}`;
  const insert = insertNew(parts, source.select(5), { orgCode: '$3', absentSince: '$4' });
  const values = [...bookkeeping(plan), ...forNew(plan), ...source.values];
  const { rowCount } = await client.query(`${insert} ${order}`, values);
  return { updated, advanced, inserted: rowCount ?? 0 };
}

/** A statement that writes what is known already and may be written, by `bookkeeping` and `forKnown`. */
function updateKnown(
  { target, match, differs, content }: Clauses,
  staged: string,
  { force, from }: { readonly force: string; readonly from: string },
): string {
  // What does not differ is written over with the same: to tell would cost more.
  return `update ${target} t set
      ${content.map((name) => `${name} = s.${name}`).join(', ')},
      changed_at = case when ${differs} then statement_timestamp() else t.changed_at end,
      run_id = case when ${differs} then $2 else t.run_id end,
      flags = s.flags, synced_through = greatest(t.synced_through, $1),
      absent_since = case when ${force} or ${isBack(from, '$1', differs)} then null else t.absent_since end
    from ${staged} s
    where ${match} and ${toWrite(differs, from, '$1', force)}
    returning t.run_id = $2 as differed`;
}

/** A statement that inserts what is new, by `bookkeeping` and `forNew`. */
function insertNew(
  { target, match, columns }: Clauses,
  staged: string,
  { orgCode, absentSince: since }: { readonly orgCode: string; readonly absentSince: string },
): string {
  const names = [...columns, 'flags', 'extra'].join(', ');
  return `insert into ${target} (${names}, synced_through, run_id, absent_since)
    select ${names}, $1, $2, case when s.org_code = ${orgCode} then ${since}::timestamptz end
    from ${staged} s
    where not exists (select from ${target} t where ${match})`;
}

/** Parameters $1 and $2 of both. */
const bookkeeping = ({ syncedThrough, runId }: MergePlan) => [toTimestamp(syncedThrough), runId];

const forKnown = ({ force, from }: MergePlan) => [force, toTimestamp(from)];

function forNew({ orgCode, extractAt, ...options }: MergePlan) {
  const since = absentSince(extractAt, options);
  return [orgCode, since === null ? null : toTimestamp(since)];
}

/**
 * Whether a delivered row is there again that a full extract had lacked.
 *
 * It is if it changed later than that. A window across the extract's time may as well tell what was before:
 * as long as that was not known, because the content is another or the window began after the row's last
 * delivery, the row counts as there, since none that is may be hidden; what was known proves nothing.
 */
export const isBack = (from: string, through: string, differs: string) =>
  `case when t.absent_since <= ${through}
    then ${differs} or least(t.absent_since, t.synced_through) <= ${from} else false end`;

/**
 * Rows that a merge writes: other content that may replace what is stored, or the same from a newer window,
 * or if the row was absent and is there again, or by force.
 */
const toWrite = (differs: string, from: string, through: string, force: string) =>
  `case when ${differs} then t.synced_through <= ${through} or ${force}
    else t.synced_through < ${through} or (t.synced_through = ${through} and t.flags is distinct from s.flags)
      or ${isBack(from, through, 'false')} or (${force} and t.absent_since is not null) end`;

/** Counts the stale among the rows that were not written, and makes sure that all are accounted for. */
async function countStale(
  client: PoolClient,
  { target, match, differs }: Clauses,
  { from, syncedThrough, force }: MergeOptions,
  source: RowSource,
  left: number,
): Promise<number> {
  const { rows } = await client.query<{ stale: number; missed: number }>(
    `select count(*) filter (where ${differs}) as stale,
        count(*) filter (where t.org_code is null or ${toWrite(differs, '$3', '$1', '$2')}) as missed
      from ${source.select(4)} s left join ${target} t on ${match}`,
    [toTimestamp(syncedThrough), force, toTimestamp(from), ...source.values],
  );
  const { stale, missed } = rows[0]!;
  if (missed > 0 || stale > left) {
    throw new RetryableError('DATABASE_BUSY', 'rows of this organisation changed during the merge');
  }
  return stale;
}
