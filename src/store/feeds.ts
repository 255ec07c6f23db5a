import {
  type Expression,
  type InferResult,
  type RawBuilder,
  type SelectQueryBuilder,
  type SqlBool,
  sql,
} from 'kysely';
import { jsonArrayFrom } from 'kysely/helpers/postgres';
import { DATASET_NAMES, type DatasetName, type FeedName } from '../core/dataset.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { FinishedRun } from '../core/outage.ts';
import { LIMIT_RUNS, type WindowRun } from '../core/window-limit.ts';
import type { OpenRequest } from '../core/work.ts';
import type { ClaimedFeed, Feed, FoundFeed } from '../sync/ports.ts';
import type { DB } from './database.ts';
import { type Database, unbound } from './pool.ts';
import { instant, milliseconds, rangesAsJson, readRanges } from './time.ts';

/** SQL that sorts datasets as the document does. */
export function documentOrder(dataset: Expression<string | null>): RawBuilder<number> {
  return sql<number>`array_position(${[...DATASET_NAMES]}::text[], ${dataset})`;
}

/**
 * Locks feeds in the order of their ids and gives these, for a statement that changes several: two that
 * locked them each in an order of its own could wait for one another for ever (40P01).
 *
 * @example update.where('id', '=', lockedInOrder((feeds) => feeds.where('dataset', '=', 'meters')))
 */
export function lockedInOrder(choose: (feeds: ChosenFeeds) => ChosenFeeds): RawBuilder<number> {
  const locked = choose(unbound.selectFrom('vcc.feed')).select('id').orderBy('id').forNoKeyUpdate();
  // As an array: they are all locked before the first is changed.
  return sql<number>`any(array(${locked}))`;
}

/** The same for feeds by their ids. */
export function lockedById(feedIds: readonly number[]): RawBuilder<number> {
  return lockedInOrder((feeds) => feeds.where('id', '=', sql<number>`any(${[...feedIds]})`));
}

type ChosenFeeds = SelectQueryBuilder<DB, 'vcc.feed', object>;

/** What a feed may lack by acceptance, as one multirange. */
export function acceptedGaps(feedId: Expression<number>): Expression<string | null> {
  return unbound
    .selectFrom('vcc.gap_acceptance as a')
    .select((eb) => eb.fn.agg<string>('range_agg', ['a.during']).as('ranges'))
    .where('a.feed_id', '=', feedId)
    .$asScalar();
}

const FEEDS = unbound
  .selectFrom('vcc.feed as f')
  .innerJoin('vcc.org as o', 'o.org_code', 'f.org_code')
  .select((eb) => [
    'f.id',
    'f.dataset',
    'f.org_code as orgCode',
    'o.area_code as areaCode',
    eb.and({ 'o.enabled': true, 'f.enabled': true, 'f.paused': false }).as('active'),
    milliseconds(eb.ref('f.every')).as('every'),
    milliseconds(eb.ref('f.since')).as('since'),
    rangesAsJson(eb.ref('f.coverage')).as('coverage'),
    rangesAsJson(acceptedGaps(eb.ref('f.id'))).as('accepted'),
    milliseconds(eb.ref('f.next_due_at')).as('nextDueAt'),
    milliseconds(eb.ref('f.next_deep_at')).as('nextDeepAt'),
    milliseconds(eb.ref('f.notified_at')).as('notifiedAt'),
    'f.consecutive_failures as consecutiveFailures',
    'f.last_error_code as lastErrorCode',
  ])
  .$narrowType<{ dataset: DatasetName; active: boolean; lastErrorCode: ErrorCode | null }>();

function readFeed(row: InferResult<typeof FEEDS>[number]): Feed {
  return { ...row, coverage: readRanges(row.coverage), accepted: readRanges(row.accepted) };
}

/** How long it is from one time to another, in milliseconds. */
function lengthOf(from: Expression<Date | null>, to: Expression<Date | null>): RawBuilder<number> {
  return milliseconds(sql<number>`(${to} - ${from})`);
}

