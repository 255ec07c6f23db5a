/** One request that is under way. */
export interface Turn {
  /** Requests for the same feed that were under way when it came. */
  readonly ahead: number;
  /** Call it when the request has ended. */
  leave(): void;
}

/** Counts the requests for each feed that are under way. */
export interface Downloads {
  /** The most that were ever under way for one feed at once. */
  readonly most: number;
  /** Enters one request for a feed. */
  enter(feed: string): Turn;
}

/** A count with nothing under way. */
export function createDownloads(): Downloads {
  const counts = new Map<string, number>();
  let most = 0;

  function add(feed: string, difference: number): number {
    const count = (counts.get(feed) ?? 0) + difference;
    counts.set(feed, count);
    most = Math.max(most, count);
    return count;
  }

  return {
    get most() {
      return most;
    },
    enter: (feed) => ({ ahead: add(feed, 1) - 1, leave: () => void add(feed, -1) }),
  };
}
