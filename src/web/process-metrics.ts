import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { PoolUse } from '../core/pool-use.ts';
import type { QueueDepth } from '../queue/depths.ts';

/** What the platform's client of this process has done since its start. */
export interface PlatformCounts {
  readonly requests: number;
  readonly tokenRenewals: number;
  readonly answerSignMismatches: number;
}

/** What a process tells of itself at each scrape. */
export interface ProcessSources {
  /** Counters of what has happened here. */
  readonly events: Registry;
  readonly platform: () => PlatformCounts;
  readonly pools: () => readonly PoolUse[];
  /** Jobs in the queue, or null while it is still waited for. */
  readonly depths: () => Promise<readonly QueueDepth[]> | null;
}

let usual: Registry | null = null;

/** Memory, CPU, event loop and the like, under their usual names; they are observed once a process. */
export function usualMetrics(): Registry {
  if (usual) return usual;
  usual = new Registry();
  collectDefaultMetrics({ register: usual });
  return usual;
}

/** Writes down requests to the platform and the use of connections, in a registry of their own. */
export function connectionMetrics({ platform, pools }: ProcessSources): Registry {
  const registry = new Registry();
  const { requests, tokenRenewals, answerSignMismatches } = platform();
  const count = (name: string, help: string, value: number) =>
    new Counter({ name: `vcc_sync_${name}`, help, registers: [registry] }).inc(value);
  count('platform_requests_total', 'Requests sent, getToken and repeats included.', requests);
  count('token_renewals_total', 'Session tokens issued to this process.', tokenRenewals);
  count(
    'answer_sign_mismatches_total',
    'Answers whose signature did not agree.',
    answerSignMismatches,
  );
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Gauge({ name: `vcc_sync_${name}`, help, labelNames, registers: [registry] });
  const open = gauge('pool_connections', 'Open connections to Postgres, by pool.', [
    'pool',
    'state',
  ]);
  const most = gauge('pool_connections_max', 'Most connections of a pool.', ['pool']);
  const waiting = gauge('pool_waiting', 'Callers that wait for a connection.', ['pool']);
  for (const { name: pool, ...use } of pools()) {
    open.set({ pool, state: 'idle' }, use.idle);
    open.set({ pool, state: 'used' }, use.total - use.idle);
    most.set({ pool }, use.max);
    waiting.set({ pool }, use.waiting);
  }
  return registry;
}

/** Writes down the depth of the queue; null: it could not be read. */
export function queueMetrics(depths: readonly QueueDepth[] | null): Registry {
  const registry = new Registry();
  new Gauge({
    name: 'vcc_sync_queue_up',
    help: 'Whether the queue could be read for this scrape (0 or 1).',
    registers: [registry],
  }).set(depths ? 1 : 0);
  if (depths === null) return registry;
  const jobs = new Gauge({
    name: 'vcc_sync_queue_jobs',
    help: 'Jobs by queue and state; the same in every process.',
    labelNames: ['queue', 'state'],
    registers: [registry],
  });
  for (const { queue, state, jobs: count } of depths) jobs.set({ queue, state }, count);
  return registry;
}
