const STARS = '***';

/** Longest masked line, in characters. */
const LONGEST = 120;

/** Codes look like this: WJ0105, A, 12-3. Names of people in Latin letters do not pass: see `maskField`. */
const CODE = /^[A-Za-z0-9_./-]*$/;

/**
 * Makes a refused line fit for display: its fields and codes can be told, persons can not.
 *
 * Every run of seven or more digits is starred, and every field that is not plainly a code: Chinese,
 * unreadable bytes, words, phone numbers written with separators. Cut to 120 characters.
 *
 * @example maskLine('20001|张三|A|13800138000|WJ0105') // "20001|***|A|***|WJ0105"
 */
export function maskLine(line: string): string {
  const masked = line.split('|').map(maskField).join('|');
  return masked.length <= LONGEST ? masked : `${masked.slice(0, LONGEST - 1)}…`;
}

/**
 * Makes a row's key fit for display: where fields have slipped, a name may stand in its place.
 *
 * Digits stay, since most keys are digits and it is by the key that the row is found.
 */
export function maskKey(key: string): string {
  return CODE.test(key) && !isWord(key) ? key : STARS;
}

/**
 * A row's key as it may be kept in the ledger for good; null where it holds Chinese: where fields have
 * slipped that is a name, which must go when the line goes.
 */
export function keepKey(key: string | null): string | null {
  return key !== null && /\p{Script=Han}/u.test(key) ? null : key;
}

function maskField(field: string): string {
  if (!CODE.test(field) || isWord(field)) return STARS;
  const masked = field.replace(/\d{7,}/g, STARS);
  const digits = masked.replace(/\D/g, '').length;
  return digits >= 7 ? STARS : masked;
}

/** Letters alone, and more of them than the document's codes have. */
function isWord(field: string): boolean {
  return /^[A-Za-z]{4,}$/.test(field.replace(/[_./-]/g, ''));
}
