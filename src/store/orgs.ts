import type pg from 'pg';
import type { PoolClient } from 'pg';
import { DATASET_NAMES, type DatasetName } from '../core/dataset.ts';
import type { KnownFeed } from '../core/request.ts';
import { toTimestamp } from './time.ts';

/** An organisation to add or to bring up to date; what is left undefined stays as it is. */
export interface OrgChange {
  readonly orgCode: string;
  readonly name?: string | undefined;
  readonly areaCode?: string | undefined;
  /** Datasets that it shall take; undefined: all of a new organisation, those it has of another. */
  readonly datasets?: readonly DatasetName[] | undefined;
  /** Interval between synchronisations, in milliseconds. */
  readonly every?: number | undefined;
  /** Where the promise begins, in milliseconds of whole seconds. */
  readonly since?: number | undefined;
}

/** What `addOrg` found and did. */
export interface OrgChanged {
  readonly isNew: boolean;
  /** Whether the organisation is enabled; a disabled one stays so. */
  readonly enabled: boolean;
  /** Datasets whose feeds are new, or enabled again. */
  readonly added: readonly DatasetName[];
  /** Datasets whose feeds were there. */
  readonly kept: readonly DatasetName[];
}

/** An organisation and its feeds. */
export interface OrgRow {
  readonly orgCode: string;
  readonly name: string | null;
  readonly areaCode: string | null;
  readonly enabled: boolean;
  /** Datasets that it takes, in the document's order. */
  readonly datasets: readonly DatasetName[];
  /** Those of them that are paused. */
  readonly paused: readonly DatasetName[];
}

const IN_ORDER = `array_position(array['${DATASET_NAMES.join("','")}'], f.dataset)`;

/**
 * Adds an organisation with its feeds, or updates it: names, intervals and beginnings are set, feeds are
 * added and enabled, nothing is taken away, and a disabled organisation stays disabled.
 */
export async function addOrg(pool: pg.Pool, change: OrgChange): Promise<OrgChanged> {
  return inTransaction(pool, async (client) => {
    const { rows } = await client.query<{ isNew: boolean; enabled: boolean }>(
      `insert into vcc.org (org_code, name, area_code) values ($1, $2, $3)
        on conflict (org_code) do update
          set name = coalesce($2, org.name), area_code = coalesce($3, org.area_code)
        returning xmax = 0 as "isNew", enabled`,
      [change.orgCode, change.name ?? null, change.areaCode ?? null],
    );
    const { isNew, enabled } = rows[0]!;
    const wanted = change.datasets ?? (isNew ? DATASET_NAMES : []);
    const present = await feedsBefore(client, change.orgCode);
    await changeFeeds(client, change, wanted);
    return {
      isNew,
      enabled,
      added: wanted.filter((dataset) => present.get(dataset) !== true),
      kept: DATASET_NAMES.filter((dataset) => present.get(dataset) === true),
    };
  });
}

/** Datasets of an organisation's feeds, and whether they are enabled. */
async function feedsBefore(
  client: PoolClient,
  orgCode: string,
): Promise<ReadonlyMap<DatasetName, boolean>> {
  const { rows } = await client.query<{ dataset: DatasetName; enabled: boolean }>(
    'select dataset, enabled from vcc.feed where org_code = $1',
    [orgCode],
  );
  return new Map(rows.map(({ dataset, enabled }) => [dataset, enabled]));
}

/** Adds and enables the wanted feeds; interval and beginning go to these, or to all if none is named. */
async function changeFeeds(
  client: PoolClient,
  { orgCode, datasets, every, since }: OrgChange,
  wanted: readonly DatasetName[],
): Promise<void> {
  await client.query(
    `insert into vcc.feed (org_code, dataset) select $1, unnest($2::text[])
      on conflict (org_code, dataset) do update set enabled = true where not feed.enabled`,
    [orgCode, wanted],
  );
  if (every === undefined && since === undefined) return;
  // What has changed may be due at once; a feed that fails keeps its distance.
  await client.query(
    `update vcc.feed set every = coalesce(make_interval(secs => $3), every), since = coalesce($4, since),
        next_due_at = case when consecutive_failures = 0 then least(next_due_at, now()) else next_due_at end
      where org_code = $1 and ($2::text[] is null or dataset = any($2))`,
    [
      orgCode,
      datasets ?? null,
      every === undefined ? null : every / 1000,
      since === undefined ? null : toTimestamp(since),
    ],
  );
}

