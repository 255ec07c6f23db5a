/**
 * Lets one and the same event through at most once in a while, so that trouble does not flood the log.
 *
 * @param every milliseconds
 * @returns whether to say an event now, by its name and the time in milliseconds
 * @example const maySay = limitRepeats(60_000); // maySay('away', 0) true, maySay('away', 59_999) false
 */
export function limitRepeats(every: number): (event: string, now: number) => boolean {
  const said = new Map<string, number>();
  return (event, now) => {
    const last = said.get(event);
    if (last !== undefined && now - last < every) return false;
    said.set(event, now);
    return true;
  };
}

/** Milliseconds between log lines about one and the same trouble. */
export const REPEAT_EVERY = 60_000;
