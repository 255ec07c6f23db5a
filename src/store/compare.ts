import type { PoolClient } from 'pg';
import type { Dataset } from '../core/dataset.ts';
import { type Finding, type FindingKind, KEPT_FINDINGS } from '../core/finding.ts';
import type { Header } from '../core/table/header.ts';
import type { CompareOptions, Differences } from '../sync/ports.ts';
import { clauses, isBack, planFor } from './load-window.ts';
import { MANY_ROWS, STAGING, stagedRows } from './staging.ts';
import { toTimestamp } from './time.ts';

// Set-based SQL over columns known only at run time, as in load-window.ts.

/** Rows `t` of the organisation $2 that a full extract of the time $1 lacks, and newer ones have not brought back. */
const absentFrom = (dataset: Dataset) =>
  `t.org_code = $2 and t.absent_since is null and t.synced_through <= $1
    and not exists (select from ${STAGING} s
      where s.org_code = t.org_code and s.row_key = t.${dataset.key})`;

interface DifferencesRow {
  readonly missing: number;
  readonly changed: number;
  readonly extra: number;
  readonly stale: number;
  readonly sourceRows: number;
  readonly ownRows: number | null;
  readonly findings: { kind: FindingKind; key: string; columns: string[] | null }[] | null;
}

/**
 * Tells how the staged rows and the table differ, in one statement and so for one moment; columns that
 * the header lacks do not count.
 */
export async function compareStaged(
  client: PoolClient,
  dataset: Dataset,
  header: Header,
  {
    from,
    asOf,
    full,
    told = KEPT_FINDINGS,
    orgCode,
  }: CompareOptions & { readonly orgCode: string },
): Promise<Differences> {
  const { target, match, differs, content } = clauses(dataset, header);
  const staged = stagedRows(dataset).select(1);
  const { key } = dataset;
  const back = isBack('$4', '$1', differs);
  const named = [...content, 'absent_since'].map((name) =>
    name === 'absent_since'
      ? `case when ${back} then '${name}' end`
      : `case when t.${name} is distinct from s.${name} then '${name}' end`,
  );
  const extra = `union all
        select 'extra', t.${key}, null::text[] from ${target} t where ${absentFrom(dataset)}`;
  await planFor(client, dataset, MANY_ROWS);
  const { rows } = await client.query<DifferencesRow>(
    `with compared as (
        select case when t.org_code is null then 'missing'
            when t.synced_through <= $1 or not (${differs}) then 'changed' else 'stale' end as kind,
          s.${key} as key,
          case when t.org_code is not null then array_remove(array[${named.join(', ')}], null) end as columns
        from ${staged} s left join ${target} t on ${match}
        where t.org_code is null or ${differs} or ${back}
        ${full ? extra : ''}
      )
      select count(*) filter (where kind = 'missing') as missing,
        count(*) filter (where kind = 'changed') as changed,
        count(*) filter (where kind = 'extra') as extra,
        count(*) filter (where kind = 'stale') as stale,
        (select count(*) from ${STAGING}) as "sourceRows",
        ${full ? `(select count(*) from ${target} t where t.org_code = $2 and t.absent_since is null)` : 'null'} as "ownRows",
        (select json_agg(json_build_object('kind', kind, 'key', key, 'columns', columns) order by kind, key)
          from (select *, row_number() over (partition by kind order by key) as place
            from compared where kind <> 'stale') as numbered
          where place <= $3) as findings
      from compared where $2::text is not null`,
    [toTimestamp(asOf), orgCode, told, toTimestamp(from)],
  );
  const { findings, ...counts } = rows[0]!;
  return {
    ...counts,
    extra: full ? counts.extra : null,
    findings: (findings ?? []).map(
      (one): Finding => ({ kind: one.kind, rowKey: one.key, columns: one.columns }),
    ),
  };
}

/** Which of these keys of an organisation are among the staged rows. */
export async function stagedKeys(
  client: PoolClient,
  orgCode: string,
  keys: readonly string[],
): Promise<ReadonlySet<string>> {
  const { rows } = await client.query<{ key: string }>(
    `select row_key as key from ${STAGING} where org_code = $1 and row_key = any ($2::text[])`,
    [orgCode, keys],
  );
  return new Set(rows.map((row) => row.key));
}

/** Marks rows of an organisation that the staged ones, a full extract, lack; answers how many. */
export async function markAbsent(
  client: PoolClient,
  dataset: Dataset,
  orgCode: string,
  asOf: number,
): Promise<number> {
  const { rowCount } = await client.query(
    `update vcc.${dataset.table} t set absent_since = $1 where ${absentFrom(dataset)}`,
    [toTimestamp(asOf), orgCode],
  );
  return rowCount ?? 0;
}
