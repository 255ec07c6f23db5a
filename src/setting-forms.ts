import { isIP } from 'node:net';
import { z } from 'zod';
import { DAY, SECOND } from './core/china-time.ts';
import { ORG_CODE } from './core/dataset.ts';
import { parseDuration, parseSize } from './core/duration.ts';
import { readMasterKey } from './core/seal.ts';
import { parseUser } from './core/user.ts';

function durationUpTo(longest: number, expected: string) {
  return z.string().transform((text, context) => {
    const ms = parseDuration(text);
    if (ms !== null && ms > 0 && ms <= longest) return ms;
    context.addIssue(`expected ${expected}`);
    return z.NEVER;
  });
}

/** A duration that is added to times: a date must come of it. */
export const duration = durationUpTo(3650 * DAY, 'a duration such as 30s, 15m, 1h or 28d');

/** A duration that a timer waits for: one of Node's that is set to over 24 days fires at once. */
export const timer = durationUpTo(DAY, 'a duration up to 1d, such as 30s, 15m or 1h');

/** A duration that may be nothing at all; in whole seconds, the precision of windows. */
export function pause(days: number, example: string) {
  return z.string().transform((text, context) => {
    const ms = text.trim() === '0' ? 0 : parseDuration(text);
    if (ms !== null && ms % SECOND === 0 && ms <= days * DAY) return ms;
    context.addIssue(`expected 0 or whole seconds up to ${days}d, such as ${example}`);
    return z.NEVER;
  });
}

/** A size in bytes, more than nothing. */
export const size = z.string().transform((text, context) => {
  const bytes = parseSize(text);
  if (bytes !== null && bytes > 0) return bytes;
  context.addIssue('expected a size such as 512MiB or 4GiB');
  return z.NEVER;
});

/** `true` or `false`. */
export const flag = z
  .enum(['true', 'false'], { error: 'expected true or false' })
  .transform((text) => text === 'true');

/** A whole number within limits, both included. */
export function whole(min: number, max: number) {
  return z.string().transform((text, context) => {
    const number = Number(text);
    if (Number.isInteger(number) && number >= min && number <= max) return number;
    context.addIssue(`expected a whole number from ${min} to ${max}`);
    return z.NEVER;
  });
}

/** One of a few words. */
export function choice<const T extends string>(...values: readonly T[]) {
  return z.enum(values, { error: `expected ${values.join(', ')}` });
}

/** A URL of one of these protocols (colon included). */
export function url(...protocols: string[]) {
  return z
    .string()
    .refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol), {
      error: `expected a URL that begins with ${protocols.map((one) => `${one}//`).join(' or ')}`,
    });
}

const parts = (text: string) => text.split(',').flatMap((part) => part.trim() || []);

/** An address and a port to listen on, or null for none. */
export const listen = z.string().transform((text, context) => {
  if (text === 'none') return null;
  const [, bracketed, plain, digits] =
    /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]/]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (host !== undefined && port <= 65_535) return { host, port };
  context.addIssue('expected address and port, such as 0.0.0.0:9464 or [::]:9464, or none');
  return z.NEVER;
});

/** A list with commas whose parts all have a form; blanks around them do not matter. */
export const list = (form: RegExp, what: string) =>
  z
    .string()
    .transform(parts)
    .refine((given) => given.every((part) => form.test(part)), { error: `expected ${what}` });

/** An address, or a network such as 10.0.0.0/8. */
function isNetwork(text: string): boolean {
  const [, address = '', prefix] = /^([0-9a-fA-F.:]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const longest = { 0: 0, 4: 32, 6: 128 }[isIP(address)]!;
  const length = Number(prefix ?? longest);
  return length >= 1 && length <= longest;
}

/** Addresses and networks, with commas. */
export const networks = z
  .string()
  .transform(parts)
  .refine((given) => given.every(isNetwork), {
    error: 'expected addresses or networks such as 10.0.0.0/8, separated by commas',
  });

/** Codes of organisations, with commas. */
export const orgCodes = list(ORG_CODE, 'codes of organisations, separated by commas');

/** Users of the web pages, each name once. */
export const users = z.string().transform((text, context) => {
  const read = parts(text).map(parseUser);
  const known = read.flatMap((user) => user ?? []);
  if (known.length === read.length && new Set(known.map(({ name }) => name)).size === read.length) {
    return known;
  }
  context.addIssue(
    'expected entries of different names as vcc-sync user hash prints them, with commas',
  );
  return z.NEVER;
});

/** Requests a second, or null for no limit; fewer than one in a thousand seconds is a slip, not a rate. */
export const rate = z.string().transform((text, context) => {
  if (text === 'none') return null;
  const number = Number(text);
  if (Number.isFinite(number) && number >= 0.001) return number;
  context.addIssue('expected requests a second, such as 5 or 0.5, or none');
  return z.NEVER;
});

/** A key of 32 bytes. */
export const masterKey = z.string().transform((text, context) => {
  const key = readMasterKey(text);
  if (key !== null) return key;
  context.addIssue('expected 32 bytes as 64 hex digits or base64; vcc-sync secret key makes one');
  return z.NEVER;
});
