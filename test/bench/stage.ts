import type { Cluster } from './cluster.ts';
import type { Program } from './program.ts';
import type { Route } from './programs/source.ts';
import type { QueueServer } from './queue-server.ts';
import type { Sizes } from './sizes.ts';

/** Everything that loads stand on. */
export interface Stage {
  readonly cluster: Cluster;
  /** The stand-in for the platform; a task is a route, its answer the route's URL. */
  readonly source: Program<Route, string>;
  /** Null where there is no Redis. */
  readonly redis: QueueServer | null;
  /** Folder of the compiled programs. */
  readonly programs: string;
  /** For prepared files. */
  readonly folder: string;
  readonly sizes: Sizes;
  readonly rounds: number;
  readonly signal: AbortSignal;
  /** Says what happens, for people. */
  readonly say: (text: string) => void;
}

/** What was measured of one thing under one load, once a round. */
export interface Figure {
  readonly load: string;
  readonly what: string;
  readonly unit: 's' | '/s' | 'ms' | 'MB';
  /** Rows of one measurement in seconds, or of one of so many a second: for rows per second. */
  readonly rows?: number;
  readonly values: readonly number[];
}

/** What could not be measured. */
export interface Failure {
  readonly load: string;
  /** Null if it was the load as a whole. */
  readonly what: string | null;
  readonly error: string;
}

/** Takes measurements together by load and thing, in the order in which they first came; and failures. */
export class Figures {
  readonly #figures = new Map<string, Figure & { readonly values: number[] }>();
  readonly #failures: Failure[] = [];

  add(figure: Omit<Figure, 'values'>, value: number): void {
    const key = `${figure.load} ${figure.what}`;
    const known = this.#figures.get(key);
    if (known) known.values.push(value);
    else this.#figures.set(key, { ...figure, values: [value] });
  }

  all(): Figure[] {
    return [...this.#figures.values()];
  }

  fail(load: string, what: string | null, error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    this.#failures.push({ load, what, error: text });
  }

  failures(): readonly Failure[] {
    return this.#failures;
  }
}

/** One load of the bench. */
export interface Load {
  readonly name: string;
  readonly about: string;
  /** Measures all contestants, alternating, and notes each value. */
  run(stage: Stage, figures: Figures): Promise<void>;
}

/** The middle of some values; of an even number the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Things in another order each round, every second one backwards, so that none always follows the same one. */
export function inTurn<T>(things: readonly T[], round: number): T[] {
  const shift = things.length === 0 ? 0 : round % things.length;
  const turned = [...things.slice(shift), ...things.slice(0, shift)];
  return round % 2 === 0 ? turned : turned.reverse();
}

/** Contestants of a load that take turns. */
export interface Turns<T> {
  readonly load: string;
  readonly contestants: readonly T[];
  readonly nameOf: (contestant: T) => string;
}

/**
 * Lets contestants take turns, round by round. One that fails is noted and left out from then on: the
 * others' figures are worth having.
 */
export async function takeTurns<T>(
  { rounds, signal, say }: Stage,
  figures: Figures,
  { load, contestants, nameOf }: Turns<T>,
  turn: (contestant: T, round: number) => Promise<void>,
): Promise<void> {
  const failed = new Set<T>();
  for (let round = 0; round < rounds; round += 1) {
    for (const contestant of inTurn(contestants, round)) {
      if (failed.has(contestant)) continue;
      try {
        await turn(contestant, round);
      } catch (error) {
        signal.throwIfAborted();
        failed.add(contestant);
        figures.fail(load, nameOf(contestant), error);
        say(`${load}: ${nameOf(contestant)} FAILED: ${error}`);
      }
    }
  }
}
