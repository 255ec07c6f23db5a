import { sql } from 'kysely';
import { type FindingKind, firstOfEach } from '../core/finding.ts';
import { keepKey } from '../core/line-mask.ts';
import type {
  ComparedRows,
  ComparisonRequest,
  OpenSample,
  SampleProgress,
  SampleStore,
} from '../sync/ports.ts';
import { recordRequest, storeFindings } from './comparisons.ts';
import { guarded } from './database-error.ts';
import type { Database } from './pool.ts';
import { aloneOnFeed, lockOpen } from './sample-lock.ts';
import { newestKeys, storedRows } from './stored-subscribers.ts';
import { NOW, toTimestamp } from './time.ts';

async function openSample(db: Database, feedId: number): Promise<OpenSample | null> {
  const row = await db
    .selectFrom('vcc.comparison')
    .select([
      'id',
      'request_id as requestId',
      'sample',
      'seed',
      'source_rows as total',
      'asked as pagesRead',
    ])
    .where('feed_id', '=', feedId)
    .where('kind', '=', 'sample')
    .where('finished_at', 'is', null)
    .orderBy('id', 'desc')
    .$narrowType<{ sample: number; seed: number }>()
    .executeTakeFirst();
  return row ?? null;
}

function planSample(
  db: Database,
  request: ComparisonRequest,
  sample: number,
  seed: number,
): Promise<OpenSample> {
  return db.transaction().execute(async (trx) => {
    const requestId = await recordRequest(trx, request, false);
    const { id } = await trx
      .insertInto('vcc.comparison')
      .values({ request_id: requestId, feed_id: request.feedId, kind: 'sample', sample, seed })
      .returning('id')
      .executeTakeFirstOrThrow();
    return { id, requestId, sample, seed, total: null, pagesRead: 0 };
  });
}

async function beginSample(db: Database, { id }: OpenSample, total: number): Promise<void> {
  await db
    .updateTable('vcc.comparison')
    .set({ source_rows: total })
    .where('id', '=', id)
    .where('source_rows', 'is', null)
    .execute();
}

function noteCompared(
  db: Database,
  { id }: OpenSample,
  { keys, pagesRead, findings }: ComparedRows,
): Promise<void> {
  return db.transaction().execute(async (trx) => {
    await lockOpen(trx, id);
    // A subscriber that stood on two pages, since the list changed meanwhile, counts once.
    const { rows } = await sql<{ row_key: string }>`
      insert into vcc.compared_key (comparison_id, row_key, asked)
      select distinct ${id}::bigint, key, ${pagesRead === null}::boolean from unnest(${[...keys]}::text[]) as told (key)
      on conflict do nothing returning row_key`.execute(trx);
    const fresh = new Set(rows.map((row) => row.row_key));
    const found = [...new Map(findings.map((one) => [one.rowKey, one])).values()].filter(
      ({ rowKey }) => fresh.has(rowKey),
    );
    const counts = await trx
      .updateTable('vcc.comparison')
      .set((eb) => ({
        compared: eb('compared', '+', fresh.size),
        asked: eb.fn<number>('greatest', ['asked', eb.val(pagesRead ?? 0)]),
        missing: eb('missing', '+', countOf('missing', found)),
        changed: eb('changed', '+', countOf('changed', found)),
        extra: eb('extra', '+', countOf('extra', found)),
      }))
      .where('id', '=', id)
      .returning(['missing', 'changed', 'extra'])
      .executeTakeFirstOrThrow();
    const before = (kind: FindingKind) => (counts[kind] ?? 0) - countOf(kind, found);
    const kept = firstOfEach(found, {
      missing: before('missing'),
      changed: before('changed'),
      extra: before('extra'),
    });
    await storeFindings(trx, id, kept);
  });
}

function countOf(wanted: FindingKind, findings: ComparedRows['findings']): number {
  return findings.filter(({ kind }) => kind === wanted).length;
}

async function nextKeys(
  db: Database,
  { id, seed }: OpenSample,
  orgCode: string,
  limit: number,
): Promise<readonly string[]> {
  if (limit <= 0) return [];
  const rows = await db
    .selectFrom('vcc.subscriber as s')
    .select('s.subscriber_code as key')
    .where('s.org_code', '=', orgCode)
    .where('s.absent_since', 'is', null)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('vcc.compared_key as k')
            .where('k.comparison_id', '=', id)
            .whereRef('k.row_key', '=', 's.subscriber_code'),
        ),
      ),
    )
    .orderBy(({ ref }) => sql`md5(${`${seed} `}::text || ${ref('s.subscriber_code')})`)
    .limit(limit)
    .execute();
  return rows.map(({ key }) => key);
}

