import { type Command, InvalidArgumentError, Option } from 'commander';
import { DAY, SECOND } from '../core/china-time.ts';
import { parseDuration } from '../core/duration.ts';
import type { Bounds } from '../simulator/history.ts';
import { EXPIRE_TIME_FORMS, type ExpireTimeForm, type IgnoredEnd } from '../simulator/platform.ts';
import type { SimulatorOptions } from '../simulator/simulator-options.ts';

/** How the stand-in behaves where the document leaves it open; durations in milliseconds. */
export interface SimulatorFlags {
  readonly bounds: Bounds;
  readonly ignores: IgnoredEnd;
  readonly tokenLifetime: number;
  readonly expireTime: ExpireTimeForm;
  readonly keepOldTokens?: true;
  readonly requireSign?: true;
  readonly signSecret: 'token' | 'base';
  readonly answerSign: 'none' | 'right' | 'wrong';
  readonly seqCode?: string;
  /** False: answers carry no `Date`. */
  readonly date: boolean;
  readonly dateSkew: number;
  readonly latency: number;
}

const BOUNDS: readonly Bounds[] = ['inclusive', 'half-open', 'exclusive'];
const IGNORED: readonly IgnoredEnd[] = ['none', 'lastTimestamp', 'timestamp', 'both'];

/** Adds the flags to a command, under a heading of their own. */
export function addSimulatorFlags(command: Command): Command {
  const choice = (flags: string, about: string, [usual, ...others]: readonly string[]) =>
    new Option(flags, about).choices([usual!, ...others]).default(usual);
  const time = (flags: string, about: string, usual: string, least = 0) =>
    new Option(flags, about)
      .argParser((text: string) => duration(text, least))
      .default(duration(usual, least), usual);
  return command
    .optionsGroup('What the document leaves open, with the setting of ours that it is about:')
    .addOption(choice('--bounds <ends>', 'which ends of a window belong to it', BOUNDS))
    .addOption(choice('--ignores <ends>', 'ends of windows that it does not look at', IGNORED))
    .addOption(time('--token-lifetime <time>', 'how long a session token lives', '2h', SECOND))
    .addOption(
      choice('--expire-time <form>', 'how getToken tells the end of a token', EXPIRE_TIME_FORMS),
    )
    .option('--keep-old-tokens', 'a new token does not end the one before')
    .option('--require-sign', 'refuse calls that are not signed (VCC_SIGN_REQUESTS)')
    .addOption(
      choice('--sign-secret <secret>', 'what signs calls and answers (VCC_SIGN_SECRET)', [
        'token',
        'base',
      ]),
    )
    .addOption(
      choice('--answer-sign <kind>', 'how its answers are signed (VCC_RESPONSE_SIGN)', [
        'none',
        'right',
        'wrong',
      ]),
    )
    .option('--seq-code <code>', 'the code that heads all message numbers (VCC_SEQ_CODE)', seqCode)
    .option('--no-date', "its answers carry no Date: Postgres's clock rules then")
    .addOption(
      time('--date-skew <time>', 'how far its Date is ahead, or behind as in -90s', '0s', -DAY),
    )
    .addOption(time('--latency <time>', 'how long it waits before each answer', '0s'));
}

/** The simulator's options that the flags stand for. */
export function simulatorOptions(flags: SimulatorFlags): Partial<SimulatorOptions> {
  const { bounds, ignores, expireTime, signSecret, answerSign, dateSkew, latency } = flags;
  return {
    ...{ bounds, ignores, expireTime, signSecret, answerSign, dateSkew, latency },
    tokenLifetime: flags.tokenLifetime / SECOND,
    newTokenKillsOld: !flags.keepOldTokens,
    requireSign: flags.requireSign === true,
    ...(flags.seqCode !== undefined && { seqCode: flags.seqCode }),
    dateHeader: flags.date ? 'clock' : 'none',
  };
}

/** Settings without which such a platform refuses us, a line each. */
export function neededSettings({ requireSign, signSecret, seqCode }: SimulatorFlags): string[] {
  return [
    ...(seqCode === undefined ? [] : [`VCC_SEQ_CODE=${seqCode}`]),
    ...(requireSign ? ['VCC_SIGN_REQUESTS=true'] : []),
    ...(signSecret === 'base' ? ['VCC_SIGN_SECRET=base'] : []),
  ];
}

/** Reads a duration of up to a day, in milliseconds; one that may be negative begins with a minus. */
function duration(text: string, least: number): number {
  const [, minus, length = ''] = /^(-?)(.*)$/s.exec(text) ?? [];
  const ms = parseDuration(length);
  const signed = ms === null ? Number.NaN : minus ? -ms : ms;
  if (signed >= least && signed <= DAY) return signed;
  const from = least > 0 ? ' from 1s' : '';
  throw new InvalidArgumentError(`expected a duration such as 90s or 2h,${from} up to 1d.`);
}

function seqCode(text: string): string {
  if (/^\d{4}$/.test(text)) return text;
  throw new InvalidArgumentError('expected 4 digits, such as 1001.');
}
