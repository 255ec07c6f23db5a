import { sql } from 'kysely';
import type { StoredSubscriber } from '../sync/ports.ts';
import type { Database } from './pool.ts';
import { milliseconds } from './time.ts';

/** The columns that the platform tells of a subscriber too (P8). */
const TOLD = [
  'name',
  'address_code',
  'address_detail',
  'subscriber_type',
  'state',
  'telephone',
  'mobile',
  'org_code',
] as const;

/** The stored rows of these keys, as far as the platform tells of them too. */
export async function storedRows(
  db: Database,
  orgCode: string,
  keys: readonly string[],
): Promise<ReadonlyMap<string, StoredSubscriber>> {
  const rows = await db
    .selectFrom('vcc.subscriber')
    .select(({ ref }) => [
      'subscriber_code',
      'absent_since',
      milliseconds(ref('synced_through')).as('syncedThrough'),
      ...TOLD,
    ])
    .where('org_code', '=', orgCode)
    .where('subscriber_code', '=', sql<string>`any(${[...keys]}::text[])`)
    .execute();
  return new Map(
    rows.map(({ subscriber_code: key, absent_since: since, syncedThrough, ...values }) => [
      key,
      { values, isAbsent: since !== null, syncedThrough },
    ]),
  );
}

/** Keys of the rows that came last: a change of them is the newest thing that is known of the platform. */
export async function newestKeys(
  db: Database,
  orgCode: string,
  limit: number,
): Promise<readonly string[]> {
  const rows = await db
    .selectFrom('vcc.subscriber')
    .select('subscriber_code as key')
    .where('org_code', '=', orgCode)
    .where('absent_since', 'is', null)
    .orderBy('synced_through', 'desc')
    .orderBy('subscriber_code')
    .limit(limit)
    .execute();
  return rows.map(({ key }) => key);
}
