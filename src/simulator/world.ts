import { floorSecond } from '../core/china-time.ts';
import type { DatasetName } from '../core/dataset.ts';
import type { Interval } from '../core/interval.ts';
import { CATALOGUE } from '../datasets/catalogue.ts';
import type { Change, Row, WindowOptions } from './history.ts';
import { createLife, type Life } from './life.ts';
import { pick, seededRandom } from './random.ts';
import type { WorldChange } from './stock.ts';

/** An organisation of a world. */
export interface WorldOrg {
  readonly code: string;
  readonly name: string;
}

/** How a world comes about. Times are milliseconds since the epoch, cut down to whole seconds. */
export interface WorldOptions {
  /** The same seed and the same calls give the same world. */
  readonly seed: number;
  readonly orgs: readonly WorldOrg[];
  /** Nothing changed before. */
  readonly bornAt: number;
  /** The history is made up to here, itself not included. */
  readonly until: number;
  /** Subscribers that move in by `until`, with a supply point and a meter each. */
  readonly subscribersPerOrg: number;
  /** Average number of changes per organisation and day, over all four datasets; 0 for none. */
  readonly changesPerDay: number;
}

/** The data behind the simulator, with its whole history. */
export interface World {
  readonly orgs: readonly WorldOrg[];
  /** Carries the history on up to `until`, itself not included (milliseconds): in one step or in many, alike. */
  evolve(until: number): void;
  /** Makes `count` random changes at `at` (milliseconds, cut to the second) and tells which. */
  change(count: number, at: number): WorldChange[];
  /**
   * Records one explicit change: columns that are not given are null, `org_code` is the feed's own
   * unless given. It carries the time `at` (milliseconds, cut to the second) and is seen from
   * `visibleAt` on.
   *
   * @throws RangeError for an unknown org or column, a missing key, a value that a table can not
   *   carry (P6: nothing escapes `|` and line ends), or a `visibleAt` before `at`
   */
  put(dataset: DatasetName, orgCode: string, row: Row, at: number, visibleAt?: number): void;
  /** One row as it can be seen at `now` (milliseconds); undefined if there is none. */
  row(dataset: DatasetName, orgCode: string, key: string, now: number): Row | undefined;
  /**
   * Every state that a row ever had, oldest first, visible or not; nothing for an unknown key.
   *
   * @throws RangeError for an unknown org
   */
  versions(dataset: DatasetName, orgCode: string, key: string): readonly Change[];
  /**
   * All rows of a feed as they can be seen at `now` (milliseconds), by key: what a copy must equal.
   *
   * @throws RangeError for an unknown org
   */
  rows(dataset: DatasetName, orgCode: string, now: number): Map<string, Row>;
  /**
   * The rows that a download of a window gives, a row per key, by time, then by key (P7).
   *
   * @throws RangeError for an unknown org
   */
  changes(dataset: DatasetName, orgCode: string, window: Interval, options: WindowOptions): Row[];
}

/**
 * Makes a world with its history in `[bornAt, until)`, the same for the same options.
 *
 * @throws RangeError if `until` is not after `bornAt` or there are no organisations
 */
export function createWorld(options: WorldOptions): World {
  const [bornAt, until] = [floorSecond(options.bornAt), floorSecond(options.until)];
  if (!(until > bornAt)) throw new RangeError('the world ends before it begins');
  if (options.orgs.length === 0) throw new RangeError('a world needs an organisation');
  const { seed, orgs, subscribersPerOrg: subscribers, changesPerDay } = options;
  const lives = new Map<string, Life>();
  for (const { code: orgCode } of orgs) {
    lives.set(orgCode, createLife({ seed, orgCode, bornAt, until, subscribers, changesPerDay }));
  }
  // Changes on demand draw from numbers of their own: they leave the course of history as it was.
  const random = seededRandom(~seed);

  function life(orgCode: string): Life {
    const found = lives.get(orgCode);
    if (!found) throw new RangeError(`the world has no organisation ${orgCode}`);
    return found;
  }

  function evolve(end: number): void {
    for (const each of lives.values()) each.advance(end);
  }

  evolve(until);
  return {
    orgs,
    evolve,
    change(count, at) {
      return Array.from({ length: count }, () =>
        life(pick(random, orgs).code).change(random, floorSecond(at)),
      );
    },
    put: (dataset, orgCode, row, at, visibleAt) =>
      life(orgCode).histories[dataset].add(
        explicitChange(dataset, { org_code: orgCode, ...row }, floorSecond(at), visibleAt),
      ),
    row: (dataset, orgCode, key, now) => life(orgCode).histories[dataset].state(key, now, now),
    versions: (dataset, orgCode, key) =>
      life(orgCode).histories[dataset].versions(
        key,
        Number.POSITIVE_INFINITY,
        Number.POSITIVE_INFINITY,
      ),
    rows: (dataset, orgCode, now) => life(orgCode).histories[dataset].rows(now),
    changes: (dataset, orgCode, window, how) =>
      life(orgCode).histories[dataset].window(window, how),
  };
}

/** A change made of a row as given, all its columns filled in, the empty text being null (P6). */
function explicitChange(dataset: DatasetName, row: Row, at: number, visibleAt = at): Change {
  if (visibleAt < at) throw new RangeError('a change is seen before it happened');
  const { key: keyColumn, columns } = CATALOGUE[dataset];
  for (const [column, value] of Object.entries(row)) {
    if (!columns.some(({ name }) => name === column)) {
      throw new RangeError(`${dataset} has no column ${column}`);
    }
    if (/[|\r\n]/.test(value ?? '')) {
      throw new RangeError(`column ${column} has a value that no table can carry`);
    }
  }
  const full = Object.fromEntries(columns.map(({ name }) => [name, row[name] || null]));
  const key = full[keyColumn];
  if (!key) throw new RangeError(`the row has no ${keyColumn}`);
  return { key, row: full, at, visibleAt };
}
