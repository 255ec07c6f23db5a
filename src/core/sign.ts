import { createHash } from 'node:crypto';

/** Parameters of a call by name; those without a value take no part in a signature (P3). */
export type Parameters = Readonly<Record<string, string | number | null | undefined>>;

/**
 * Signs a call: upper-case hex MD5 of the sorted parameters, the body and the secret (P3).
 *
 * Every parameter with a value takes part, `sign` itself left out, sorted by key in byte order,
 * key and raw value joined with nothing between.
 *
 * @param secret the base key for getToken, else the session token
 * @example sign({ seq: '1', name: 'a b' }, 'k')
 */
export function sign(parameters: Parameters, secret: string, body = ''): string {
  const text = Object.entries(parameters)
    .filter(
      ([key, value]) => key !== 'sign' && value !== null && value !== undefined && value !== '',
    )
    .sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    .map(([key, value]) => `${key}${value}`)
    .join('');
  return createHash('md5').update(`${text}${body}${secret}`, 'utf8').digest('hex').toUpperCase();
}
