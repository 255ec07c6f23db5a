import { z } from 'zod';
import { MINUTE } from '../core/china-time.ts';
import { arrival, bodyOf, condition, onAnswer, wholeWire } from './fault.ts';
import { EXPIRE_TIME_FORMS } from './platform.ts';
import { pick } from './random.ts';

/** Faults of tokens and of the clock; with all of them the data is right once the client has helped itself. */
export const CONDITION_FAULTS = {
  'tokens-die': arrival({
    about: 'every token dies just before the call; once, since at each call no token would help',
    delivers: 'data',
    weight: 2,
    parameters: z.strictObject({}),
    play: () => ({ tokens: 'die' }),
  }),
  'tokens-die-midway': onAnswer({
    about: 'every token dies while the answer is being sent: the next call is refused',
    delivers: 'data',
    weight: 2,
    parameters: z.strictObject({}),
    play(_, { answer }) {
      const body = bodyOf(answer);
      const half = body.length >> 1;
      const wire = wholeWire(body, answer.contentType);
      const pieces = [body.subarray(0, half), body.subarray(half)];
      return { wire: { ...wire, length: body.length, body: pieces }, tokensDieMidway: true };
    },
  }),
  'token-stolen': arrival({
    about: 'another program asks for a token just before the call, which kills the old one',
    delivers: 'data',
    weight: 2,
    parameters: z.strictObject({}),
    play: () => ({ tokens: 'stolen' }),
  }),
  'token-rules': condition({
    about:
      'how tokens live: whether a new one kills the old, for how many seconds, told in which form',
    delivers: 'data',
    weight: 1,
    parameters: z.strictObject({
      newTokenKillsOld: z.boolean().optional(),
      tokenLifetime: z.number().positive().optional(),
      expireTime: z.enum(EXPIRE_TIME_FORMS).optional(),
    }),
    draw: (random) => ({ expireTime: pick(random, EXPIRE_TIME_FORMS) }),
    play: ({ newTokenKillsOld, tokenLifetime, expireTime }) => ({
      conditions: {
        ...(newTokenKillsOld === undefined ? {} : { newTokenKillsOld }),
        ...(tokenLifetime === undefined ? {} : { tokenLifetime }),
        ...(expireTime === undefined ? {} : { expireTime }),
      },
    }),
  }),
  clock: condition({
    about: "the platform's clock is off, for Date and for every check",
    delivers: 'data',
    // A clock that jumps at single calls is another thing than one that is off: switch it on.
    weight: 0,
    parameters: z.strictObject({ offset: z.number().default(10 * MINUTE) }),
    draw: (random) => ({ offset: pick(random, [-10, 10]) * MINUTE }),
    play: ({ offset }) => ({ conditions: { clockOffset: offset } }),
  }),
};
