import { parseTime } from '../core/china-time.ts';

/** Numbers from here on are Unix seconds, and from there on Unix milliseconds. */
const UNIX_SECONDS = 1e9;
const UNIX_MILLISECONDS = 1e12;

/** Reads a time whose form varies: as text, as `yyyyMMddHHmmss`, or as a Unix time (P8); null if unreadable. */
export function readCreateTime(value: unknown): number | null {
  if (typeof value !== 'string' && typeof value !== 'number') return null;
  const known = parseTime(String(value).trim());
  const number = Number(value);
  if (known !== null || !(number >= UNIX_SECONDS && number < 100 * UNIX_MILLISECONDS)) return known;
  return number >= UNIX_MILLISECONDS ? number : number * 1000;
}
