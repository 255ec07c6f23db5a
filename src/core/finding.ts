import type { Interval } from './interval.ts';

/** How a row of the table and one of the source differ. */
export const FINDING_KINDS = ['missing', 'changed', 'extra'] as const;

/**
 * How a row differs: `missing` is only at the source, `changed` has other content here, `extra` is
 * only here.
 */
export type FindingKind = (typeof FINDING_KINDS)[number];

/** A row in which table and source differ; never a value of it. */
export interface Finding {
  readonly kind: FindingKind;
  readonly rowKey: string;
  /** Columns that differ; null unless it is `changed`. */
  readonly columns: readonly string[] | null;
  /** Source time in which it changed, as far as that is known. */
  readonly during?: Interval;
  /** Milliseconds: it came later than this after its change, or not at all. */
  readonly late?: number;
}

/** How many rows differ, all of them counted. */
export interface FindingCounts {
  readonly missing: number;
  readonly changed: number;
  /** Null where it can not be told. */
  readonly extra: number | null;
  /** Rows that differ because one side holds a newer state, which is right. */
  readonly stale: number;
}

/** Findings of each kind that are kept of one comparison; all are counted. */
export const KEPT_FINDINGS = 1000;

/**
 * The first findings of each kind, as they come; by default those that are kept.
 *
 * @param before how many there were of each kind
 * @param limit how many of each kind
 */
export function firstOfEach(
  findings: readonly Finding[],
  before: Readonly<Partial<Record<FindingKind, number>>> = {},
  limit: number = KEPT_FINDINGS,
): readonly Finding[] {
  const seen = { missing: 0, changed: 0, extra: 0, ...before };
  return findings.filter(({ kind }) => {
    seen[kind] += 1;
    return seen[kind] <= limit;
  });
}

/** Rows of the table that an extract may lack before it is taken for a part, in percent. */
export const MAX_ABSENT_PERCENT = 5;
/** Fewer absent rows than this are always believed. */
export const MIN_ABSENT = 20;

/**
 * Whether an extract lacks so many rows that it can hardly be full.
 *
 * @param own rows of the table that are not absent yet
 * @param maxPercent what somebody allows instead of the default; it also lifts the minimum count
 */
export function tooManyAbsent(own: number, absent: number, maxPercent: number | null): boolean {
  if (maxPercent !== null) return absent > (own * maxPercent) / 100;
  return absent >= MIN_ABSENT && absent > (own * MAX_ABSENT_PERCENT) / 100;
}
