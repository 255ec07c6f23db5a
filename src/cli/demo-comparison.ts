import { sql } from 'kysely';
import { completeThrough } from '../core/coverage.ts';
import { CATALOGUE } from '../datasets/catalogue.ts';
import type { World } from '../simulator/world.ts';
import { listFeeds } from '../store/feeds.ts';
import type { Database } from '../store/pool.ts';
import type { Feed } from '../sync/ports.ts';
import { chinaTime, count, duration, isoTime, type Listing } from './output.ts';

/** One feed, source against copy. */
export interface Comparison {
  readonly feed: Feed;
  readonly sourceRows: number;
  readonly storedRows: number;
  /** Whether both have the same rows and every field of every row agrees. */
  readonly agrees: boolean;
  readonly completeThrough: number | null;
  /** Milliseconds. */
  readonly lag: number | null;
  /** Windows that were loaded. */
  readonly windows: number;
  /** Unresolved refused lines. */
  readonly rejects: number;
}

/** Compares every field of every row of all feeds with the source, as of `now` (milliseconds). */
export async function compareFeeds(db: Database, world: World, now: number): Promise<Comparison[]> {
  const comparisons: Comparison[] = [];
  for (const feed of await listFeeds(db)) {
    const source = world.rows(feed.dataset, feed.orgCode, now);
    const stored = await readStored(db, feed);
    const complete = completeThrough(feed);
    comparisons.push({
      feed,
      sourceRows: source.size,
      storedRows: stored.length,
      agrees: agrees(source, stored, CATALOGUE[feed.dataset].key),
      completeThrough: complete,
      lag: complete === null ? null : Math.max(0, now - complete),
      ...(await readCounts(db, feed.id)),
    });
  }
  return comparisons;
}

type StoredRow = Readonly<Record<string, string | null>>;

async function readStored(db: Database, { dataset, orgCode }: Feed): Promise<StoredRow[]> {
  const { table, columns } = CATALOGUE[dataset];
  const { rows } = await sql<StoredRow>`
    select ${sql.join(columns.map(({ name }) => sql.ref(name)))} from ${sql.table(`vcc.${table}`)}
    where org_code = ${orgCode}`.execute(db);
  return rows;
}

function agrees(
  source: ReadonlyMap<string, StoredRow>,
  stored: readonly StoredRow[],
  key: string,
): boolean {
  return (
    source.size === stored.length &&
    stored.every((row) => {
      const original = source.get(row[key]!);
      return (
        original !== undefined && Object.keys(row).every((name) => row[name] === original[name])
      );
    })
  );
}

async function readCounts(
  db: Database,
  feedId: number,
): Promise<{ windows: number; rejects: number }> {
  const { windows } = await db
    .selectFrom('vcc.run')
    .select((eb) => eb.fn.countAll<number>().as('windows'))
    .where('feed_id', '=', feedId)
    .where('status', '=', 'done')
    .executeTakeFirstOrThrow();
  const { rejects } = await db
    .selectFrom('vcc.reject')
    .select((eb) => eb.fn.countAll<number>().as('rejects'))
    .where('feed_id', '=', feedId)
    .where('resolved_at', 'is', null)
    .executeTakeFirstOrThrow();
  return { windows, rejects };
}

/** The comparison as a table. */
export const COMPARISONS: Listing<Comparison> = {
  columns: [
    { title: 'org', text: ({ feed }) => feed.orgCode },
    { title: 'dataset', text: ({ feed }) => feed.dataset },
    { title: 'source', text: ({ sourceRows }) => count(sourceRows), right: true },
    { title: 'postgres', text: ({ storedRows }) => count(storedRows), right: true },
    { title: 'every field', text: (one) => (one.agrees ? 'agrees' : 'DIFFERS') },
    { title: 'complete through', text: (one) => chinaTime(one.completeThrough) },
    { title: 'lag', text: ({ lag }) => duration(lag), right: true },
    { title: 'windows', text: ({ windows }) => count(windows), right: true },
    { title: 'rejects', text: ({ rejects }) => count(rejects), right: true },
  ],
  record: ({ feed, ...one }) => ({
    org_code: feed.orgCode,
    dataset: feed.dataset,
    source_rows: one.sourceRows,
    stored_rows: one.storedRows,
    agrees: one.agrees,
    complete_through: isoTime(one.completeThrough),
    windows: one.windows,
    rejects: one.rejects,
  }),
  empty: 'there are no feeds',
};
