import {
  drawFault,
  FAULT_KINDS,
  FAULT_NAMES,
  type FaultKind,
  isFaultKind,
  type ReadyFault,
  readyFault,
} from './faults.ts';
import { type Random, seededRandom, seedOf } from './random.ts';

/** Faults at random. */
export interface RandomFaults {
  readonly seed: number;
  /** Share of all calls that go wrong, from 0 to 1. */
  readonly rate: number;
  /** Which kinds, each with its weight or as often as it usually comes; default all but those of weight 0. */
  readonly kinds?: readonly FaultKind[] | Readonly<Partial<Record<FaultKind, number>>>;
}

/** Decides for the `turn`th call of a feed whether it gets a fault, and which. */
export type Roll = (feed: string, turn: number) => ReadyFault | null;

/**
 * Makes dice that decide for each call by numbers of its own, so that the mix of calls does not matter.
 *
 * @throws RangeError if the rate, a kind or a weight is wrong
 */
export function faultDice({ seed, rate, kinds }: RandomFaults): Roll {
  if (!(rate >= 0 && rate <= 1)) throw new RangeError('the rate must lie between 0 and 1');
  const weights = weightsOf(kinds);
  return (feed, turn) => {
    const random = seededRandom(seedOf(`${seed} ${feed} ${turn}`));
    if (random() >= rate) return null;
    return readyFault(drawFault(pickWeighted(random, weights), random));
  };
}

type Weights = readonly (readonly [FaultKind, number])[];

function weightsOf(kinds: RandomFaults['kinds']): Weights {
  const usual = (kind: FaultKind) => FAULT_KINDS[kind]?.weight ?? Number.NaN;
  let weights: Weights;
  if (kinds === undefined) weights = FAULT_NAMES.map((kind) => [kind, usual(kind)]);
  // Who names a kind wants it, even if it never comes by itself.
  else if (isList(kinds)) weights = kinds.map((kind) => [kind, usual(kind) || 1]);
  else weights = Object.entries(kinds).map(([kind, weight]) => [kind as FaultKind, weight]);
  const unknown = weights.find(([kind, weight]) => !isFaultKind(kind) || !(weight >= 0));
  if (unknown) throw new RangeError(`${unknown[0]} is no kind of fault, or its weight is negative`);
  if (!weights.some(([, weight]) => weight > 0)) throw new RangeError('there is nothing to draw');
  return weights;
}

function isList(kinds: NonNullable<RandomFaults['kinds']>): kinds is readonly FaultKind[] {
  return Array.isArray(kinds);
}

function pickWeighted(random: Random, weights: Weights): FaultKind {
  const sum = weights.reduce((total, [, weight]) => total + weight, 0);
  let left = random() * sum;
  for (const [kind, weight] of weights) {
    left -= weight;
    if (left < 0) return kind;
  }
  return weights.findLast(([, weight]) => weight > 0)?.[0] as FaultKind;
}
