import { formatChinaTime } from './china-time.ts';

/** The counter's largest value; after it comes 1 again (P2). */
export const LAST_COUNTER = 99_999_999_999_999;

/** The counter that follows, wrapping to 1 (P2). */
export function nextCounter(counter: number): number {
  return counter >= LAST_COUNTER ? 1 : counter + 1;
}

/**
 * Writes a message number: interface code (4 digits), China time, counter (14 digits): 32 in all (P2).
 *
 * @param at milliseconds since the epoch
 * @example formatSeq('1002', Date.UTC(2017, 3, 20, 1, 10, 30), 1) // "10022017042009103000000000000001"
 */
export function formatSeq(interfaceCode: string, at: number, counter: number): string {
  return `${interfaceCode}${formatChinaTime(at)}${String(counter).padStart(14, '0')}`;
}
