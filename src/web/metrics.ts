import { setTimeout as sleep } from 'node:timers/promises';
import { Gauge, Registry } from 'prom-client';
import type { QueueDepth } from '../queue/depths.ts';
import { feedMetrics, type Readings } from './feed-metrics.ts';
import {
  connectionMetrics,
  type ProcessSources,
  queueMetrics,
  usualMetrics,
} from './process-metrics.ts';
import { shared } from './shared-work.ts';

/** The metrics of a process and of what the database tells. */
export interface Metrics {
  readonly contentType: string;
  /** Everything in Prometheus's text format. */
  scrape(): Promise<string>;
}

/** Where the metrics come from. */
export interface MetricsOptions {
  /** Reads what the database tells. */
  readonly read: () => Promise<Readings>;
  /** What the process tells of itself, beyond its memory and the like; null: nothing. */
  readonly sources?: ProcessSources | null;
  /** How long a scrape waits for database and queue, in milliseconds. */
  readonly limit: number;
}

/**
 * Opens the metrics: those of the process, and at each scrape those of the database and the queue.
 *
 * While the database is away, `vcc_sync_database_up` is 0 and the process's own metrics go on; so it
 * is with the queue. A reading that hangs is not asked for a second time: scrapes must not use up the
 * connections.
 */
export function openMetrics({ read, sources = null, limit }: MetricsOptions): Metrics {
  const readFeeds = shared(() =>
    read()
      .then(feedMetrics)
      .catch(() => null),
  );
  const readDepths = shared<readonly QueueDepth[] | null>(
    async () => (await sources?.depths()?.catch(() => null)) ?? null,
  );
  return {
    contentType: Registry.PROMETHEUS_CONTENT_TYPE,
    async scrape() {
      const [feeds, depths] = await Promise.all([
        within(limit, readFeeds()),
        within(limit, readDepths()),
      ]);
      const own = sources && [sources.events, connectionMetrics(sources), queueMetrics(depths)];
      const parts = [usualMetrics(), ...(own ?? []), databaseMetrics(feeds !== null)];
      if (feeds) parts.push(feeds);
      return (await Promise.all(parts.map((part) => part.metrics()))).join('\n');
    },
  };
}

/** Waits for work, but no longer than the limit; null if that is over. */
async function within<T>(limit: number, work: Promise<T>): Promise<T | null> {
  const over = new AbortController();
  try {
    return await Promise.race([work, sleep(limit, null, { signal: over.signal })]);
  } finally {
    over.abort();
  }
}

function databaseMetrics(up: boolean): Registry {
  const registry = new Registry();
  new Gauge({
    name: 'vcc_sync_database_up',
    help: 'Whether the database could be read for this scrape (0 or 1); if not, what it tells is missing.',
    registers: [registry],
  }).set(up ? 1 : 0);
  return registry;
}
