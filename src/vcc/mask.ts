import { KNOWN_WORDS } from './message-words.ts';

const LONGEST = 200;
const STARS = '***';

/**
 * Makes a text from outside fit for a message (P5, design invariant 9), at most 200 characters long.
 *
 * It loses control characters, secrets, whatever looks like a token or key, numbers of seven or more
 * digits (a phone, however it is written; dates stay), and all Chinese but the words in which a
 * platform speaks of requests: a name may stand anywhere.
 *
 * @param secrets texts that must not appear: tokens, keys, signs
 * @example maskOutside('用户张三(138-0013-8000)不存在', []) // '用户***(***)不存在'
 */
export function maskOutside(text: string, secrets: readonly string[]): string {
  let masked = text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  for (const secret of new Set(secrets)) masked = maskSecret(masked, secret);
  masked = masked.replace(ESCAPED, STARS);
  masked = masked.replace(KEY_LIKE, (run) => (CAMEL_CASE.test(run) ? run : STARS));
  masked = masked
    .split(DATE)
    // What the pattern has captured stands at the odd places.
    .map((part, index) => (index % 2 === 1 ? part : part.replace(NUMBER, STARS)))
    .join('');
  masked = masked.replace(CHINESE, maskWords);
  const characters = [...masked];
  return characters.length <= LONGEST ? masked : `${characters.slice(0, LONGEST - 1).join('')}…`;
}

/** Characters as URLs, JSON and HTML escape them, whatever they are. */
const ESCAPED = /(?:(?:%[0-9a-f]{2}){2,}|(?:\\u[0-9a-f]{4})+|(?:&#x?[0-9a-f]+;)+)/gi;

/** As long as a session token, or longer: another process's perhaps, which nobody here knows. */
const KEY_LIKE = /[A-Za-z0-9]{20,}/g;

/** No token but by great chance: NullPointerException. */
const CAMEL_CASE = /^[A-Za-z]?[a-z]{2,}(?:[A-Z][a-z]{2,})*$/;

const DATE = /((?<!\d)20\d\d-(?:0\d|1[0-2])-[0-3]\d(?:[ T][0-2]\d:[0-5]\d(?::[0-5]\d)?)?(?![\d-]))/;

const NUMBER = /\p{Nd}(?:[\s().‐-―-]{0,3}\p{Nd}){6,}/gu;

const CHINESE =
  /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Bopomofo}]+/gu;

/** The longest word that fits is the one that is meant. */
const WORDS = new RegExp(
  `(${[...KNOWN_WORDS].sort((a, b) => b.length - a.length).join('|')})`,
  'u',
);

function maskWords(run: string): string {
  return run
    .split(WORDS)
    .map((part, index) => (index % 2 === 1 || part === '' ? part : STARS))
    .join('');
}

/** Gateways echo parameters in either case, and URL-encoded as well. */
function maskSecret(text: string, secret: string): string {
  if (secret === '') return text;
  const forms = [secret, encodeURIComponent(secret)].map((form) =>
    form.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'),
  );
  return text.replace(new RegExp(forms.join('|'), 'gi'), STARS);
}
