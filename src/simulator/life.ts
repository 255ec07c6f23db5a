import { DAY, floorSecond, MINUTE, SECOND } from '../core/china-time.ts';
import type { DatasetName } from '../core/dataset.ts';
import { addressesOf } from './excerpt.ts';
import type { History, Row } from './history.ts';
import { integer, type Random, seededRandom, seedOf } from './random.ts';
import { createStock, type WorldChange } from './stock.ts';

/** How one organisation comes about; times in whole seconds, in milliseconds since the epoch. */
export interface LifeOptions {
  readonly seed: number;
  readonly orgCode: string;
  readonly bornAt: number;
  readonly until: number;
  readonly subscribers: number;
  /** Average number of changes a day, over all four datasets. */
  readonly changesPerDay: number;
}

/** One organisation's data in simulated time. */
export interface Life {
  readonly histories: Readonly<Record<DatasetName, History>>;
  /** Carries the history on up to `until`, itself not included (milliseconds). */
  advance(until: number): void;
  /** Makes one random change at `at` (milliseconds), drawn from `random`. */
  change(random: Random, at: number): WorldChange;
}

/** Subscribers that share a building. */
const PER_BUILDING = 12;

/** An organisation as of its birth: nothing has happened yet, `advance` makes it happen. */
export function createLife(options: LifeOptions): Life {
  const { orgCode, bornAt, until } = options;
  const random = seededRandom(options.seed ^ seedOf(orgCode));
  const excerpt = addressesOf(orgCode);
  const stock = createStock(excerpt, orgCode);
  // Streets and villages first, in the first tenth of the time; households all through the rest.
  const settled = bornAt + (until - bornAt) / 10;
  const addressTimes = sortedTimes(random, excerpt.length, bornAt, settled);
  const householdTimes = sortedTimes(random, options.subscribers, settled, until);
  const meanGap = DAY / options.changesPerDay;
  let [addressesDone, householdsDone] = [0, 0];
  let nextChange = bornAt + gap(random, meanGap);

  function household(at: number): void {
    const later = () => Math.min(at + integer(random, 0, MINUTE / SECOND) * SECOND, until - SECOND);
    if (householdsDone % PER_BUILDING === 0) stock.create('addresses', random, at);
    stock.create('supply_points', random, later());
    stock.create('subscribers', random, later());
    stock.create('meters', random, later());
    householdsDone += 1;
  }

  return {
    histories: stock.histories,
    advance(end) {
      for (;;) {
        const address = addressTimes[addressesDone] ?? Number.POSITIVE_INFINITY;
        const home = householdTimes[householdsDone] ?? Number.POSITIVE_INFINITY;
        const change = floorSecond(nextChange);
        const next = Math.min(address, home, change);
        if (next >= end || next === Number.POSITIVE_INFINITY) return;
        if (next === address) {
          stock.record('addresses', excerpt[addressesDone] as Row, next);
          addressesDone += 1;
        } else if (next === home) {
          household(next);
        } else {
          stock.change(random, next);
          nextChange += gap(random, meanGap);
        }
      }
    },
    change: stock.change,
  };
}

/** `count` whole seconds in `[from, to)`, sorted, in milliseconds. */
function sortedTimes(random: Random, count: number, from: number, to: number): Float64Array {
  const times = Float64Array.from({ length: count }, () =>
    floorSecond(from + random() * (to - from)),
  );
  return times.sort();
}

/** A random time until the next change, in milliseconds, around `mean`; endless if nothing changes. */
function gap(random: Random, mean: number): number {
  return -Math.log(1 - random()) * mean;
}
