import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chinaMidnight, DAY, HOUR, MINUTE, SECOND } from '../../src/core/china-time.ts';
import { DATASET_NAMES, type DatasetName } from '../../src/core/dataset.ts';
import { splitWindow } from '../../src/core/window.ts';
import { CATALOGUE, DATASETS } from '../../src/datasets/catalogue.ts';
import type { Bounds, Reading, Row } from '../../src/simulator/history.ts';
import { createWorld, type World, type WorldOptions } from '../../src/simulator/world.ts';
import { cpuTime } from '../support/cpu-time.ts';

const BORN = chinaMidnight(2026, 9, 1);
const UNTIL = BORN + 10 * DAY;
const ORG = 'WJ0105';

function world(options: Partial<WorldOptions> = {}): World {
  return createWorld({
    seed: 7,
    orgs: [{ code: ORG, name: '吴江' }],
    bornAt: BORN,
    until: UNTIL,
    subscribersPerOrg: 30,
    changesPerDay: 40,
    ...options,
  });
}

/** Everything that can be told about a world at a time: rows, and all changes in their order. */
function snapshot(of: World, now: number): string {
  const whole = { from: BORN, to: now };
  const feeds = of.orgs.flatMap(({ code }) =>
    DATASET_NAMES.map((name) => [
      [...of.rows(name, code, now)],
      of.changes(name, code, whole, { reading: 'then', now }),
    ]),
  );
  return JSON.stringify(feeds);
}

/** What a copy holds that loads the given windows one after the other. */
function copied(
  of: World,
  dataset: DatasetName,
  windows: readonly { from: number; to: number }[],
  reading: Reading,
  bounds: Bounds,
): Map<string, Row> {
  const copy = new Map<string, Row>();
  for (const window of windows) {
    for (const row of of.changes(dataset, ORG, window, { reading, bounds, now: UNTIL })) {
      copy.set(row[CATALOGUE[dataset].key] as string, row);
    }
  }
  return copy;
}

