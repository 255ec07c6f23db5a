/** Places of which only so many are taken at once. */
export interface Slots {
  /** Takes one and answers how to give it back; null while all are taken. */
  take(): (() => void) | null;
}

/** Opens so many places, all of them free. */
export function openSlots(count: number): Slots {
  let taken = 0;
  return {
    take() {
      if (taken >= count) return null;
      taken += 1;
      let isGiven = false;
      return () => {
        if (!isGiven) taken -= 1;
        isGiven = true;
      };
    },
  };
}

/** A feed whose last run took so many milliseconds to fail may hold its place for long again. */
const SLOW = 5_000;

/**
 * Whether a feed that fails needs one of the places for such: those that fail at once hold nobody up.
 *
 * @param failedAfter how long its last failed run took, in milliseconds; null: it does not fail
 */
export function isSlowToFail(failedAfter: number | null): boolean {
  return failedAfter !== null && failedAfter >= SLOW;
}

/**
 * How many feeds that are slow to fail a process may serve at once: half of all, so that they never
 * hold up those that are well; one where there is only one place.
 */
export function slotsForFailing(concurrency: number): number {
  return Math.max(1, Math.floor(concurrency / 2));
}
