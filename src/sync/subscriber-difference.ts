import { chinaDate, chinaMidnight, floorSecond, SECOND } from '../core/china-time.ts';
import type { Finding } from '../core/finding.ts';
import { differingColumns } from '../core/masked.ts';
import { reach } from '../core/window.ts';
import type { SampleStore, StoredSubscriber, ToldSubscriber } from './ports.ts';

/**
 * The stored rows of subscribers that the platform tells of: of one that is not here under the organisation
 * that was asked for, the row under the one that it names.
 */
export async function storedOf(
  samples: Pick<SampleStore, 'stored'>,
  orgCode: string,
  told: readonly ToldSubscriber[],
): Promise<ReadonlyMap<string, StoredSubscriber>> {
  const stored = new Map<string, StoredSubscriber>();
  for (const org of new Set([orgCode, ...told.flatMap((one) => one.org_code ?? [])])) {
    const wanted = told.filter(
      (one) => !stored.has(one.subscriber_code) && (org === orgCode || one.org_code === org),
    );
    const keys = wanted.map((one) => one.subscriber_code);
    for (const [key, row] of await samples.stored(org, keys)) stored.set(key, row);
  }
  return stored;
}

/**
 * How a subscriber differs from the stored one, and since when it may; null if it does not.
 *
 * The change came after the window that delivered the row last, or late within it: on that day or since.
 */
export function difference(
  told: ToldSubscriber,
  stored: StoredSubscriber | undefined,
  now: number,
): Finding | null {
  const rowKey = told.subscriber_code;
  const to = floorSecond(now);
  if (!stored) return { kind: 'missing', rowKey, columns: null, during: { from: reach(now), to } };
  const { display_address: _, ...shown } = told;
  const columns = [
    ...differingColumns(shown, stored.values),
    ...(stored.isAbsent ? ['absent_since'] : []),
  ];
  if (columns.length === 0) return null;
  const { year, month, day } = chinaDate(stored.syncedThrough);
  const from = Math.min(chinaMidnight(year, month, day), to - SECOND);
  return { kind: 'changed', rowKey, columns, during: { from, to } };
}
