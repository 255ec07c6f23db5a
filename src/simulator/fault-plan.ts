import type { Clock } from '../core/clock.ts';
import type { DatasetName } from '../core/dataset.ts';
import { CATALOGUE } from '../datasets/catalogue.ts';
import type { Answer } from './answer.ts';
import type { RequestRecord } from './call.ts';
import type { Act, BadLine, Conditions, Delivers, Victim } from './fault.ts';
import { faultDice, type RandomFaults, type Roll } from './fault-dice.ts';
import { type Fault, type FaultKind, type ReadyFault, readyFault } from './faults.ts';
import { addNewest } from './newest.ts';
import { seededRandom, seedOf } from './random.ts';

/** Which calls a fault befalls: those that agree in all that is given; with nothing given, every call. */
export interface Match {
  /** The interface's code, such as `1002`. */
  readonly interface?: string;
  readonly orgCode?: string;
  readonly dataset?: DatasetName;
}

/** A fault that was injected. */
export interface Injection {
  /** By the simulator's true clock, in milliseconds since the epoch. */
  readonly at: number;
  readonly kind: FaultKind;
  readonly delivers: Delivers;
  /** The call that it befell; empty and null for a condition that was switched on for many. */
  readonly interface: string;
  readonly orgCode: string | null;
  readonly dataset: DatasetName | null;
  /** The call's message number, which a run records as well. */
  readonly seq: string | null;
  /** Exactly the bad lines that were put into the table. */
  readonly badLines: readonly BadLine[];
}

/** Switches something off again; twice is harmless. */
export type SwitchOff = () => Promise<void>;

/** Puts faults into a simulator. */
export interface Faults {
  /** The next matching call gets a fault. @throws RangeError if its parameters are wrong */
  once(match: Match, fault: Fault): SwitchOff;
  /**
   * Every matching call gets a fault, until it is switched off or the true clock reaches `until`
   * (milliseconds since the epoch). The one switched on last comes first. A listener that is closed
   * is closed for every call, `/control/` included, whatever matches.
   *
   * @throws RangeError if its parameters are wrong
   */
  during(match: Match, fault: Fault, until?: number): SwitchOff;
  /**
   * Each call gets a fault with a probability. The same seed gives the `n`th call of a feed the same
   * fault, however the calls of different feeds mix.
   *
   * @throws RangeError if the rate or a kind is wrong
   */
  random(options: RandomFaults): SwitchOff;
  /** Switches everything off. */
  clear(): Promise<void>;
}

/** What the plan needs of the simulator. */
export interface PlanOptions {
  readonly clock: Clock;
  /** Stops listening at once; the answer listens again. */
  readonly goDeaf: () => SwitchOff;
  /** How many injections are remembered, the newest; default all. */
  readonly keep?: number | undefined;
}

/** A call that is under way, as the plan sees it. */
export interface Casualty {
  readonly conditions: Conditions;
  /** What strikes before the call is answered. */
  readonly act: Act;
  /** What strikes the answer that is ready to be sent. */
  alter(answer: Answer): Act;
}

/** Faults with the plan that carries them out. */
export interface FaultPlan {
  readonly faults: Faults;
  readonly injected: readonly Injection[];
  /** Decides what befalls a call that has just arrived. */
  receive(record: Readonly<RequestRecord>): Casualty;
  /** Stops listening at once, for so many real milliseconds or until it is switched off. */
  deafen(ms: number): SwitchOff;
}

/** A fault with the calls that it may befall. */
interface Entry {
  readonly match: Match;
  readonly fault: ReadyFault;
  /** When it ends, in milliseconds since the epoch. */
  readonly until: number;
  /** `once` is used up by the first call it befalls; a condition that holds for a `while` is noted once. */
  readonly lasts: 'once' | 'while' | 'call';
}

type Note = (fault: ReadyFault, record: Readonly<RequestRecord> | null, act: Act) => void;

