import { MINUTE, SECOND } from '../../src/core/china-time.ts';
import { DATASET_NAMES, type DatasetName } from '../../src/core/dataset.ts';
import type { Match } from '../../src/simulator/fault-plan.ts';
import type { Fault } from '../../src/simulator/faults.ts';
import { integer, pick, type Random, seededRandom, seedOf } from '../../src/simulator/random.ts';

/** How many processes of the service there are. */
export const PROCESSES = 3;

/** The organisations of the source. */
export const ORGS = Array.from(
  { length: 10 },
  (_, index) => `TT01${String(index).padStart(2, '0')}`,
);

/** What the torture does at a time; durations in milliseconds. */
export type Deed =
  | { readonly kind: 'kill' | 'terminate'; readonly process: number; readonly downFor: number }
  | { readonly kind: 'stop'; readonly process: number; readonly lasts: number }
  | { readonly kind: 'restart Postgres'; readonly how: 'fast' | 'immediate' }
  | { readonly kind: 'lose Redis' }
  | {
      readonly kind: 'proxy';
      readonly before: 'Postgres' | 'Redis';
      readonly processes: readonly number[];
      readonly how: 'cut' | 'black hole' | 'refuse' | 'slow';
      readonly lasts: number;
    }
  | {
      readonly kind: 'platform';
      readonly match: Match;
      readonly fault: Fault;
      readonly lasts: number;
    }
  | { readonly kind: 'token death' }
  | {
      readonly kind: 'resync';
      readonly orgCode: string;
      readonly dataset: DatasetName;
      /** How long ago the window ends. */
      readonly age: number;
      readonly length: number;
      readonly by: 'command' | 'use case';
    };

/** A deed and when it is done, in milliseconds after the torture began. */
export type Event = Deed & { readonly at: number };

/** What a schedule is drawn from. */
export interface ScheduleOptions {
  readonly seed: number;
  /** How long the torture lasts, in milliseconds. */
  readonly lasts: number;
  readonly queue: 'redis' | 'postgres';
}

/** The longest stop: twice as long as a silent holder of a feed is waited for. */
const LONGEST_STOP = 2 * MINUTE;

interface Kind {
  readonly every: number;
  /** How many there are even in a short torture; default one. */
  readonly least?: number;
  readonly draw: (random: Random) => Deed;
}

/** How often each kind of deed is done, in milliseconds between two on average, and how it is drawn. */
function kinds({ lasts, queue }: ScheduleOptions) {
  const process = (random: Random) => integer(random, 0, PROCESSES);
  /** Mostly short, now and then as long as `longest`; in a short torture no longer than a third of it. */
  const time = (random: Random, longest: number) =>
    Math.round(200 + random() ** 2 * Math.min(longest, lasts / 3));
  const proxy =
    (before: 'Postgres' | 'Redis') =>
    (random: Random): Deed => ({
      kind: 'proxy',
      before,
      // One process alone is cut off, or the server from all.
      processes: random() < 0.7 ? [process(random)] : [0, 1, 2],
      how: pick(random, ['cut', 'cut', 'black hole', 'refuse', 'slow']),
      lasts: time(random, random() < 0.15 ? 75 * SECOND : 12 * SECOND),
    });
  const down =
    (kind: 'kill' | 'terminate') =>
    (random: Random): Deed => ({
      kind,
      process: process(random),
      downFor: time(random, 15 * SECOND),
    });
  const platform = (every: number, fault: (random: Random) => PlatformFault) => ({
    every,
    draw: (random: Random): Deed => ({
      kind: 'platform',
      ...fault(random),
      lasts: time(random, 15 * SECOND),
    }),
  });
  const all: readonly Kind[] = [
    { every: 20 * SECOND, draw: down('kill') },
    { every: 60 * SECOND, draw: down('terminate') },
    {
      every: 40 * SECOND,
      draw: (random) => ({
        kind: 'stop',
        process: process(random),
        lasts: time(random, random() < 0.3 ? LONGEST_STOP : 20 * SECOND),
      }),
    },
    {
      every: 45 * SECOND,
      draw: (random) => ({ kind: 'restart Postgres', how: pick(random, ['fast', 'immediate']) }),
    },
    { every: 12 * SECOND, draw: proxy('Postgres') },
    platform(12 * SECOND, partial),
    { ...platform(90 * SECOND, wide), least: 0 },
    { every: 25 * SECOND, draw: () => ({ kind: 'token death' }) },
    { every: 2 * SECOND, draw: resync },
  ];
  if (queue === 'postgres') return all;
  return [
    ...all,
    { every: 30 * SECOND, draw: (): Deed => ({ kind: 'lose Redis' }) },
    { every: 15 * SECOND, draw: proxy('Redis') },
  ];
}

type PlatformFault = Pick<Extract<Deed, { kind: 'platform' }>, 'match' | 'fault'>;

/** Faults that last for a while and leave most downloads possible. */
function partial(random: Random): PlatformFault {
  const orgCode = pick(random, ORGS);
  const dataset = pick(random, DATASET_NAMES);
  return pick<PlatformFault>(random, [
    { match: {}, fault: { kind: 'clock', offset: 10 * MINUTE } },
    { match: {}, fault: { kind: 'clock', offset: -10 * MINUTE } },
    { match: { orgCode }, fault: { kind: 'not-granted' } },
    { match: { orgCode, dataset }, fault: { kind: 'not-granted' } },
    { match: {}, fault: { kind: 'token-rules', newTokenKillsOld: false, tokenLifetime: 3 } },
    { match: {}, fault: { kind: 'gbk', named: 'none' } },
  ]);
}

/**
 * Faults that take the platform away for all: seldom, since the queue then waits as a whole, half a
 * minute at a time, and little else can go wrong meanwhile.
 */
function wide(random: Random): PlatformFault {
  const dataset = pick(random, DATASET_NAMES);
  return pick<PlatformFault>(random, [
    { match: {}, fault: { kind: 'maintenance', as: 'page' } },
    { match: {}, fault: { kind: 'maintenance', as: 'unavailable' } },
    { match: {}, fault: { kind: 'listener-closed' } },
    { match: { dataset }, fault: { kind: 'not-granted' } },
  ]);
}

/**
 * A wish for a random window. Never with `--force`: that lets older content overwrite newer by order,
 * which is what the watch over rows that go back must not see.
 */
function resync(random: Random): Deed {
  const longest = pick(random, [MINUTE, 60 * MINUTE, 24 * 60 * MINUTE, 6 * 24 * 60 * MINUTE]);
  return {
    kind: 'resync',
    orgCode: pick(random, ORGS),
    dataset: pick(random, DATASET_NAMES),
    age: Math.round(random() ** 3 * 5 * 24 * 60 * MINUTE),
    length: SECOND + Math.round(random() * longest),
    by: random() < 0.1 ? 'command' : 'use case',
  };
}

/**
 * Draws what the torture does and when, by time: the same for the same options. Deeds overlap as they
 * fall, and even a short torture has one of each kind.
 */
export function drawSchedule(options: ScheduleOptions): Event[] {
  const events = kinds(options).flatMap(({ every, draw, least = 1 }, index) => {
    // Each kind has numbers of its own: more of one does not change another.
    const random = seededRandom(seedOf(`${options.seed} schedule ${index}`));
    const count = Math.max(least, Math.round(options.lasts / every));
    return Array.from({ length: count }, (): Event => {
      const at = Math.round(random() * options.lasts);
      return { at, ...draw(random) };
    });
  });
  return events.sort((a, b) => a.at - b.at);
}
