import type { Interval } from './interval.ts';

/** What a record for programs may hold. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [name: string]: Json };

/** A time (milliseconds, or a `Date`) for programs: ISO 8601 in UTC; null for none or an endless one. */
export function isoTime(at: number | Date | null): string | null {
  return at === null || !Number.isFinite(Number(at)) ? null : new Date(at).toISOString();
}

/** A duration (milliseconds) for programs: whole seconds. */
export function seconds(ms: number | null): number | null {
  return ms === null ? null : Math.floor(ms / 1000);
}

/** An interval for programs; an endless side is null. */
export function range({ from, to }: Interval): { from: string | null; to: string | null } {
  return { from: isoTime(from), to: isoTime(to) };
}
