import { z } from 'zod';
import { isDatasetName } from '../core/dataset.ts';
import type { RandomFaults } from './fault-dice.ts';
import type { Faults, SwitchOff } from './fault-plan.ts';
import type { Fault } from './faults.ts';

const match = z
  .strictObject({
    interface: z.string(),
    orgCode: z.string(),
    dataset: z.string().refine(isDatasetName, { error: 'there is no such dataset' }),
  })
  .partial()
  .default({});

const fault = z.looseObject({ kind: z.string() });

const ORDER = z.discriminatedUnion('mode', [
  z.strictObject({ mode: z.literal('once'), match, fault }),
  z.strictObject({ mode: z.literal('during'), match, fault, until: z.number().optional() }),
  z.strictObject({
    mode: z.literal('random'),
    seed: z.number(),
    rate: z.number(),
    kinds: z.union([z.array(z.string()), z.record(z.string(), z.number())]).optional(),
  }),
]);

/** Faults as other processes order them. */
export interface FaultDesk {
  /**
   * Injects what the JSON text orders: `{"mode": "once" | "during", "match": {…}, "fault": {"kind": …},
   * "until": ms}` or `{"mode": "random", "seed": …, "rate": …, "kinds": […]}`; answers a number by
   * which it can be switched off.
   *
   * @throws RangeError that names what is wrong
   */
  order(text: string): number;
  /** Switches one off, or with null all there are; false if there is none of that number. */
  cancel(id: number | null): Promise<boolean>;
}

/** A desk where other processes order faults. */
export function createFaultDesk(faults: Faults): FaultDesk {
  const running = new Map<number, SwitchOff>();
  let last = 0;
  return {
    order(text) {
      const off = inject(faults, text);
      last += 1;
      running.set(last, off);
      return last;
    },
    async cancel(id) {
      if (id === null) {
        running.clear();
        await faults.clear();
        return true;
      }
      const off = running.get(id);
      running.delete(id);
      await off?.();
      return off !== undefined;
    },
  };
}

function inject(faults: Faults, text: string): SwitchOff {
  const read = ORDER.safeParse(parseJson(text));
  if (!read.success) throw new RangeError(z.prettifyError(read.error));
  const order = read.data;
  // Kinds and their parameters are checked where they are known.
  if (order.mode === 'random') return faults.random(order as RandomFaults);
  if (order.mode === 'once') return faults.once(order.match as object, order.fault as Fault);
  return faults.during(order.match as object, order.fault as Fault, order.until);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new RangeError('the body is no JSON');
  }
}
