import { sign } from '../core/sign.ts';

/** Tells whether a JSON answer is to be believed, given the secrets that may have signed it. */
export type SignGuard = (
  answer: { readonly text: string } | null,
  secrets: readonly string[],
) => boolean;

/**
 * Watches over the `sign` of JSON answers (P3): `off` looks at none, `warn` believes all,
 * `require` believes only what is signed rightly.
 *
 * @param onMismatch told of each `sign` that is wrong, and under `require` of each that is missing
 */
export function createSignGuard(
  mode: 'off' | 'warn' | 'require',
  onMismatch: () => void,
): SignGuard {
  return (answer, secrets) => {
    if (mode === 'off' || answer === null) return true;
    const check = checkAnswerSign(answer.text, secrets);
    if (check === 'right' || (check === 'missing' && mode === 'warn')) return true;
    onMismatch();
    return mode === 'warn';
  };
}

/** How an answer's `sign` came out: right, wrong, or not there at all (P3). */
export type SignCheck = 'right' | 'wrong' | 'missing';

/**
 * Checks the `sign` of a JSON answer against every secret that may have made it (P3).
 *
 * @param text the answer's literal JSON object, since numbers are signed as they were sent
 * @param secrets base key and session tokens, in any order
 */
export function checkAnswerSign(text: string, secrets: readonly string[]): SignCheck {
  const scalars = readScalars(text);
  const received = scalars.sign?.toUpperCase() ?? '';
  if (received === '') return 'missing';
  return secrets.some((secret) => sign(scalars, secret) === received) ? 'right' : 'wrong';
}

/** One JSON string, one other scalar, or one character of structure. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[^\s"[\]{},:]+|[[\]{},:]/g;

/**
 * The top-level strings, numbers and booleans of a JSON object, as literally sent: `1.10` stays
 * `1.10`. Nested values and null are left out; of a repeated name the last counts, as in JSON.parse.
 *
 * @param text a JSON object that JSON.parse accepts
 * @example readScalars('{"a":1.10,"b":{"c":1}}') // { a: '1.10' }
 */
export function readScalars(text: string): Readonly<Record<string, string>> {
  const scalars = new Map<string, string>();
  let depth = 0;
  let name: string | null = null;
  let isValue = false;
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === '{' || token === '[') {
      // A nested value under this name: it takes no part, nor does an earlier scalar of the name.
      if (depth === 1 && name !== null) scalars.delete(name);
      depth += 1;
    } else if (token === '}' || token === ']') depth -= 1;
    else if (depth !== 1) continue;
    else if (token === ':') isValue = true;
    else if (token === ',') isValue = false;
    else if (!isValue) name = JSON.parse(token);
    else if (name !== null && token !== 'null') {
      scalars.set(name, token.startsWith('"') ? JSON.parse(token) : token);
    } else if (name !== null) scalars.delete(name);
  }
  return Object.fromEntries(scalars);
}
