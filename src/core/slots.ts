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

/**
 * How many feeds a process may serve at once that failed when they were last tried: half of all, so that
 * slow ones never hold up those that are well; one where there is only one place.
 */
export function slotsForFailing(concurrency: number): number {
  return Math.max(1, Math.floor(concurrency / 2));
}
