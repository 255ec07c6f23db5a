import { sql } from 'kysely';
import { DATASET_NAMES, type DatasetName } from '../core/dataset.ts';
import type { KnownFeed } from '../core/request.ts';
import { documentOrder, lockedById, lockedInOrder } from './feeds.ts';
import type { Database } from './pool.ts';
import { NOW, toTimestamp } from './time.ts';

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

/**
 * Adds an organisation with its feeds, or updates it: names, intervals and beginnings are set, feeds are
 * added and enabled, nothing is taken away, and a disabled organisation stays disabled.
 */
export function addOrg(db: Database, change: OrgChange): Promise<OrgChanged> {
  return db.transaction().execute(async (trx) => {
    const { isNew, enabled } = await trx
      .insertInto('vcc.org')
      .values({
        org_code: change.orgCode,
        name: change.name ?? null,
        area_code: change.areaCode ?? null,
      })
      .onConflict((conflict) =>
        conflict.column('org_code').doUpdateSet(({ fn }) => ({
          name: fn.coalesce('excluded.name', 'vcc.org.name'),
          area_code: fn.coalesce('excluded.area_code', 'vcc.org.area_code'),
        })),
      )
      .returning(['enabled', sql<boolean>`xmax = 0`.as('isNew')])
      .executeTakeFirstOrThrow();
    const wanted = change.datasets ?? (isNew ? DATASET_NAMES : []);
    const present = await feedsBefore(trx, change.orgCode);
    await changeFeeds(trx, change, wanted);
    return {
      isNew,
      enabled,
      added: wanted.filter((dataset) => present.get(dataset) !== true),
      kept: DATASET_NAMES.filter((dataset) => present.get(dataset) === true),
    };
  });
}

/** Datasets of an organisation's feeds, and whether they are enabled; they are locked (see `lockedInOrder`). */
async function feedsBefore(db: Database, orgCode: string): Promise<ReadonlyMap<string, boolean>> {
  const rows = await db
    .selectFrom('vcc.feed')
    .select(['dataset', 'enabled'])
    .where('org_code', '=', orgCode)
    .orderBy('id')
    .forNoKeyUpdate()
    .execute();
  return new Map(rows.map(({ dataset, enabled }) => [dataset, enabled]));
}

/** Adds and enables the wanted feeds; interval and beginning go to these, or to all if none is named. */
async function changeFeeds(
  db: Database,
  { orgCode, datasets, every, since }: OrgChange,
  wanted: readonly DatasetName[],
): Promise<void> {
  if (wanted.length > 0) {
    await db
      .insertInto('vcc.feed')
      .values(wanted.map((dataset) => ({ org_code: orgCode, dataset })))
      .onConflict((conflict) =>
        conflict
          .columns(['org_code', 'dataset'])
          .doUpdateSet({ enabled: true })
          .where('vcc.feed.enabled', '=', false),
      )
      .execute();
  }
  if (every === undefined && since === undefined) return;
  await db
    .updateTable('vcc.feed')
    .set((eb) => ({
      ...(every !== undefined && { every: sql<string>`make_interval(secs => ${every / 1000})` }),
      ...(since !== undefined && { since: toTimestamp(since) }),
      // What has changed may be due at once; a feed that fails keeps its distance.
      next_due_at: eb
        .case()
        .when('consecutive_failures', '=', 0)
        .then(eb.fn<Date>('least', ['next_due_at', NOW]))
        .else(eb.ref('next_due_at'))
        .end(),
    }))
    .where('org_code', '=', orgCode)
    .$if(datasets !== undefined, (q) =>
      q.where('dataset', '=', sql<string>`any(${[...datasets!]})`),
    )
    .execute();
}

/**
 * Adds those organisations that are not there yet, with all datasets; the others stay as they are,
 * disabled ones too.
 *
 * @returns the codes that were added
 */
export async function addMissingOrgs(db: Database, codes: readonly string[]): Promise<string[]> {
  if (codes.length === 0) return [];
  // In order, so that processes that start at the same time do not block one another.
  const inOrder = [...new Set(codes)].sort();
  const datasets = sql<{ dataset: string }>`unnest(${[...DATASET_NAMES]}::text[])`;
  const rows = await db
    .with('added', (cte) =>
      cte
        .insertInto('vcc.org')
        .values(inOrder.map((org_code) => ({ org_code })))
        .onConflict((conflict) => conflict.column('org_code').doNothing())
        .returning('org_code'),
    )
    .with('fed', (cte) =>
      cte
        .insertInto('vcc.feed')
        .columns(['org_code', 'dataset'])
        .expression((eb) =>
          eb
            .selectFrom('added')
            .crossJoin(datasets.as<'d'>(sql`d (dataset)`))
            .select(['added.org_code', 'd.dataset']),
        ),
    )
    .selectFrom('added')
    .select('org_code')
    .orderBy('org_code')
    .execute();
  return rows.map((row) => row.org_code);
}

