import type { Interval } from '../core/interval.ts';

/** One row: column name to value, null where the platform has none. */
export type Row = Readonly<Record<string, string | null>>;

/** One change of one row: its whole new state. */
export interface Change {
  readonly key: string;
  readonly row: Row;
  /** When it happened by the source's time: a whole second, in milliseconds since the epoch. */
  readonly at: number;
  /** From when on it can be seen: `at`, or later where the source is late. */
  readonly visibleAt: number;
}

/** What an old window gives: rows as they were at its end, or as they are by now (P7). */
export type Reading = 'then' | 'now';

/** Whether a change at the window's very ends belongs to it: at both, at the beginning alone, at none (P7). */
export type Bounds = 'inclusive' | 'half-open' | 'exclusive';

/** How a window is to be answered. */
export interface WindowOptions {
  readonly reading: Reading;
  /** The platform's clock, in milliseconds since the epoch; changes that it stamps later are in no window. */
  readonly now: number;
  /**
   * The true time, in milliseconds, of which rows "as they are by now" are: a clock that is set back
   * hides changes from windows, but no row forgets its state. Default `now`.
   */
  readonly present?: number;
  /** Default `inclusive`: a change at either end is in the window. */
  readonly bounds?: Bounds;
}

/** All changes that one feed ever saw, in the order of their time. */
export interface History {
  /** Number of keys. */
  readonly size: number;
  /** The key that was recorded as the `index`th; undefined past the end. */
  keyAt(index: number): string | undefined;
  /** Records a change; of two changes of a key in the same second, the one recorded later is newer. */
  add(change: Change): void;
  /** A key's changes up to `at` that can be seen at `now`, oldest first (milliseconds). */
  versions(key: string, at: number, now: number): Change[];
  /** A key's state as of `at`, as seen at `now` (milliseconds); undefined before its first change. */
  state(key: string, at: number, now: number): Row | undefined;
  /** Every row's newest state that can be seen at `now` (milliseconds), by key. */
  rows(now: number): Map<string, Row>;
  /** One row for each key that changed in the window, by the time of its last change there, then by key. */
  window(interval: Interval, options: WindowOptions): Row[];
}

/** An empty history. */
export function createHistory(): History {
  const changes: Change[] = [];
  const byKey = new Map<string, Change[]>();
  const keys: string[] = [];

  function state(key: string, at: number, now: number): Row | undefined {
    const found = byKey.get(key)?.findLast((change) => change.at <= at && change.visibleAt <= now);
    return found?.row;
  }

  return {
    get size() {
      return keys.length;
    },
    keyAt: (index) => keys[index],
    add(change) {
      insert(changes, change);
      const own = byKey.get(change.key);
      if (own) {
        insert(own, change);
      } else {
        byKey.set(change.key, [change]);
        keys.push(change.key);
      }
    },
    versions: (key, at, now) =>
      (byKey.get(key) ?? []).filter((change) => change.at <= at && change.visibleAt <= now),
    state,
    rows(now) {
      const found = keys.map((key) => [key, state(key, now, now)] as const);
      return new Map(found.filter((entry): entry is readonly [string, Row] => !!entry[1]));
    },
    window({ from, to }, { reading, now, present = now, bounds = 'inclusive' }) {
      // Changes lie on whole seconds: one millisecond less leaves out those at the very end.
      const last = Math.min(bounds === 'inclusive' ? to : to - 1, now);
      const first = bounds === 'exclusive' ? from + 1 : from;
      const newest = newestPerKey(changes, { from: first, to: last }, now);
      if (reading === 'then') return newest.map(({ row }) => row);
      return newest.map(({ key, row }) => state(key, present, present) ?? row);
    },
  };
}

/** The last visible change of every key in `[from, to]`, by time, then by key. */
function newestPerKey(changes: readonly Change[], { from, to }: Interval, now: number): Change[] {
  const seen = new Set<string>();
  const newest: Change[] = [];
  const start = firstAfter(changes, from - 1);
  for (let index = firstAfter(changes, to) - 1; index >= start; index -= 1) {
    const change = changes[index] as Change;
    if (change.visibleAt > now || seen.has(change.key)) continue;
    seen.add(change.key);
    newest.push(change);
  }
  return newest.sort((a, b) => a.at - b.at || (a.key < b.key ? -1 : 1));
}

/** Index of the first change later than `at`, by binary search. */
function firstAfter(changes: readonly Change[], at: number): number {
  let low = 0;
  let high = changes.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((changes[middle] as Change).at <= at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Puts a change behind all that are not later; at the end, where it nearly always belongs, at no cost. */
function insert(changes: Change[], change: Change): void {
  const last = changes.at(-1);
  if (!last || last.at <= change.at) changes.push(change);
  else changes.splice(firstAfter(changes, change.at), 0, change);
}