function progressOf(db: Database, { id }: OpenSample): Promise<SampleProgress> {
  return db
    .selectFrom('vcc.compared_key')
    .select((eb) => [
      eb.fn.countAll<number>().filterWhere('asked', '=', false).as('listed'),
      eb.fn.countAll<number>().filterWhere('asked', '=', true).as('asked'),
    ])
    .where('comparison_id', '=', id)
    .executeTakeFirstOrThrow();
}

async function suspectsOf(
  db: Database,
  { id }: OpenSample,
  limit: number,
): Promise<readonly string[] | null> {
  const { found } = await db
    .selectFrom('vcc.comparison')
    .select(sql<number>`missing + changed + extra`.as('found'))
    .where('id', '=', id)
    .executeTakeFirstOrThrow();
  if (found > limit) return null;
  const rows = await db
    .selectFrom('vcc.finding')
    .select('row_key as key')
    .where('comparison_id', '=', id)
    .execute();
  // Of many of a kind not all are kept, and not every key may be.
  const keys = rows.flatMap(({ key }) => key ?? []);
  return keys.length < found ? null : keys;
}

function correctFinding(
  db: Database,
  { id }: OpenSample,
  rowKey: string,
  finding: ComparedRows['findings'][number] | null,
): Promise<void> {
  return db.transaction().execute(async (trx) => {
    await lockOpen(trx, id);
    const gone = await trx
      .deleteFrom('vcc.finding')
      .where('comparison_id', '=', id)
      .where('row_key', '=', keepKey(rowKey))
      .returning('kind')
      .execute();
    const now = finding ? [finding] : [];
    const gain = (kind: 'missing' | 'changed' | 'extra') =>
      countOf(kind, now) - gone.filter((one) => one.kind === kind).length;
    await trx
      .updateTable('vcc.comparison')
      .set((eb) => ({
        missing: eb('missing', '+', gain('missing')),
        changed: eb('changed', '+', gain('changed')),
        extra: eb('extra', '+', gain('extra')),
      }))
      .where('id', '=', id)
      .execute();
    await storeFindings(trx, id, now);
  });
}

function finishSample(db: Database, { id, requestId }: OpenSample, asOf: number): Promise<void> {
  return db.transaction().execute(async (trx) => {
    await lockOpen(trx, id);
    await trx
      .updateTable('vcc.comparison')
      .set((eb) => ({
        finished_at: NOW,
        as_of: toTimestamp(asOf),
        own_rows: eb
          .selectFrom('vcc.subscriber as s')
          .innerJoin('vcc.feed as f', 'f.org_code', 's.org_code')
          .select((of) => of.fn.countAll<number>().as('rows'))
          .whereRef('f.id', '=', 'vcc.comparison.feed_id')
          .where('s.absent_since', 'is', null),
      }))
      .where('id', '=', id)
      .execute();
    await trx.deleteFrom('vcc.compared_key').where('comparison_id', '=', id).execute();
    await finishRequest(trx, requestId);
  });
}

function abandonSample(db: Database, { id, requestId }: OpenSample): Promise<void> {
  return db.transaction().execute(async (trx) => {
    await trx.deleteFrom('vcc.comparison').where('id', '=', id).execute();
    await finishRequest(trx, requestId);
  });
}

async function finishRequest(db: Database, requestId: number): Promise<void> {
  await db
    .updateTable('vcc.request')
    .set({ finished_at: NOW })
    .where('id', '=', requestId)
    .where('finished_at', 'is', null)
    .execute();
}

/** Samples in Postgres, as the use case `reconcileSubscribers` needs them. */
export function openSamples(db: Database): SampleStore {
  return {
    alone: (...given) => aloneOnFeed(db, ...given),
    open: (feedId) => guarded(openSample(db, feedId)),
    plan: (...given) => guarded(planSample(db, ...given)),
    begin: (...given) => guarded(beginSample(db, ...given)),
    stored: (...given) => guarded(storedRows(db, ...given)),
    note: (...given) => guarded(noteCompared(db, ...given)),
    next: (...given) => guarded(nextKeys(db, ...given)),
    newest: (...given) => guarded(newestKeys(db, ...given)),
    progress: (sample) => guarded(progressOf(db, sample)),
    suspects: (...given) => guarded(suspectsOf(db, ...given)),
    correct: (...given) => guarded(correctFinding(db, ...given)),
    finish: (...given) => guarded(finishSample(db, ...given)),
    abandon: (sample) => guarded(abandonSample(db, sample)),
  };
}
