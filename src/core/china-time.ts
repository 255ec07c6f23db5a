/** China has one time zone and no daylight saving: UTC+8, all year (P2, P7). */
const OFFSET = 8 * 3_600_000;

/** One day in milliseconds. */
export const DAY = 86_400_000;
/** One hour in milliseconds. */
export const HOUR = 3_600_000;
/** One minute in milliseconds. */
export const MINUTE = 60_000;
/** One second in milliseconds. */
export const SECOND = 1_000;

/** A calendar date in China; `month` runs from 0 to 11, as in `Date`. */
export interface ChinaDate {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

/** The calendar date in China at an instant (milliseconds since the epoch). */
export function chinaDate(at: number): ChinaDate {
  const shifted = new Date(at + OFFSET);
  return {
    year: shifted.getUTCFullYear(),
    month: shifted.getUTCMonth(),
    day: shifted.getUTCDate(),
  };
}

/**
 * The instant (milliseconds) at which a date begins in China.
 *
 * Days and months past their end roll over, as in `Date.UTC`.
 */
export function chinaMidnight(year: number, month: number, day: number): number {
  return Date.UTC(year, month, day) - OFFSET;
}

/** Cuts an instant (milliseconds) down to its whole second, the platform's precision (P7). */
export function floorSecond(at: number): number {
  return Math.floor(at / SECOND) * SECOND;
}

/** The first whole second (milliseconds) that is not before an instant. */
export function ceilSecond(at: number): number {
  return Math.ceil(at / SECOND) * SECOND;
}

/**
 * Writes an instant (milliseconds) the way the platform reads it: `yyyyMMddHHmmss`, China time (P2, P7).
 *
 * @example formatChinaTime(Date.UTC(2017, 3, 20, 1, 10, 30)) // "20170420091030"
 */
export function formatChinaTime(at: number): string {
  return new Date(at + OFFSET).toISOString().slice(0, 19).replace(/\D/g, '');
}

/**
 * Writes an instant (milliseconds) for people: ISO 8601 with China's offset.
 *
 * @example formatChinaIso(0) // "1970-01-01T08:00:00+08:00"
 */
export function formatChinaIso(at: number): string {
  return `${new Date(at + OFFSET).toISOString().slice(0, 19)}+08:00`;
}

const COMPACT = /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})$/;
const ISO =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$/;

/** What four digits can write of China time: no database and no platform reads another year. */
const FIRST_TIME = Date.parse('0001-01-01T00:00:00+08:00');
const LAST_TIME = Date.parse('9999-12-31T23:59:59+08:00');

/**
 * Reads `yyyyMMddHHmmss` in China time; null if the text is anything else or no real time of day.
 *
 * @example parseChinaTime('20170420091030') // 1492650630000
 */
export function parseChinaTime(text: string): number | null {
  const parts = COMPACT.exec(text);
  if (!parts) return null;
  const at = Date.parse(
    `${parts[1]}-${parts[2]}-${parts[3]}T${parts[4]}:${parts[5]}:${parts[6]}+08:00`,
  );
  return at >= FIRST_TIME && formatChinaTime(at) === text ? at : null;
}

/**
 * Reads a time as people type it: ISO 8601 (without an offset: China time; a date alone: its
 * midnight in China) or `yyyyMMddHHmmss`. Fractions of a second are cut off; null if unreadable.
 */
export function parseTime(text: string): number | null {
  const compact = parseChinaTime(text);
  if (compact !== null) return compact;
  const parts = ISO.exec(text);
  if (!parts) return null;
  const [, year, month, day, hour = '00', minute = '00', second = '00', zone = '+08:00'] = parts;
  const clock = `${year}-${month}-${day}T${hour}:${minute}:${second}`;
  // Date.parse rolls 30 February over to March: such a typing slip must not become another day.
  const literal = Date.parse(`${clock}Z`);
  if (Number.isNaN(literal) || new Date(literal).toISOString().slice(0, 19) !== clock) return null;
  const offset = zone === 'Z' ? 'Z' : zone.replace(/^(.\d\d):?(\d\d)$/, '$1:$2');
  const at = Date.parse(`${clock}${offset}`);
  return at >= FIRST_TIME && at <= LAST_TIME ? at : null;
}