const FOUND_FEED = FEEDS.select((eb) =>
  eb
    .case()
    .when('f.consecutive_failures', '>', 0)
    .then(
      eb
        .selectFrom('vcc.run as r')
        .select(({ ref }) => lengthOf(ref('r.started_at'), ref('r.finished_at')).as('took'))
        .whereRef('r.feed_id', '=', 'f.id')
        .where('r.status', '=', 'failed')
        .where('r.trigger', '<>', 'import')
        .orderBy('r.id', 'desc')
        .limit(1)
        .$asScalar(),
    )
    .end()
    .as('failedAfter'),
);

/** The feed of that name, or null if there is none. */
export async function findFeed(
  db: Database,
  { dataset, orgCode }: FeedName,
): Promise<FoundFeed | null> {
  const named = FOUND_FEED.where('f.org_code', '=', orgCode).where('f.dataset', '=', dataset);
  const { rows } = await db.executeQuery(named);
  return rows[0] ? { ...readFeed(rows[0]), failedAfter: rows[0].failedAfter } : null;
}

/** All feeds, or those of one organisation or dataset, in order. */
export async function listFeeds(
  db: Database,
  filter: { readonly orgCode?: string | undefined; readonly dataset?: string | undefined } = {},
): Promise<Feed[]> {
  const { orgCode, dataset } = filter;
  const wanted = FEEDS.orderBy('f.org_code')
    .orderBy((eb) => documentOrder(eb.ref('f.dataset')))
    .$if(orgCode !== undefined, (q) => q.where('f.org_code', '=', orgCode!))
    .$if(dataset !== undefined, (q) => q.where('f.dataset', '=', dataset!));
  return (await db.executeQuery(wanted)).rows.map(readFeed);
}

const CLAIMED_FEED = FEEDS.select((eb) => [
  milliseconds(eb.ref('f.extract_at')).as('extractAt'),
  jsonArrayFrom(
    eb
      .selectFrom('vcc.run as r')
      .select(({ ref }) => [
        lengthOf(ref('r.window_from'), ref('r.window_to')).as('length'),
        'r.error_code as errorCode',
      ])
      .whereRef('r.feed_id', '=', 'f.id')
      .where('r.status', 'in', ['done', 'failed'])
      .where('r.trigger', '<>', 'import')
      .orderBy('r.id', 'desc')
      .limit(LIMIT_RUNS)
      .$narrowType<{ errorCode: ErrorCode | null }>(),
  ).as('lastRuns'),
]);

/** The feed under its lock, with what its next window is chosen by. */
export async function readClaimedFeed(db: Database, feedId: number): Promise<ClaimedFeed> {
  const { rows } = await db.executeQuery(CLAIMED_FEED.where('f.id', '=', feedId));
  const { lastRuns, extractAt } = rows[0]!;
  return { ...readFeed(rows[0]!), lastRuns, extractAt };
}

/** The last runs of feeds by which their windows are laid out, newest first. */
export async function lastRunsOf(
  db: Database,
  feedIds: readonly number[],
): Promise<ReadonlyMap<number, readonly WindowRun[]>> {
  const wanted = CLAIMED_FEED.where('f.id', '=', sql<number>`any(${[...feedIds]})`);
  const { rows } = await db.executeQuery(wanted);
  return new Map(rows.map(({ id, lastRuns }) => [id, lastRuns]));
}

/** The newest finished runs of all feeds, newest first; interrupted ones and imports tell nothing. */
export function recentRuns(db: Database, limit: number): Promise<FinishedRun[]> {
  return db
    .selectFrom('vcc.run')
    .select(({ ref }) => [
      'feed_id as feedId',
      'error_code as errorCode',
      lengthOf(ref('window_from'), ref('window_to')).as('length'),
    ])
    .where('status', 'in', ['done', 'failed'])
    .where('trigger', '<>', 'import')
    .orderBy('id', 'desc')
    .limit(limit)
    .$narrowType<{ errorCode: ErrorCode | null }>()
    .execute();
}

