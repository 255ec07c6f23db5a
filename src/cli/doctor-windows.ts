import { formatChinaIso, SECOND } from '../core/china-time.ts';
import type { Dataset } from '../core/dataset.ts';
import type { Interval } from '../core/interval.ts';
import { type Finding, failed, ok, warning } from './finding.ts';

/** The lines that a window of a table brings, without its header. */
export type Lines = ReadonlySet<string>;

/** Asks for a window of one table. */
export type AskWindow = (window: Interval) => Promise<Lines>;

/** A window with what it brought. */
export interface AskedWindow {
  readonly window: Interval;
  readonly lines: Lines;
}

/**
 * Tells whether the platform minds the ends of a window, by asking for single seconds of a wide one:
 * two seconds that have no instant in common can not both bring what the wide one brings. A platform
 * that ignored `lastTimestamp` would make coverage a lie.
 */
export async function checkEnds(
  { name }: Dataset,
  { window, lines }: AskedWindow,
  ask: AskWindow,
): Promise<Finding> {
  const check = `windows of ${name}`;
  const { from, to } = window;
  const bringsAll = async (...seconds: readonly number[]): Promise<boolean> => {
    for (const start of seconds) {
      const single = await ask({ from: start, to: start + SECOND });
      // No more than half: two such seconds can share the rows between them.
      if (2 * overlap(single, lines) <= lines.size) return false;
    }
    return true;
  };
  if (await bringsAll(to - SECOND, to - 3 * SECOND)) {
    return failed(
      check,
      'a single second brings the same rows as all the time before it: lastTimestamp is ignored',
      'ask the platform: what is covered can not be proved like this, and every run loads everything',
    );
  }
  if (await bringsAll(from, from + 2 * SECOND)) {
    return warning(
      check,
      'a single second brings the same rows as all the time behind it: timestamp is ignored',
      'ask the platform: re-reading old windows brings new rows under their time',
    );
  }
  return ok(check, 'narrow and wide ones are answered differently');
}

function overlap(some: Lines, all: Lines): number {
  let count = 0;
  for (const line of some) if (all.has(line)) count += 1;
  return count;
}

/**
 * Finds out whether a change at the very end of a window belongs to it, by halving a window that brings
 * something down to a second, and asking for the seconds before and behind (P7).
 */
export async function checkBounds({ window }: AskedWindow, ask: AskWindow): Promise<Finding> {
  const check = 'bounds of windows';
  let { from, to } = window;
  while (to - from > SECOND) {
    const middle = from + Math.floor((to - from) / (2 * SECOND)) * SECOND;
    const late = await ask({ from: middle, to });
    if (late.size > 0) from = middle;
    else to = middle;
  }
  const lines = await ask({ from, to });
  if (lines.size === 0) {
    return warning(
      check,
      `what changed at ${formatChinaIso(to)} is in no window that begins or ends there`,
      'keep SYNC_OVERLAP at 2s or more, as it is by default',
    );
  }
  const before = await ask({ from: from - SECOND, to: from });
  const behind = await ask({ from: to, to: to + SECOND });
  const isInBoth = overlap(lines, before) + overlap(lines, behind) > 0;
  return ok(
    check,
    isInBoth
      ? 'a change at the end of one window and the beginning of the next is in both'
      : 'a change at the end of one window and the beginning of the next is in one of them',
  );
}
