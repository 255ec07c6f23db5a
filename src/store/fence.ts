import type pg from 'pg';
import type { Client, PoolClient } from 'pg';

/** A connection in use. */
export interface HeldConnection {
  /** When it was taken from its pool, in milliseconds of the fence's clock. */
  readonly since: number;
}

/**
 * Which connections of a process are to be given up: Postgres has not answered for longer than `limit`,
 * and they have been held for as long. By then others have ended what they carried, if they could.
 *
 * @param answeredAt when Postgres last answered this process
 * @param limit milliseconds
 */
export function lostConnections<T extends HeldConnection>(
  held: readonly T[],
  answeredAt: number,
  now: number,
  limit: number,
): T[] {
  return held.filter(({ since }) => now - Math.max(since, answeredAt) > limit);
}

/**
 * Cuts the connections of a process that has lost its way to Postgres (a dead route, a firewall that
 * swallows everything): nobody tells, and what waits for an answer would wait until TCP gives up,
 * with a job in the queue that no other process can take.
 */
export interface Fence {
  /**
   * Asks for a sign of life, and cuts what is held if there has been none for too long. Nothing held,
   * nothing asked.
   */
  check(): Promise<void>;
}

/** What a fence is made of. */
export interface FenceOptions {
  readonly pools: readonly pg.Pool[];
  /** Asks Postgres something; an error that Postgres itself answers is an answer, too. */
  readonly ask: () => Promise<unknown>;
  /** Milliseconds without an answer after which connections are cut. */
  readonly limit: number;
  /** Told how many were cut. */
  readonly onCut: (connections: number) => void;
  /** Milliseconds from any moment; it must not be set back. */
  readonly clock?: () => number;
}

/** Puts a fence around pools, before the first connection is taken from them. */
export function openFence(options: FenceOptions): Fence {
  const { pools, ask, limit, onCut, clock = () => performance.now() } = options;
  const held = new Map<PoolClient, HeldConnection & { readonly client: PoolClient }>();
  for (const pool of pools) {
    pool.on('acquire', (client) => held.set(client, { client, since: clock() }));
    pool.on('release', (_error, client) => held.delete(client));
  }
  let answeredAt = clock();
  return {
    async check() {
      if (held.size === 0) return;
      const lost = lostConnections([...held.values()], answeredAt, clock(), limit);
      for (const { client } of lost) cut(client);
      if (lost.length > 0) onCut(lost.length);
      try {
        await ask();
        answeredAt = clock();
      } catch (error) {
        if (isAnswer(error)) answeredAt = clock();
        throw error;
      }
    },
  };
}

/** Whether Postgres itself has said so: its errors alone carry a severity. */
function isAnswer(error: unknown): boolean {
  return typeof (error as { severity?: unknown } | null)?.severity === 'string';
}

/** Destroys a connection without a word to the other side; its statements end as with any that is lost. */
function cut(client: PoolClient): void {
  const lost = Object.assign(new Error('Connection terminated'), { code: 'ETIMEDOUT' });
  (client as PoolClient & Client).connection.stream.destroy(lost);
}