/** All organisations with their feeds, by code. */
export function listOrgs(db: Database): Promise<OrgRow[]> {
  return db
    .selectFrom('vcc.org as o')
    .leftJoin('vcc.feed as f', 'f.org_code', 'o.org_code')
    .select((eb) => {
      const taken = eb.fn
        .agg<DatasetName[]>('array_agg', ['f.dataset'])
        .orderBy(documentOrder(eb.ref('f.dataset')))
        .filterWhere('f.enabled', '=', true);
      const none = sql<DatasetName[]>`'{}'`;
      return [
        'o.org_code as orgCode',
        'o.name',
        'o.area_code as areaCode',
        'o.enabled',
        eb.fn.coalesce(taken, none).as('datasets'),
        eb.fn.coalesce(taken.filterWhere('f.paused', '=', true), none).as('paused'),
      ];
    })
    .groupBy('o.org_code')
    .orderBy('o.org_code')
    .execute();
}

/**
 * Enables or disables an organisation; an enabled one is due at once.
 *
 * @returns false if there is no such organisation
 */
export async function setOrgEnabled(
  db: Database,
  orgCode: string,
  enabled: boolean,
): Promise<boolean> {
  const found = await db
    .with('one', (cte) =>
      cte
        .updateTable('vcc.org')
        .set({ enabled })
        .where('org_code', '=', orgCode)
        .returning(['org_code', 'enabled']),
    )
    .with('woken', (cte) =>
      cte
        .updateTable('vcc.feed')
        .set((eb) => ({ next_due_at: eb.fn('least', ['next_due_at', NOW]) }))
        .where(
          'id',
          '=',
          lockedInOrder((feeds) =>
            feeds.where('org_code', '=', sql<string>`(select org_code from one where enabled)`),
          ),
        ),
    )
    .selectFrom('one')
    .select('org_code')
    .executeTakeFirst();
  return found !== undefined;
}

/** Pauses feeds, or lets them go on; those are due at once. */
export async function pauseFeeds(
  db: Database,
  feedIds: readonly number[],
  paused: boolean,
): Promise<void> {
  await db
    .updateTable('vcc.feed')
    .set((eb) => ({
      paused,
      ...(!paused && { next_due_at: eb.fn<Date>('least', ['next_due_at', NOW]) }),
    }))
    .where('id', '=', lockedById(feedIds))
    .execute();
}

/**
 * Makes a feed due at once, though it keeps its distance after failures.
 *
 * @returns false, with nothing changed, if it is paused or disabled
 */
export async function hastenFeed(db: Database, feedId: number): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('vcc.feed as f')
    .from('vcc.org as o')
    // Before any clock: it is due for every process.
    .set({ next_due_at: '-infinity' })
    .whereRef('o.org_code', '=', 'f.org_code')
    .where('f.id', '=', feedId)
    .where((eb) => eb.and({ 'o.enabled': true, 'f.enabled': true, 'f.paused': false }))
    .executeTakeFirstOrThrow();
  return numUpdatedRows > 0n;
}

/** The feeds of an organisation, in the document's order; null if there is no such organisation. */
export async function feedsOfOrg(db: Database, orgCode: string): Promise<KnownFeed[] | null> {
  const rows = await db
    .selectFrom('vcc.org as o')
    .leftJoin('vcc.feed as f', 'f.org_code', 'o.org_code')
    .select((eb) => [
      'f.id',
      'f.dataset',
      eb.and({ 'o.enabled': true, 'f.enabled': true, 'f.paused': false }).as('active'),
    ])
    .where('o.org_code', '=', orgCode)
    .orderBy((eb) => documentOrder(eb.ref('f.dataset')))
    .$narrowType<{ dataset: DatasetName; active: boolean }>()
    .execute();
  if (rows.length === 0) return null;
  return rows.flatMap(({ id, dataset, active }) => (id === null ? [] : { id, dataset, active }));
}
