import { once } from 'node:events';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { HOUR, MINUTE } from '../../src/core/china-time.ts';
import type { FeedName } from '../../src/core/dataset.ts';
import { keyPrefix, openBackend, type QueueBackend } from '../../src/queue/backend.ts';
import { SYNC_QUEUE, type SyncJob, syncJobOptions } from '../../src/queue/sync-job.ts';
import { startWorker } from '../../src/queue/worker.ts';
import { catchUp } from '../../src/sync/catch-up.ts';
import { planTick } from '../../src/sync/plan.ts';
import { eventually } from '../support/eventually.ts';
import { startQueueProcess } from '../support/queue-process.ts';
import { useRedis } from '../support/redis.ts';
import { type Harness, openHarness } from '../support/sync-harness.ts';

const redis = useRedis();

function suite(kind: 'redis' | 'postgres') {
  let h: Harness;
  let stops: (() => Promise<void>)[];

  beforeEach(async () => {
    const orgs = [
      { code: 'WJ0105', name: '吴江' },
      { code: 'NJ0101', name: '南京' },
    ];
    h = await openHarness({ world: { orgs, subscribersPerOrg: 20 }, runs: 8, failing: 2 });
    await h.addOrgs(['WJ0105', 'NJ0101']);
    stops = [];
  });

  afterEach(async () => {
    for (const stop of stops.reverse()) await stop();
    await h.close();
  });

  /** One process's connections to the queue; closed with the test. */
  async function openQueue(): Promise<QueueBackend> {
    const backend = openBackend({
      redisUrl: kind === 'redis' ? redis.url : null,
      databaseUrl: h.databaseUrl,
      namespace: await h.store.databaseName(),
      onError: () => {},
    });
    stops.push(() => backend.close());
    return backend;
  }

  async function start(
    processes: number,
    options: Parameters<typeof startQueueProcess>[2] = {},
  ): Promise<void> {
    for (let count = 0; count < processes; count += 1) {
      stops.push(await startQueueProcess(h, await openQueue(), options));
    }
  }

  async function expectInStep(): Promise<void> {
    const [row] = await h.query<{ due: number }>(
      'select count(*)::int as due from vcc.feed where next_due_at <= $1',
      [new Date(h.now)],
    );
    expect(row!.due).toBe(0);
  }

  it('wakes every feed that is due and brings it into step, again and again', async () => {
    await start(1);
    await eventually(expectInStep);
    await h.expectEqual();
    for (let round = 0; round < 3; round += 1) {
      h.world.change(20, h.now + MINUTE);
      h.now += 20 * MINUTE;
      await eventually(expectInStep);
      await h.expectEqual();
    }
  });

  it('loads what is due while the ledgers are thinned, which is done by one at a time and ends with it', async () => {
    let [begun, ended, jobsAtFirst] = [0, 0, -1];
    const backend = await openQueue();
    const queue = backend.queue<SyncJob>(SYNC_QUEUE);
    const stop = await startQueueProcess(h, backend, {
      async keep(signal) {
        begun += 1;
        const { completed, active, waiting } = await queue.getJobCounts();
        if (begun === 1) jobsAtFirst = completed! + active! + waiting!;
        if (!signal.aborted) await once(signal, 'abort');
        ended += 1;
      },
    });
    stops.push(stop, () => queue.close());
    for (let round = 0; round < 2; round += 1) {
      await eventually(expectInStep);
      h.now += 20 * MINUTE;
    }
    await eventually(expectInStep);
    expect([begun, ended, jobsAtFirst]).toEqual([1, 0, 8]);
    for (const one of stops.splice(-2).reverse()) await one();
    expect(ended).toBe(1);
  });

  it('shares the work among several planners and workers, and never loads a feed twice at once', async () => {
    await start(3);
    await eventually(expectInStep);
    await h.expectEqual();
    expect(h.simulator.maxConcurrentPerFeed).toBe(1);
    const twice = await h.query(
      'select feed_id, window_from from vcc.run group by 1, 2 having count(*) > 1',
    );
    expect(twice).toEqual([]);
  });

  it('shows a failed run in words without a stack, and runs it again by hand though it is not due', async () => {
    h.simulator.refuse('WJ0105', 'meters');
    await start(1);
    const queue = (await openQueue()).queue<SyncJob>(SYNC_QUEUE);
    stops.push(() => queue.close());
    const failed = await eventually(async () => {
      const [job] = await queue.getFailed();
      expect(job).toBeDefined();
      return job!;
    });
    expect(failed.failedReason).toMatch(/^PLATFORM_ERROR: .*; read the code and message/);
    expect((failed.stacktrace ?? []).join('\n')).not.toMatch(/\.ts:\d+|\n {4}at /);
    h.simulator.allow('WJ0105', 'meters');
    await failed.retry();
    await eventually(() => h.expectEqual(['meters']));
  });

  it('fails a job whose data name no feed, and leaves the rest alone', async () => {
    await start(1);
    const queue = (await openQueue()).queue<object>(SYNC_QUEUE);
    stops.push(() => queue.close());
    const job = await queue.add('sync', { dataset: 'gas' }, { attempts: 1 });
    await eventually(async () => expect(await job.getState()).toBe('failed'));
    await eventually(expectInStep);
  });

  it('queues a feed once, however often it is added', async () => {
    const queue = (await openQueue()).queue<SyncJob>(SYNC_QUEUE);
    stops.push(() => queue.close());
    const feed: SyncJob = { dataset: 'meters', orgCode: 'WJ0105' };
    for (let count = 0; count < 5; count += 1) await queue.add('sync', feed, syncJobOptions(feed));
    expect(await queue.getWaitingCount()).toBe(1);
  });

  it('gives the window in hand back when it must stop before it is done', async () => {
    const { platform } = h.sync;
    let reached = () => {};
    const inHand = new Promise<void>((resolve) => {
      reached = resolve;
    });
    const world = {
      ...h.sync,
      platform: {
        async download(...[request, signal]: Parameters<typeof platform.download>) {
          reached();
          await once(signal, 'abort');
          return platform.download(request, signal);
        },
      },
    };
    const backend = await openQueue();
    const worker = await startWorker({
      backend,
      concurrency: 1,
      run: (feed, regardless, signal) =>
        catchUp(world, feed, { trigger: 'schedule', regardless }, signal),
    });
    const queue = backend.queue<SyncJob>(SYNC_QUEUE);
    stops.push(() => queue.close());
    const feed: SyncJob = { dataset: 'meters', orgCode: 'WJ0105' };
    await queue.add('sync', feed, syncJobOptions(feed));
    await inHand;
    await worker.close(50);
    const runs = await h.query('select status, error_code from vcc.run');
    expect(runs).toEqual([{ status: 'interrupted', error_code: 'INTERRUPTED' }]);
    const [state] = await h.query<{ failures: number; due: boolean }>(
      `select consecutive_failures as failures, next_due_at <= $1 as due from vcc.feed
        where dataset = 'meters' and org_code = 'WJ0105'`,
      [new Date(h.now)],
    );
    expect(state).toEqual({ failures: 0, due: true });
  });

  it('serves those that are well while feeds that were slow to fail hang, which are served two at a time', async () => {
    await start(1);
    await eventually(expectInStep);
    const over = new AbortController();
    let [hanging, most] = [0, 0];
    h.interfere = async (_request, response, { record }) => {
      if (record.orgCode !== 'WJ0105') return false;
      hanging += 1;
      most = Math.max(most, hanging);
      if (!over.signal.aborted) await once(over.signal, 'abort');
      hanging -= 1;
      response.destroy();
      return true;
    };
    await h.query(`update vcc.feed set consecutive_failures = 1 where org_code = 'WJ0105'`);
    await h.query(`update vcc.run set status = 'failed', error_code = 'DOWNLOAD_TIMEOUT',
      started_at = finished_at - interval '1 minute' where org_code = 'WJ0105'`);
    for (let round = 0; round < 3; round += 1) {
      h.world.change(20, h.now + MINUTE);
      h.now += 20 * MINUTE;
      await eventually(async () => {
        const well = await h.query(
          `select from vcc.feed where org_code = 'NJ0101' and next_due_at > $1`,
          [new Date(h.now)],
        );
        expect(well.length).toBe(4);
      });
      await eventually(() => expect(hanging).toBe(2));
    }
    expect(most).toBe(2);
    h.interfere = null;
    over.abort();
  });

  if (kind === 'redis') {
    it('loses nothing with Redis but a tick: a request survives and runs once, the scheduler comes back', async () => {
      const woken: (readonly FeedName[])[] = [];
      let isEmptying = false;
      const plan = async () => {
        if (isEmptying) return [];
        const feeds = await planTick(h.sync);
        woken.push(feeds);
        return feeds;
      };
      await start(2, { plan });
      await eventually(expectInStep);
      isEmptying = true;
      const before = woken.length;
      await h.query(
        `insert into vcc.request (feed_id, kind, during, requested_by)
          select id, 'resync', tstzrange($1, $2), 'test' from vcc.feed where dataset = 'meters' and org_code = 'WJ0105'`,
        [new Date(h.now - 3 * HOUR), new Date(h.now - 2 * HOUR)],
      );
      const client = new Redis(inject('redisUrl')!);
      const keys = await client.keys(`${keyPrefix(await h.store.databaseName())}*`);
      await client.del(keys);
      client.disconnect();
      await h.query(
        `update vcc.feed set next_due_at = $1 where dataset = 'meters' and org_code = 'WJ0105'`,
        [new Date(h.now)],
      );
      isEmptying = false;
      await eventually(async () => {
        const [open] = await h.query<{ open: number }>(
          'select count(*)::int as open from vcc.request where finished_at is null',
        );
        expect(open!.open).toBe(0);
      });
      const runs = await h.query('select status from vcc.run where request_id is not null');
      expect(runs).toEqual([{ status: 'done' }]);
      // Ticks, not time: one may have been under way all along, so the second at the latest finds what is due.
      expect(woken.slice(before, before + 2).flat()).toContainEqual({
        dataset: 'meters',
        orgCode: 'WJ0105',
      });
      const ticks = woken.length;
      await eventually(() => expect(woken.length).toBeGreaterThan(ticks + 1));
      await expectInStep();
    });
  }
}

redis.describe('the queue on Redis', () => suite('redis'));
describe('the queue on Postgres', () => suite('postgres'));