/**
 * Adds those organisations that are not there yet, with all datasets; the others stay as they are,
 * disabled ones too.
 *
 * @returns the codes that were added
 */
export async function addMissingOrgs(pool: pg.Pool, codes: readonly string[]): Promise<string[]> {
  if (codes.length === 0) return [];
  // In order, so that processes that start at the same time do not block one another.
  const { rows } = await pool.query<{ org_code: string }>(
    `with added as (
        insert into vcc.org (org_code) select distinct unnest($1::text[]) order by 1
          on conflict (org_code) do nothing returning org_code),
      fed as (insert into vcc.feed (org_code, dataset)
        select org_code, dataset from added cross join unnest($2::text[]) as dataset)
      select org_code from added order by org_code`,
    [codes, DATASET_NAMES],
  );
  return rows.map((row) => row.org_code);
}

/** All organisations with their feeds, by code. */
export async function listOrgs(pool: pg.Pool): Promise<OrgRow[]> {
  const { rows } = await pool.query<OrgRow>(
    `select o.org_code as "orgCode", o.name, o.area_code as "areaCode", o.enabled,
        coalesce(array_agg(f.dataset order by ${IN_ORDER}) filter (where f.enabled), '{}') as datasets,
        coalesce(array_agg(f.dataset order by ${IN_ORDER}) filter (where f.enabled and f.paused), '{}') as paused
      from vcc.org o left join vcc.feed f using (org_code)
      group by o.org_code order by o.org_code`,
  );
  return rows;
}

/**
 * Enables or disables an organisation; an enabled one is due at once.
 *
 * @returns false if there is no such organisation
 */
export async function setOrgEnabled(
  pool: pg.Pool,
  orgCode: string,
  enabled: boolean,
): Promise<boolean> {
  const { rowCount } = await pool.query(
    `with one as (update vcc.org set enabled = $2 where org_code = $1 returning org_code),
      woken as (update vcc.feed f set next_due_at = least(f.next_due_at, now())
        from one where $2 and f.org_code = one.org_code)
      select from one`,
    [orgCode, enabled],
  );
  return rowCount === 1;
}

/** Pauses feeds, or lets them go on; those are due at once. */
export async function pauseFeeds(
  pool: pg.Pool,
  feedIds: readonly number[],
  paused: boolean,
): Promise<void> {
  await pool.query(
    `update vcc.feed set paused = $2,
        next_due_at = case when $2 then next_due_at else least(next_due_at, now()) end
      where id = any($1)`,
    [feedIds, paused],
  );
}

/** The feeds of an organisation, in the document's order; null if there is no such organisation. */
export async function feedsOfOrg(pool: pg.Pool, orgCode: string): Promise<KnownFeed[] | null> {
  const { rows } = await pool.query<{
    id: number | null;
    dataset: DatasetName;
    active: boolean;
  }>(
    `select f.id, f.dataset, o.enabled and f.enabled and not f.paused as active
      from vcc.org o left join vcc.feed f using (org_code)
      where o.org_code = $1 order by ${IN_ORDER}`,
    [orgCode],
  );
  if (rows.length === 0) return null;
  return rows.flatMap(({ id, dataset, active }) => (id === null ? [] : { id, dataset, active }));
}

async function inTransaction<T>(
  pool: pg.Pool,
  work: (client: PoolClient) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    const result = await work(client);
    await client.query('commit');
    client.release();
    return result;
  } catch (error) {
    // Closing the connection takes the transaction with it, whatever state it is in.
    client.release(true);
    throw error;
  }
}