function sorted(rows: Map<string, Row>): [string, Row][] {
  return [...rows].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** A supply point as the tests put it; only its place matters. */
function point(place: string): Row {
  return { supply_point_code: '1', address_detail: place };
}

function places(rows: Iterable<Row>): (string | null | undefined)[] {
  return [...rows].map((row) => row.address_detail);
}

describe('a world', () => {
  it('is the same for the same seed, and another for another', () => {
    expect(snapshot(world(), UNTIL)).toBe(snapshot(world(), UNTIL));
    expect(snapshot(world({ seed: 8 }), UNTIL)).not.toBe(snapshot(world(), UNTIL));
  });

  it('gives an organisation the same data whichever others there are', () => {
    const alone = world();
    const among = world({ orgs: ['NJ0101', ORG].map((code) => ({ code, name: code })) });
    expect([...among.rows('meters', ORG, UNTIL)]).toEqual([...alone.rows('meters', ORG, UNTIL)]);
  });

  it('evolves to the same history in one step as in many', () => {
    const later = UNTIL + 3 * DAY;
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 3 * DAY }), { maxLength: 8 }), (steps) => {
        const inSteps = world();
        for (const step of steps.sort((a, b) => a - b)) inSteps.evolve(UNTIL + step);
        inSteps.evolve(later);
        const atOnce = world();
        atOnce.evolve(later);
        expect(snapshot(inSteps, later)).toBe(snapshot(atOnce, later));
      }),
      { numRuns: 15 },
    );
  });

  it('makes the same random changes after the same calls, of every kind', () => {
    const [one, other] = [world(), world()];
    const changes = one.change(600, UNTIL + HOUR);
    expect(other.change(600, UNTIL + HOUR)).toEqual(changes);
    expect(changes).toHaveLength(600);
    expect(new Set(changes.map(({ kind }) => kind))).toEqual(
      new Set(['created', 'edited', 'reverted', 'removed']),
    );
    expect(new Set(changes.map(({ dataset }) => dataset))).toEqual(new Set(DATASET_NAMES));
    for (const { dataset, orgCode, key, at } of changes) {
      expect(one.row(dataset, orgCode, key, at)).toEqual(other.row(dataset, orgCode, key, at));
    }
  });

  it('lies on whole seconds in [bornAt, until)', () => {
    const of = world();
    for (const name of DATASET_NAMES) {
      const all = of.rows(name, ORG, UNTIL).size;
      expect(of.rows(name, ORG, BORN - 1).size).toBe(0);
      expect(of.rows(name, ORG, UNTIL - SECOND).size).toBe(all);
      // Between two seconds there is nothing, wherever one looks.
      for (let hour = 0; hour < 240; hour += 1) {
        const from = BORN + hour * HOUR + 1;
        const between = { from, to: from + 998 };
        expect(of.changes(name, ORG, between, { reading: 'then', now: UNTIL })).toEqual([]);
      }
    }
  });

  it('holds rows as the document has them: columns, code lists, lengths, keys', () => {
    const of = world({ subscribersPerOrg: 200, changesPerDay: 200 });
    for (const { name, columns, key } of DATASETS) {
      for (const [code, row] of of.rows(name, ORG, UNTIL)) {
        expect(row[key]).toBe(code);
        expect(Object.keys(row).sort()).toEqual(columns.map((column) => column.name).sort());
        for (const column of columns) {
          const value = row[column.name] ?? null;
          if (value === null) {
            expect(column.required, `${name}.${column.name}`).toBe(false);
          } else {
            expect([...value].length).toBeLessThanOrEqual(column.maxLength);
            if (column.codes) expect(Object.keys(column.codes)).toContain(value);
          }
        }
      }
    }
  });

  it('refers from meters to subscribers and from both to real addresses', () => {
    const of = world();
    const addresses = of.rows('addresses', ORG, UNTIL);
    const subscribers = of.rows('subscribers', ORG, UNTIL);
    expect(addresses.get('320509')?.full_address).toBe('江苏省苏州市吴江区');
    for (const row of addresses.values()) {
      const parent = row.parent_address_code;
      if (row.address_type !== 'P') expect(addresses.has(parent ?? '')).toBe(true);
    }
    for (const row of subscribers.values()) {
      expect(addresses.get(row.address_code ?? '')?.address_type).toBe('B');
      expect(row.mobile ?? '12000000000').toMatch(/^12\d{9}$/);
    }
    for (const row of of.rows('meters', ORG, UNTIL).values()) {
      expect(subscribers.has(row.subscriber_code ?? '')).toBe(true);
    }
    expect(subscribers.size).toBeGreaterThanOrEqual(30);
  });

  it('gives an organisation that the excerpt does not know a whole subtree under its own code', () => {
    const of = world({ orgs: [{ code: 'ZZ9999', name: 'elsewhere' }], subscribersPerOrg: 0 });
    const addresses = of.rows('addresses', 'ZZ9999', UNTIL);
    const types = new Set([...addresses.values()].map((row) => row.address_type));
    expect([...types].sort()).toEqual(expect.arrayContaining(['C', 'D', 'G', 'P']));
    for (const row of addresses.values()) {
      expect(row.org_code).toBe('ZZ9999');
      if (row.address_type !== 'P') {
        expect(addresses.has(row.parent_address_code ?? '')).toBe(true);
      }
    }
  });

  it('knows every state that a row ever had, in order, those not yet seen included', () => {
    const one = world();
    one.put('supply_points', ORG, point('first'), BORN);
    one.put('supply_points', ORG, point('third'), BORN + 2 * DAY, UNTIL + DAY);
    one.put('supply_points', ORG, point('second'), BORN + DAY);
    const versions = one.versions('supply_points', ORG, '1');
    expect(places(versions.map(({ row }) => row))).toEqual(['first', 'second', 'third']);
    expect(one.versions('supply_points', ORG, 'none')).toEqual([]);
  });

  it('refuses an unknown organisation, column, key or a value that no table can carry', () => {
    const of = world();
    expect(() => of.rows('meters', 'NOBODY', UNTIL)).toThrow(RangeError);
    expect(() => of.put('meters', ORG, { meter_code: '1', colour: 'red' }, UNTIL)).toThrow(
      /colour/,
    );
    expect(() => of.put('meters', ORG, { location: 'here' }, UNTIL)).toThrow(/meter_code/);
    expect(() => of.put('meters', ORG, { meter_code: '1|2' }, UNTIL)).toThrow(RangeError);
    expect(() => of.put('meters', ORG, { meter_code: '1' }, UNTIL, UNTIL - 1)).toThrow(RangeError);
    expect(() => world({ until: BORN })).toThrow(RangeError);
  });
});