/** A plan without any fault. */
export function createFaultPlan({ clock, goDeaf, keep }: PlanOptions): FaultPlan {
  let entries: readonly Entry[] = [];
  const dice = new Set<Roll>();
  const deaf = new Set<SwitchOff>();
  const injected: Injection[] = [];
  const turns = new Map<string, number>();

  const note: Note = (fault, record, act) => {
    const injection = {
      at: clock(),
      kind: fault.kind,
      delivers: fault.delivers,
      interface: record?.interface ?? '',
      orgCode: record?.orgCode ?? null,
      dataset: record?.dataset ?? null,
      seq: record?.seq ?? null,
      badLines: act.badLines ?? [],
    };
    addNewest(injected, injection, keep);
  };

  function remove(entry: Entry): void {
    entries = entries.filter((each) => each !== entry);
  }

  function add(match: Match, fault: ReadyFault, lasts: 'once' | 'while', until: number): SwitchOff {
    const entry: Entry = { match, fault, until, lasts };
    // What is for once comes first, in its order; of the rest, the latest.
    entries = lasts === 'once' ? insertOnce(entries, entry) : insertWhile(entries, entry);
    return async () => remove(entry);
  }

  function deafen(ms: number): SwitchOff {
    const listen = goDeaf();
    const timer = Number.isFinite(ms) ? setTimeout(() => void off(), ms) : undefined;
    const off = async () => {
      clearTimeout(timer);
      deaf.delete(off);
      await listen();
    };
    deaf.add(off);
    return off;
  }

  const faults: Faults = {
    once: (match, fault) => add(match, readyFault(fault), 'once', Number.POSITIVE_INFINITY),
    during(match, fault, until = Number.POSITIVE_INFINITY) {
      const ready = readyFault(fault);
      const isDeaf = fault.kind === 'listener-closed';
      if (isDeaf || ready.at === 'condition') note(ready, null, {});
      // No call comes through by which it could be noticed that the time is over.
      return isDeaf ? deafen(until - clock()) : add(match, ready, 'while', until);
    },
    random(options) {
      const roll = faultDice(options);
      dice.add(roll);
      return async () => void dice.delete(roll);
    },
    async clear() {
      entries = [];
      dice.clear();
      await Promise.all([...deaf].map((off) => off()));
    },
  };

  function receive(record: Readonly<RequestRecord>): Casualty {
    const feed = `${record.interface} ${record.orgCode ?? ''}`;
    const turn = (turns.get(feed) ?? 0) + 1;
    turns.set(feed, turn);
    const now = clock();
    entries = entries.filter(({ until }) => until > now);
    const rolled = [...dice].flatMap((roll): Entry[] => {
      const fault = roll(feed, turn);
      return fault ? [{ match: {}, fault, until: now, lasts: 'call' }] : [];
    });
    const candidates = [...entries.filter(({ match }) => fits(match, record)), ...rolled];
    const dataset = record.dataset === null ? null : CATALOGUE[record.dataset];
    const random = seededRandom(seedOf(`${feed} ${turn}`));
    const victim: Victim = { dataset, orgCode: record.orgCode, now, random };

    const use = (entry: Entry, act: Act): void => {
      if (entry.lasts === 'once') remove(entry);
      note(entry.fault, record, act);
    };
    // Another call may have used up meanwhile what is for once.
    const isLeft = (entry: Entry) => entry.lasts !== 'once' || entries.includes(entry);
    return befall(victim, () => candidates.filter(isLeft), use);
  }

  return { faults, injected, receive, deafen };
}

/** Finds what befalls a call, and uses it up. */
function befall(
  victim: Victim,
  candidates: () => readonly Entry[],
  use: (entry: Entry, act: Act) => void,
): Casualty {
  /** The first candidate that does anything now. */
  function first(play: (fault: ReadyFault) => Act): Act {
    for (const entry of candidates()) {
      const act = play(entry.fault);
      if (Object.keys(act).length === 0) continue;
      use(entry, act);
      return act;
    }
    return {};
  }

  /** All conditions that hold; of two on the same matter, the candidate before counts. */
  function held(): Conditions {
    const all: Conditions = {};
    for (const entry of [...candidates()].reverse()) {
      if (entry.fault.at !== 'condition') continue;
      const act = entry.fault.strike(victim);
      if (entry.lasts !== 'while') use(entry, act);
      Object.assign(all, act.conditions);
    }
    return all;
  }

  const strike = (fault: ReadyFault) => (fault.at === 'arrival' ? fault.strike(victim) : {});
  return {
    conditions: held(),
    act: first(strike),
    alter: (answer) => first((fault) => fault.alter(victim, answer)),
  };
}

function insertOnce(entries: readonly Entry[], entry: Entry): Entry[] {
  const rest = entries.findIndex(({ lasts }) => lasts !== 'once');
  const at = rest === -1 ? entries.length : rest;
  return [...entries.slice(0, at), entry, ...entries.slice(at)];
}

function insertWhile(entries: readonly Entry[], entry: Entry): Entry[] {
  const isOnce = ({ lasts }: Entry) => lasts === 'once';
  return [...entries.filter(isOnce), entry, ...entries.filter((each) => !isOnce(each))];
}

function fits(match: Match, record: Readonly<RequestRecord>): boolean {
  return (
    (match.interface === undefined || match.interface === record.interface) &&
    (match.orgCode === undefined || match.orgCode === record.orgCode) &&
    (match.dataset === undefined || match.dataset === record.dataset)
  );
}
