import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  clip,
  type Interval,
  type IntervalSet,
  normalise,
  span,
  subtract,
  union,
} from '../../src/core/interval.ts';

const LAST = 24;
const interval = fc
  .tuple(fc.integer({ min: 0, max: LAST }), fc.integer({ min: 0, max: LAST }))
  .map(([from, to]): Interval => ({ from, to }));
const intervals = fc.array(interval, { maxLength: 7 });
const set = intervals.map(normalise);

/** The model: a set of instants, each on its own. */
const instants = (set: readonly Interval[]): number[] =>
  Array.from({ length: LAST }, (_, at) => at).filter((at) =>
    set.some(({ from, to }) => from <= at && at < to),
  );

/** Sorted, disjoint, non-touching, none empty. */
function expectProper(set: IntervalSet): void {
  for (const [index, { from, to }] of set.entries()) {
    expect(from).toBeLessThan(to);
    if (index > 0) expect(set[index - 1]!.to).toBeLessThan(from);
  }
}

describe('a set of intervals', () => {
  it('is normalised without losing or adding an instant', () => {
    fc.assert(
      fc.property(intervals, (some) => {
        const normal = normalise(some);
        expectProper(normal);
        expect(instants(normal)).toEqual(instants(some));
        expect(normalise(normal)).toEqual(normal);
      }),
    );
  });

  it('leaves its input as it was', () => {
    const some = Object.freeze([
      { from: 5, to: 6 },
      { from: 1, to: 5 },
    ]);
    expect(normalise(some)).toEqual([{ from: 1, to: 6 }]);
    expect(some[0]).toEqual({ from: 5, to: 6 });
  });

  it('unites as sets of instants do', () => {
    fc.assert(
      fc.property(set, set, (a, b) => {
        const both = union(a, b);
        expectProper(both);
        expect(instants(both)).toEqual(
          [...new Set([...instants(a), ...instants(b)])].sort((x, y) => x - y),
        );
      }),
    );
  });

  it('subtracts as sets of instants do', () => {
    fc.assert(
      fc.property(set, set, (a, b) => {
        const left = subtract(a, b);
        expectProper(left);
        const gone = new Set(instants(b));
        expect(instants(left)).toEqual(instants(a).filter((at) => !gone.has(at)));
      }),
    );
  });

  it('clips as sets of instants do, to nothing by an empty or reversed interval', () => {
    fc.assert(
      fc.property(set, interval, (a, within) => {
        const left = clip(a, within);
        expectProper(left);
        expect(instants(left)).toEqual(
          instants(a).filter((at) => within.from <= at && at < within.to),
        );
      }),
    );
  });

  it('has the length of its instants', () => {
    fc.assert(
      fc.property(set, (a) => {
        expect(span(a)).toBe(instants(a).length);
      }),
    );
  });

  it('joins touching intervals and drops empty ones', () => {
    expect(
      normalise([
        { from: 3, to: 5 },
        { from: 1, to: 3 },
        { from: 9, to: 9 },
        { from: 8, to: 7 },
      ]),
    ).toEqual([{ from: 1, to: 5 }]);
  });
});

describe('"since ever"', () => {
  const ever: IntervalSet = [{ from: -Infinity, to: 10 }];

  it('swallows everything before its end', () => {
    expect(union(ever, [{ from: 3, to: 12 }])).toEqual([{ from: -Infinity, to: 12 }]);
    expect(normalise([...ever, { from: -Infinity, to: 4 }])).toEqual(ever);
  });

  it('leaves nothing before its end', () => {
    expect(subtract([{ from: 0, to: 15 }], ever)).toEqual([{ from: 10, to: 15 }]);
    expect(subtract(ever, [{ from: 2, to: 4 }])).toEqual([
      { from: -Infinity, to: 2 },
      { from: 4, to: 10 },
    ]);
  });

  it('clips on either side', () => {
    expect(clip(ever, { from: 4, to: Infinity })).toEqual([{ from: 4, to: 10 }]);
    expect(clip(ever, { from: -Infinity, to: 4 })).toEqual([{ from: -Infinity, to: 4 }]);
    expect(span(ever)).toBe(Infinity);
  });
});