describe('windows of a world', () => {
  it('add up to its state, however they are cut, in either reading and with either bounds', () => {
    const of = world({ changesPerDay: 120 });
    fc.assert(
      fc.property(
        fc.constantFrom(...DATASET_NAMES),
        fc.constantFrom<Reading>('then', 'now'),
        fc.constantFrom<Bounds>('inclusive', 'half-open'),
        fc.integer({ min: 600, max: 86_400 * 3 }),
        (dataset, reading, bounds, seconds) => {
          const windows = splitWindow({ from: BORN, to: UNTIL }, seconds * SECOND);
          const copy = copied(of, dataset, windows, reading, bounds);
          expect(sorted(copy)).toEqual(sorted(of.rows(dataset, ORG, UNTIL)));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('may come in any order when they give rows as they are now', () => {
    const of = world({ changesPerDay: 120 });
    const windows = splitWindow({ from: BORN, to: UNTIL }, 7 * HOUR);
    fc.assert(
      fc.property(fc.shuffledSubarray(windows, { minLength: windows.length }), (shuffled) => {
        const copy = copied(of, 'subscribers', shuffled, 'now', 'half-open');
        expect(sorted(copy)).toEqual(sorted(of.rows('subscribers', ORG, UNTIL)));
      }),
      { numRuns: 20 },
    );
  });

  it('differ between the readings: as it was at the end of the window, or as it is now', () => {
    const of = world();
    for (const [hour, place] of ['A', 'B', 'A'].entries()) {
      of.put('supply_points', ORG, point(place), UNTIL + hour * HOUR);
    }
    const second = { from: UNTIL + HOUR, to: UNTIL + HOUR };
    const now = UNTIL + DAY;
    expect(places(of.changes('supply_points', ORG, second, { reading: 'then', now }))).toEqual([
      'B',
    ]);
    expect(places(of.changes('supply_points', ORG, second, { reading: 'now', now }))).toEqual([
      'A',
    ]);
    expect(of.row('supply_points', ORG, '1', UNTIL + HOUR)?.address_detail).toBe('B');
  });

  it('hold rows as they are now even while the clock is set back, of keys that changed before', () => {
    const of = world({ subscribersPerOrg: 0, changesPerDay: 0 });
    of.put('supply_points', ORG, point('before'), UNTIL - 5 * MINUTE);
    of.put('supply_points', ORG, point('after'), UNTIL + 5 * MINUTE);
    of.put('supply_points', ORG, { ...point('new'), supply_point_code: '2' }, UNTIL + 5 * MINUTE);
    const window = { from: UNTIL - HOUR, to: UNTIL + HOUR };
    const ask = (reading: Reading) =>
      places(
        of.changes('supply_points', ORG, window, {
          reading,
          now: UNTIL,
          present: UNTIL + 10 * MINUTE,
        }),
      );
    expect(ask('now')).toEqual(['after']);
    expect(ask('then')).toEqual(['before']);
  });

  it('hold the changes of both their edges, or only of the first if they are half-open', () => {
    const of = world({ subscribersPerOrg: 0, changesPerDay: 0 });
    const [from, to] = [BORN + HOUR, BORN + 2 * HOUR];
    for (const [index, at] of [from - SECOND, from, to - SECOND, to, to + SECOND].entries()) {
      const row = { supply_point_code: String(index), address_detail: String(index) };
      of.put('supply_points', ORG, row, at);
    }
    const ask = (bounds: Bounds) =>
      places(
        of.changes('supply_points', ORG, { from, to }, { reading: 'then', bounds, now: UNTIL }),
      );
    expect(ask('inclusive')).toEqual(['1', '2', '3']);
    expect(ask('half-open')).toEqual(['1', '2']);
  });

  it('take the change recorded later for the newer where two share a second', () => {
    const of = world();
    of.put('supply_points', ORG, point('first'), UNTIL);
    of.put('supply_points', ORG, point('second'), UNTIL + 999);
    const window = { from: UNTIL, to: UNTIL };
    const rows = of.changes('supply_points', ORG, window, { reading: 'then', now: UNTIL });
    expect(places(rows)).toEqual(['second']);
  });

  it('hide a late change until it can be seen, then hold it at its own time', () => {
    const of = world();
    const visibleAt = UNTIL + 90 * SECOND;
    of.put('supply_points', ORG, point('on time'), UNTIL);
    of.put('supply_points', ORG, point('late'), UNTIL + SECOND, visibleAt);
    const window = { from: UNTIL, to: UNTIL + SECOND };
    const ask = (now: number) =>
      places(of.changes('supply_points', ORG, window, { reading: 'then', now }));
    expect(ask(visibleAt - 1)).toEqual(['on time']);
    expect(ask(visibleAt)).toEqual(['late']);
    expect(of.row('supply_points', ORG, '1', visibleAt - 1)?.address_detail).toBe('on time');
    expect(of.rows('supply_points', ORG, visibleAt).get('1')?.address_detail).toBe('late');
  });

  it('let a late change yield to a newer one that was seen before it', () => {
    const of = world();
    of.put('supply_points', ORG, point('newer'), UNTIL + 5 * SECOND);
    of.put('supply_points', ORG, point('late'), UNTIL, UNTIL + MINUTE);
    expect(of.row('supply_points', ORG, '1', UNTIL + HOUR)?.address_detail).toBe('newer');
  });

  it('give nothing of a time to come, and list their lines by time, then by key', () => {
    const of = world({ subscribersPerOrg: 0, changesPerDay: 0 });
    const at = BORN + HOUR;
    for (const [code, when] of [
      ['b', at],
      ['a', at],
      ['z', at - SECOND],
      ['y', at + DAY],
    ] as const) {
      of.put('supply_points', ORG, { supply_point_code: code }, when);
    }
    const window = { from: BORN, to: UNTIL };
    const rows = of.changes('supply_points', ORG, window, { reading: 'then', now: at + HOUR });
    expect(rows.map((row) => row.supply_point_code)).toEqual(['z', 'a', 'b']);
  });

  it('are found without reading through the whole history', async () => {
    const of = world({ subscribersPerOrg: 20_000, changesPerDay: 0 });
    const cost = await cpuTime(() => {
      for (let index = 0; index < 20_000; index += 1) {
        const from = BORN + 2 * DAY + index * SECOND;
        of.changes('meters', ORG, { from, to: from + SECOND }, { reading: 'now', now: UNTIL });
      }
    });
    // A scan of 20,000 changes 20,000 times over takes many times as long.
    expect(cost).toBeLessThan(1_500);
  });
});
