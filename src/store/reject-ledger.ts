import { type RawBuilder, type Selectable, sql } from 'kysely';
import type { DatasetName } from '../core/dataset.ts';
import { maskKey, maskLine } from '../core/line-mask.ts';
import { columnOf, type RejectReason } from '../core/table/row.ts';
import { CATALOGUE } from '../datasets/catalogue.ts';
import type { VccReject } from './database.ts';
import { documentOrder } from './feeds.ts';
import type { LedgerFilter } from './ledgers.ts';
import type { Database } from './pool.ts';

/** Which refused lines, by whether a good line or a repair has taken their place. */
export type RejectState = 'open' | 'resolved' | 'all';

/** Which refused lines are wanted; undefined: all. */
export interface RejectFilter extends LedgerFilter {
  readonly reason?: RejectReason | undefined;
  /** The run that saw them last. */
  readonly runId?: number | undefined;
  readonly state: RejectState;
}

// biome-ignore format: a line a group
const COLUMNS = [
  'j.id', 'j.feed_id', 'f.org_code', 'f.dataset', 'j.run_id', 'j.line_no',
  'j.reason', 'j.row_key', 'j.line_hash', 'j.line', 'j.window_to', 'j.first_seen', 'j.last_seen',
  'j.resolved_at', 'j.resolved_by_run',
] as const;

/** A refused line without what it says; times are `Date`s. */
export interface RejectRow extends Omit<Selectable<VccReject>, 'header'> {
  readonly org_code: string;
  readonly dataset: DatasetName;
  readonly reason: RejectReason;
  /** By which it was refused; null: the line as a whole. */
  readonly column: string | null;
  /** Masked where it is no code. */
  readonly row_key: string | null;
  /** Masked; null once its time is over. */
  readonly line: string | null;
}

/** A refused line and how its file is laid out. */
export interface RejectDetail extends RejectRow {
  /** The document's names of its file's columns, in order; null for one that it does not name. */
  readonly columns: readonly (string | null)[];
}

/** How many refused lines a feed has, by why they were refused. */
export interface RejectTotal {
  readonly orgCode: string;
  readonly dataset: DatasetName;
  readonly reason: RejectReason;
  /** By which they were refused; null: the lines as a whole. */
  readonly column: string | null;
  readonly count: number;
  /** Those among them that are unresolved. */
  readonly open: number;
}

function selectRejects(db: Database, { orgCode, dataset, reason, runId, state }: RejectFilter) {
  const feeds = db
    .selectFrom('vcc.feed')
    .select('id')
    .$if(orgCode !== undefined, (q) => q.where('org_code', '=', orgCode!))
    .$if(dataset !== undefined, (q) => q.where('dataset', '=', dataset!));
  // One feed's lines the index `reject_open_idx` has in order.
  const isOne = orgCode !== undefined && dataset !== undefined;
  const isFew = orgCode !== undefined || dataset !== undefined;
  const chosen = isOne ? sql<number>`(${feeds})` : sql<number>`any(array(${feeds}))`;
  return db
    .selectFrom('vcc.reject as j')
    .$if(isFew, (q) => q.where('j.feed_id', '=', chosen))
    .$if(reason !== undefined, (q) => q.where('j.reason', '=', reason!))
    .$if(runId !== undefined, (q) => q.where('j.run_id', '=', runId!))
    .$if(state === 'open', (q) => q.where('j.resolved_at', 'is', null))
    .$if(state === 'resolved', (q) => q.where('j.resolved_at', 'is not', null));
}

/** Refused lines, last seen first; their text leaves this function only masked (design invariant 9). */
export async function listRejects(
  db: Database,
  { limit, ...filter }: RejectFilter & { readonly limit: number },
): Promise<RejectRow[]> {
  const rows = await selectRejects(db, filter)
    .innerJoin('vcc.feed as f', 'f.id', 'j.feed_id')
    .select(COLUMNS)
    .orderBy('j.last_seen', 'desc')
    .orderBy('j.id', 'desc')
    .limit(limit)
    .$narrowType<{ dataset: DatasetName; reason: RejectReason }>()
    .execute();
  return rows.map(told);
}

/** One refused line, masked as in the list; null if there is none of this id. */
export async function readReject(db: Database, id: number): Promise<RejectDetail | null> {
  const row = await selectRejects(db, { state: 'all' })
    .innerJoin('vcc.feed as f', 'f.id', 'j.feed_id')
    .select(COLUMNS)
    .select('j.header')
    .where('j.id', '=', id)
    .$narrowType<{ dataset: DatasetName; reason: RejectReason }>()
    .executeTakeFirst();
  if (!row) return null;
  const { header, ...rest } = row;
  return { ...told(rest), columns: namesOf(rest.dataset, header) };
}

/** Counts refused lines by feed and reason; organisations and datasets in their order. */
export async function countRejects(db: Database, filter: RejectFilter): Promise<RejectTotal[]> {
  const counted = selectRejects(db, filter)
    .select(({ fn }) => [
      'j.feed_id',
      'j.reason',
      fn.countAll<number>().as('count'),
      openAmong(filter.state).as('open'),
    ])
    // Before anything is looked up: there are a thousand times more lines than feeds.
    .groupBy(['j.feed_id', 'j.reason']);
  const rows = await db
    .selectFrom(counted.as('c'))
    .innerJoin('vcc.feed as f', 'f.id', 'c.feed_id')
    .select(['f.org_code as orgCode', 'f.dataset', 'c.reason', 'c.count', 'c.open'])
    .orderBy('f.org_code')
    .orderBy(({ ref }) => documentOrder(ref('f.dataset')))
    .orderBy('c.reason')
    .$narrowType<{ dataset: DatasetName; reason: RejectReason }>()
    .execute();
  return rows.map((row) => ({ ...row, column: columnOf(row.reason, CATALOGUE[row.dataset]) }));
}

/** Where all are open or none is, that need not be read: the index `reject_open_idx` is enough then. */
function openAmong(state: RejectState): RawBuilder<number> {
  if (state === 'open') return sql`count(*)`;
  return state === 'resolved' ? sql`0` : sql`count(*) filter (where j.resolved_at is null)`;
}

/** A refused line as it may leave this file. */
function told<T extends Pick<RejectRow, 'dataset' | 'reason' | 'row_key' | 'line'>>(row: T) {
  return {
    ...row,
    column: columnOf(row.reason, CATALOGUE[row.dataset]),
    row_key: row.row_key === null ? null : maskKey(row.row_key),
    line: row.line === null ? null : maskLine(row.line),
  };
}

/** A header may say anything where the document names nothing, so only its own names are told. */
function namesOf(dataset: DatasetName, header: string | null): readonly (string | null)[] {
  const known = CATALOGUE[dataset].columns.map((column) => column.header);
  if (header === null) return known;
  return header.split('|').map((name) => known.find((one) => one === name.trim()) ?? null);
}
