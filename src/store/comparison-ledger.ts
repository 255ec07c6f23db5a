import { type Expression, type RawBuilder, sql } from 'kysely';
import type { DatasetName } from '../core/dataset.ts';
import type { FindingKind } from '../core/finding.ts';
import type { Interval } from '../core/interval.ts';
import { maskKey } from '../core/line-mask.ts';
import { isoTime, range, seconds } from '../core/record.ts';
import type { Comparison } from '../sync/ports.ts';
import type { LedgerFilter } from './ledgers.ts';
import type { Database } from './pool.ts';
import type { LedgerRecord } from './records.ts';
import { milliseconds } from './time.ts';

/** A finding as it is shown: its key masked where it is not plainly a code; times in milliseconds. */
export interface FindingRow {
  readonly kind: FindingKind;
  readonly rowKey: string | null;
  readonly columns: readonly string[] | null;
  readonly during: Interval | null;
  readonly late: number | null;
}

/** A comparison as it is on record; times in milliseconds. */
export interface ComparisonRow extends Omit<Comparison, 'findings' | 'asOf'> {
  readonly id: number;
  readonly requestId: number;
  readonly feedId: number;
  readonly orgCode: string;
  readonly dataset: DatasetName;
  readonly asOf: number | null;
  readonly runId: number | null;
  readonly startedAt: number;
  /** Null while it is still to be done. */
  readonly finishedAt: number | null;
  /** Why it could not be made; null if it was, or is still to be. */
  readonly errorCode: string | null;
  readonly findings: readonly FindingRow[];
}

/** Which comparisons. */
export interface ComparisonFilter extends LedgerFilter {
  readonly feedId?: number;
  readonly requestId?: number;
  readonly runId?: number;
  /** How many at most, and how many findings of each; by default all. */
  readonly limit?: number;
  readonly findings?: number;
}

/** Comparisons with their findings, newest first; those of a request by their windows. */
export async function listComparisons(
  db: Database,
  { orgCode, dataset, feedId, requestId, runId, limit, findings }: ComparisonFilter,
): Promise<ComparisonRow[]> {
  const rows = await db
    .selectFrom('vcc.comparison as c')
    .innerJoin('vcc.feed as f', 'f.id', 'c.feed_id')
    .select(({ ref }) => [
      'c.id',
      'c.request_id as requestId',
      'c.feed_id as feedId',
      'f.org_code as orgCode',
      'f.dataset',
      'c.kind',
      milliseconds(sql<Date | null>`lower(${ref('c.during')})`).as('from'),
      milliseconds(sql<Date | null>`upper(${ref('c.during')})`).as('to'),
      milliseconds(ref('c.as_of')).as('asOf'),
      'c.run_id as runId',
      milliseconds(ref('c.started_at')).as('startedAt'),
      milliseconds(ref('c.finished_at')).as('finishedAt'),
      'c.source_rows as sourceRows',
      'c.own_rows as ownRows',
      'c.compared',
      'c.missing',
      'c.changed',
      'c.extra',
      'c.stale',
      'c.error_code as errorCode',
      findingsAsJson(ref('c.id'), findings).as('findings'),
    ])
    .$if(orgCode !== undefined, (q) => q.where('f.org_code', '=', orgCode!))
    .$if(dataset !== undefined, (q) => q.where('f.dataset', '=', dataset!))
    .$if(feedId !== undefined, (q) => q.where('c.feed_id', '=', feedId!))
    .$if(requestId !== undefined, (q) => q.where('c.request_id', '=', requestId!))
    .$if(runId !== undefined, (q) => q.where('c.run_id', '=', runId!))
    .$if(limit !== undefined, (q) => q.limit(limit!))
    .orderBy('c.request_id', 'desc')
    .orderBy('c.during')
    .$narrowType<{ dataset: DatasetName; kind: Comparison['kind'] }>()
    .execute();
  return rows.map(({ from, to, findings: found, ...row }) => ({
    ...row,
    during: intervalOf(from, to),
    findings: found.map(
      ([kind, key, columns, start, end, late]): FindingRow => ({
        kind,
        rowKey: key === null ? null : maskKey(key),
        columns,
        during: intervalOf(start, end),
        late,
      }),
    ),
  }));
}

function intervalOf(from: number | null, to: number | null): Interval | null {
  return from === null || to === null ? null : { from, to };
}

type PackedFinding = readonly [
  FindingKind,
  string | null,
  readonly string[] | null,
  number | null,
  number | null,
  number | null,
];

function findingsAsJson(
  comparisonId: Expression<number>,
  limit: number | undefined,
): RawBuilder<readonly PackedFinding[]> {
  return sql`(select coalesce(json_agg(json_build_array(kind, row_key, columns,
      extract(epoch from lower(during)) * 1000, extract(epoch from upper(during)) * 1000,
      extract(epoch from late) * 1000) order by kind, row_key), '[]')
    from (select * from vcc.finding where comparison_id = ${comparisonId}
      order by kind, row_key limit ${limit ?? null}) as shown)`;
}

/** A comparison for programs, as `audit --json`, `reconcile --json` and `GET /api/findings` tell it. */
export function comparisonRecord(row: ComparisonRow): LedgerRecord {
  return {
    id: row.id,
    request_id: row.requestId,
    feed_id: row.feedId,
    org_code: row.orgCode,
    dataset: row.dataset,
    kind: row.kind,
    during: row.during && range(row.during),
    as_of: isoTime(row.asOf),
    run_id: row.runId,
    started_at: isoTime(row.startedAt),
    finished_at: isoTime(row.finishedAt),
    source_rows: row.sourceRows,
    own_rows: row.ownRows,
    compared: row.compared,
    missing: row.missing,
    changed: row.changed,
    extra: row.extra,
    stale: row.stale,
    error_code: row.errorCode,
    findings: row.findings.map((one) => ({
      kind: one.kind,
      row_key: one.rowKey,
      columns: one.columns,
      during: one.during && range(one.during),
      late: seconds(one.late),
    })),
  };
}
