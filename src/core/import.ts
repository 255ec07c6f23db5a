import { formatChinaIso } from './china-time.ts';
import { FatalError } from './errors.ts';
import { checkIntervalForm, checkWholeSecond, type Interval } from './interval.ts';

/** What source time the rows of an import stand for; milliseconds of whole seconds. */
export type ImportSpan =
  /** They are the changes of an interval. */
  | { readonly kind: 'interval'; readonly during: Interval }
  /** They are rows as they stood at a time: some of them, or all there were. */
  | { readonly kind: 'as-of'; readonly asOf: number; readonly full: boolean };

/** What a feed's coverage gains by rows got by other means; times in milliseconds. */
export interface CoverageGain {
  /** Source time that is covered by them; null for none. */
  readonly covers: Interval | null;
  /** Where the feed's promise begins, if nothing has set it; null leaves that open. */
  readonly since: number | null;
  /** Time of a full extract: the promise begins there at the latest; null if it is none. */
  readonly baselineAt: number | null;
}

/** The request that a run leaves behind that brings its rows along: who, when, why. */
export interface OwnRequest {
  readonly kind: 'import' | 'replay' | 'reconcile';
  /** What it covers; null for nothing. */
  readonly during: Interval | null;
  /** Percent of lines that may be refused; null: the default. */
  readonly maxRejects: number | null;
  readonly reason: string | null;
  /** Who wants it, such as `cli:root`. */
  readonly requestedBy: string;
}

/**
 * The window of an import's run: its interval, or the empty one at its time; its end is what the rows'
 * `synced_through` becomes.
 */
export function importWindow(span: ImportSpan): Interval {
  return span.kind === 'interval' ? span.during : { from: span.asOf, to: span.asOf };
}

/** The source time that an import covers: a full extract all before it, other rows of a time nothing. */
export function importCovers(span: ImportSpan): Interval | null {
  if (span.kind === 'interval') return span.during;
  return span.full ? { from: -Infinity, to: span.asOf } : null;
}

/**
 * Checks what an import is said to hold.
 *
 * @param until end of what may count as past (`settledUntil`)
 * @throws FatalError CONFIG if it is not in whole seconds, empty, or not yet past
 */
export function checkImportSpan(span: ImportSpan, until: number): void {
  if (span.kind === 'interval') checkIntervalForm(span.during);
  else checkWholeSecond(span.asOf);
  const { to } = importWindow(span);
  if (to > until) {
    throw new FatalError(
      'CONFIG',
      `${formatChinaIso(to)} is not past: no file can hold more than what had settled by ${formatChinaIso(until)}`,
    );
  }
}
