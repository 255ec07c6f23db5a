import { MINUTE, parseChinaTime } from '../core/china-time.ts';
import type { Clock } from '../core/clock.ts';
import { type Refusal, refusal } from './result-codes.ts';

/** How far a message number's time may lie from the platform's clock, in milliseconds. */
export const SEQ_TOLERANCE = 15 * MINUTE;

/** Old numbers are swept out each time so many are remembered. */
const SWEEP_AT = 20_000;

/** Tells whether a message number may be used, and uses it up (P2); null if it may. */
export type SeqCheck = (seq: string | undefined, interfaceCode: string) => Refusal | null;

/**
 * Checks message numbers: 32 digits, the interface's code, a time within 15 minutes of the clock, a
 * counter of at least 1, never used before (P2).
 */
export function createSeqCheck(clock: Clock): SeqCheck {
  const used = new Map<string, number>();
  let sweepAt = SWEEP_AT;

  return (seq, interfaceCode) => {
    const at = seq && /^\d{32}$/.test(seq) ? parseChinaTime(seq.slice(4, 18)) : null;
    if (!seq || at === null || /^0+$/.test(seq.slice(18))) {
      return refusal('BAD_SEQ', 'seq is not code, time and counter in 32 digits');
    }
    if (!seq.startsWith(interfaceCode)) {
      return refusal('WRONG_INTERFACE', `seq does not begin with ${interfaceCode}`);
    }
    if (Math.abs(at - clock()) > SEQ_TOLERANCE) {
      return refusal('SEQ_OUT_OF_TIME', 'the time in seq is more than 15 minutes off');
    }
    if (used.has(seq)) return refusal('SEQ_USED', 'seq was used before');
    used.set(seq, at);
    if (used.size >= sweepAt) {
      // What is too old to pass the check of time need not be remembered.
      for (const [old, time] of used) if (time < clock() - SEQ_TOLERANCE) used.delete(old);
      sweepAt = used.size + SWEEP_AT;
    }
    return null;
  };
}
