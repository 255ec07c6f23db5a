import { z } from 'zod';
import type { Dataset } from '../core/dataset.ts';
import type { Answer } from './answer.ts';
import { ANSWER_FAULTS } from './answer-faults.ts';
import { CONDITION_FAULTS } from './condition-faults.ts';
import type {
  Act,
  AnswerKind,
  ArrivalKind,
  ConditionKind,
  Delivers,
  TableKind,
  Victim,
} from './fault.ts';
import type { Random } from './random.ts';
import { FORM_FAULTS, LINE_FAULTS } from './table-faults.ts';
import { TRANSFER_FAULTS } from './transfer-faults.ts';

const KINDS = {
  ...TRANSFER_FAULTS,
  ...ANSWER_FAULTS,
  ...CONDITION_FAULTS,
  ...FORM_FAULTS,
  ...LINE_FAULTS,
};

/** The name of a kind of fault. */
export type FaultKind = keyof typeof KINDS;

type ParametersOf<K extends FaultKind> = z.input<(typeof KINDS)[K]['parameters']>;

/** A fault: its kind, with those of the kind's parameters that shall not have their default. */
export type Fault = {
  // The type of no parameters at all would forbid `kind` as well.
  [K in FaultKind]: { readonly kind: K } & (string extends keyof ParametersOf<K>
    ? unknown
    : Readonly<ParametersOf<K>>);
}[FaultKind];

type AnyKind = ArrivalKind | ConditionKind | AnswerKind | TableKind;

/** Every kind of fault by name: when it strikes, what it takes, and what of the answer is still right. */
export const FAULT_KINDS: Readonly<Record<FaultKind, AnyKind>> = KINDS as unknown as Readonly<
  Record<FaultKind, AnyKind>
>;

/** The names of all kinds. */
export const FAULT_NAMES = Object.keys(FAULT_KINDS) as readonly FaultKind[];

/** A fault whose parameters have been checked and filled in. */
export interface ReadyFault {
  readonly kind: FaultKind;
  readonly at: AnyKind['at'];
  readonly delivers: Delivers;
  /** What it does to a call that has just arrived; nothing for those that befall an answer. */
  strike(victim: Victim): Act;
  /** What it does to the answer that a call would get; nothing where it does not apply. */
  alter(victim: Victim, answer: Answer): Act;
}

const NOTHING: Act = {};

/** Whether a text names a kind of fault. */
export function isFaultKind(text: string): text is FaultKind {
  return Object.hasOwn(FAULT_KINDS, text);
}

/**
 * Checks a fault and fills in its parameters.
 *
 * @throws RangeError that names what is wrong
 */
export function readyFault(fault: Fault): ReadyFault {
  const { kind, ...given } = fault;
  if (!isFaultKind(kind)) throw new RangeError('there is no such kind of fault');
  const definition = FAULT_KINDS[kind];
  const read = definition.parameters.safeParse(given);
  if (!read.success) throw new RangeError(`fault ${kind}: ${z.prettifyError(read.error)}`);
  const { at, delivers } = definition;
  return {
    kind,
    at,
    delivers,
    strike: (victim) =>
      definition.at === 'arrival' || definition.at === 'condition'
        ? definition.play(read.data, victim)
        : NOTHING,
    alter: (victim, answer) => alter(definition, read.data, victim, answer),
  };
}

function alter(definition: AnyKind, parameters: unknown, victim: Victim, answer: Answer): Act {
  // What is refused anyway is no place for a fault: the call never got so far.
  if (answer.result !== 'ok') return NOTHING;
  const { dataset, orgCode } = victim;
  if (definition.at === 'answer') return definition.play(parameters, { ...victim, answer });
  if (definition.at !== 'table' || dataset === null || orgCode === null) return NOTHING;
  return definition.play(parameters, { ...victim, dataset: dataset as Dataset, orgCode, answer });
}

/** Draws a fault of a kind, with parameters at random. */
export function drawFault(kind: FaultKind, random: Random): Fault {
  const parameters = FAULT_KINDS[kind].draw?.(random);
  return { kind, ...(parameters as object | undefined) } as Fault;
}
