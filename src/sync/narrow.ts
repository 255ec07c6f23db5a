import { halve } from '../core/audit.ts';
import type { Interval } from '../core/interval.ts';

/** How far source time is narrowed down. */
export interface NarrowOptions {
  /** The shortest interval that is told apart, in milliseconds. */
  readonly precision: number;
  /** How many intervals may be asked for. */
  readonly requests: number;
}

/**
 * Finds out when rows last changed within an interval, by asking for ever later halves of it; they are
 * in the earlier half if they are not in the later one.
 *
 * @param has tells which of these keys the source has for an interval; null if it can not be told
 */
export async function narrowDown(
  whole: Interval,
  keys: readonly string[],
  { precision, requests }: NarrowOptions,
  has: (interval: Interval, keys: readonly string[]) => Promise<ReadonlySet<string> | null>,
): Promise<ReadonlyMap<string, Interval>> {
  const found = new Map<string, Interval>();
  let left = requests;
  const look = async (interval: Interval, sought: readonly string[]): Promise<void> => {
    if (sought.length === 0) return;
    const halves = left > 0 ? halve(interval, precision) : null;
    left -= 1;
    const there = halves && (await has(halves[1], sought));
    if (!there) {
      for (const key of sought) found.set(key, interval);
      return;
    }
    const [earlier, later] = halves;
    await look(
      later,
      sought.filter((key) => there.has(key)),
    );
    await look(
      earlier,
      sought.filter((key) => !there.has(key)),
    );
  };
  await look(whole, keys);
  return found;
}
