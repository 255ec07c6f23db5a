/** What became of the rows of one window. */
export interface MergeCounts {
  readonly inserted: number;
  readonly updated: number;
  readonly unchanged: number;
  /** Refused because a newer window had delivered another content. */
  readonly stale: number;
  /** Superseded by a later line of the same key. */
  readonly duplicate: number;
}

/** What a run saw and did, in numbers that must balance (design invariant 3). */
export interface Receipt extends MergeCounts {
  /** Lines of data; the header and blank lines do not count. */
  readonly lines: number;
  readonly accepted: number;
  readonly rejected: number;
  /** Rows with at least one value that the document does not allow. */
  readonly flagged: number;
}

/** A receipt of nothing. */
export const EMPTY_RECEIPT: Receipt = {
  lines: 0,
  accepted: 0,
  rejected: 0,
  inserted: 0,
  updated: 0,
  unchanged: 0,
  stale: 0,
  duplicate: 0,
  flagged: 0,
};

/** Whether every line is accounted for (design invariant 3). */
export function balances(receipt: Receipt): boolean {
  const { lines, accepted, rejected, inserted, updated, unchanged, stale, duplicate } = receipt;
  return (
    lines === accepted + rejected && accepted === inserted + updated + unchanged + stale + duplicate
  );
}

/** Share of refused lines, in percent, above which a run fails. */
export const MAX_REJECTS_PERCENT = 5;
/** Fewer refused lines than this never fail a run. */
export const MIN_REJECTS = 20;

/**
 * Whether so many lines were refused that the run must fail (design invariant 8).
 *
 * @param maxPercent what a request allows instead of the default; it also lifts the minimum count
 */
export function tooManyRejects(
  lines: number,
  rejected: number,
  maxPercent: number | null,
): boolean {
  if (maxPercent !== null) return rejected > (lines * maxPercent) / 100;
  return rejected >= MIN_REJECTS && rejected > (lines * MAX_REJECTS_PERCENT) / 100;
}