/** How many feeds are active; counts no further than `limit`. */
export async function countActiveFeeds(db: Database, limit: number): Promise<number> {
  const active = await db
    .selectFrom('vcc.feed as f')
    .innerJoin('vcc.org as o', 'o.org_code', 'f.org_code')
    .select('f.id')
    .where((eb) => eb.and([eb.ref('f.enabled'), eb.not('f.paused'), eb.ref('o.enabled')]))
    .limit(limit)
    .execute();
  return active.length;
}

/** Active feeds that are due, the longest due first. */
export function dueFeeds(db: Database, now: number, limit: number): Promise<FeedName[]> {
  return (
    db
      .selectFrom('vcc.feed as f')
      .select(['f.dataset', 'f.org_code as orgCode'])
      .where('f.next_due_at', '<=', instant(now))
      // As the index `feed_next_due_at_idx` has it.
      .where((eb) => eb.and([eb.ref('f.enabled'), eb.not('f.paused')]))
      // Looked up for each feed that is due: a join may be planned to read all organisations.
      .where((eb) =>
        eb
          .selectFrom('vcc.org as o')
          .select('o.enabled')
          .whereRef('o.org_code', '=', 'f.org_code')
          .$castTo<{ enabled: SqlBool }>()
          .$asScalar(),
      )
      .orderBy('f.next_due_at')
      .limit(limit)
      .$narrowType<{ dataset: DatasetName }>()
      .execute()
  );
}

/** Requests that workers load: the others bring their rows along, or only compare. */
export const LOADED_KINDS: readonly OpenRequest['kind'][] = ['resync', 'deep'];

const OPEN_REQUESTS = unbound
  .selectFrom('vcc.request as q')
  .select((eb) => [
    'q.id',
    'q.kind',
    'q.force',
    'q.max_rejects as maxRejects',
    milliseconds(sql<Date>`lower(${eb.ref('q.during')})`).as('from'),
    milliseconds(sql<Date>`upper(${eb.ref('q.during')})`).as('to'),
    rangesAsJson(
      eb
        .selectFrom('vcc.run as r')
        .select(({ ref }) =>
          sql<string>`range_agg(tstzrange(${ref('r.window_from')}, ${ref('r.window_to')}))`.as(
            'windows',
          ),
        )
        .whereRef('r.request_id', '=', 'q.id')
        .where('r.status', '=', 'done')
        .whereRef('r.window_from', '<', 'r.window_to')
        .$asScalar(),
    ).as('done'),
    eb
      .selectFrom('vcc.run as r')
      .select((of) => of.fn.countAll<number>().as('failures'))
      .whereRef('r.request_id', '=', 'q.id')
      .where('r.status', '=', 'failed')
      .where(({ exists, not, selectFrom }) => {
        const later = selectFrom('vcc.run as later')
          .whereRef('later.request_id', '=', 'q.id')
          .whereRef('later.id', '>', 'r.id')
          .where('later.status', '=', 'done');
        return not(exists(later));
      })
      .as('failures'),
  ])
  .where('q.finished_at', 'is', null)
  .where('q.kind', 'in', LOADED_KINDS)
  .orderBy('q.id')
  .$narrowType<{ kind: OpenRequest['kind']; failures: number }>();

/** A feed's open requests, oldest first, with the windows that committed runs have loaded for them. */
export async function openRequests(db: Database, feedId: number): Promise<OpenRequest[]> {
  const { rows } = await db.executeQuery(OPEN_REQUESTS.where('q.feed_id', '=', feedId));
  return rows.map(({ from, to, done, ...row }) => ({
    ...row,
    during: { from, to },
    done: readRanges(done),
  }));
}

/** Organisations that have feeds of their own. */
export async function orgCodesWithFeeds(db: Database): Promise<ReadonlySet<string>> {
  const rows = await db.selectFrom('vcc.feed').select('org_code').distinct().execute();
  return new Set(rows.map((row) => row.org_code));
}
