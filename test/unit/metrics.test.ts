import { expect, it } from 'vitest';
import { openEventMetrics } from '../../src/web/event-metrics.ts';
import { openMetrics } from '../../src/web/metrics.ts';
import type { ProcessSources } from '../../src/web/process-metrics.ts';
import { readSamples } from '../support/promql.ts';

/** Metrics of a process whose database is away, and whose queue is read like this. */
async function scrape(depths: ProcessSources['depths']) {
  const metrics = openMetrics({
    limit: 20,
    read: () => Promise.reject(new Error('away')),
    sources: {
      events: openEventMetrics().registry,
      platform: () => ({ requests: 7, tokenRenewals: 2, answerSignMismatches: 1 }),
      pools: () => [{ name: 'runs', max: 4, total: 3, idle: 1, waiting: 5 }],
      depths,
    },
  });
  const samples = () => metrics.scrape().then(readSamples);
  const find = async (name: string, labels: object = {}) =>
    (await samples())
      .filter(
        (one) =>
          one.name === `vcc_sync_${name}` &&
          Object.entries(labels).every(([label, value]) => one.labels[label] === value),
      )
      .map(({ value }) => value);
  return { find };
}

it('tells of queue, pools and platform while the database is away', async () => {
  const { find } = await scrape(async () => [{ queue: 'sync', state: 'waiting', jobs: 9 }]);
  expect(await find('database_up')).toEqual([0]);
  expect(await find('queue_up')).toEqual([1]);
  expect(await find('queue_jobs', { queue: 'sync', state: 'waiting' })).toEqual([9]);
  expect(await find('pool_connections', { pool: 'runs', state: 'used' })).toEqual([2]);
  expect(await find('pool_connections', { pool: 'runs', state: 'idle' })).toEqual([1]);
  expect(await find('pool_connections_max', { pool: 'runs' })).toEqual([4]);
  expect(await find('pool_waiting', { pool: 'runs' })).toEqual([5]);
  expect(await find('platform_requests_total')).toEqual([7]);
  expect(await find('token_renewals_total')).toEqual([2]);
  expect(await find('answer_sign_mismatches_total')).toEqual([1]);
});

it('says that the queue is away when it is not there yet, fails, or does not answer; asked once', async () => {
  let asked = 0;
  const silent = () => {
    asked += 1;
    return new Promise<never>(() => {});
  };
  for (const depths of [() => null, () => Promise.reject(new Error('away')), silent]) {
    const { find } = await scrape(depths);
    expect(await find('queue_up')).toEqual([0]);
    expect(await find('queue_jobs')).toEqual([]);
  }
  expect(asked).toBe(1);
});

it('shows every counter with 0 from the start, so that a first increase is seen as one', async () => {
  const samples = readSamples(await openEventMetrics().registry.metrics());
  const series = (name: string) => samples.filter((one) => one.name === `vcc_sync_${name}`).length;
  expect(series('runs_total')).toBe(4 * 3);
  expect(series('rows_total')).toBe(4 * 5);
  expect(series('rejects_total')).toBe(4 * 7);
  expect(series('planner_ticks_total')).toBe(1);
  expect(series('run_duration_seconds_count')).toBe(4 * 3);
  expect(samples.every(({ value }) => value === 0)).toBe(true);
});
