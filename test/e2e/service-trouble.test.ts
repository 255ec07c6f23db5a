import { once } from 'node:events';
import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import { SECOND } from '../../src/core/china-time.ts';
import { eventually } from '../support/eventually.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { useRedis } from '../support/redis.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { useService } from '../support/service-suite.ts';
import type { Harness } from '../support/sync-harness.ts';

const redis = useRedis();

/** A test that waits until the queue takes a dead worker's jobs from it, in milliseconds. */
const TAKE_OVER = 180_000;

/** Puts a proxy before a server, and takes it away with the test. */
async function withProxy<T>(url: string, work: (proxy: FaultProxy) => Promise<T>): Promise<T> {
  const { hostname: host, port } = new URL(url);
  const proxy = await startFaultProxy({ target: { host, port: Number(port) } });
  try {
    return await work(proxy);
  } finally {
    await proxy.close();
  }
}

async function readiness(url: string): Promise<{ status: number; missing: string[] }> {
  const { statusCode, body } = await request(`${url}/readyz`);
  const { missing } = (await body.json()) as { missing: { part: string }[] };
  return { status: statusCode, missing: missing.map(({ part }) => part) };
}

/**
 * Lets one kind of download hang from now on, and waits until the first does; answers how to end that:
 * the platform gives the hanging ones up.
 */
async function hang(h: Harness): Promise<() => void> {
  const giveUp = new AbortController();
  await new Promise<void>((begun) => {
    h.interfere = async (_request, response, { record }) => {
      if (record.interface !== '3004') return false;
      begun();
      const over = once(response, 'close');
      giveUp.signal.addEventListener('abort', () => response.destroy());
      await over;
      return true;
    };
  });
  return () => {
    h.interfere = null;
    giveUp.abort();
  };
}

async function stopsInOrder(one: ServiceProcess): Promise<void> {
  const { code, ms } = await one.stop();
  expect(code).toBe(0);
  expect(ms).toBeLessThan(25 * SECOND);
}

redis.describe('a service whose Redis goes away', () => {
  const service = useService({});

  it('says so, goes on when it is back, and stops in order without it', async () => {
    await withProxy(redis.url, async (proxy) => {
      const { current: h } = service;
      const one = await service.start({ REDIS_URL: proxy.url(redis.url) });
      await service.expectEqualAfter(Date.now());
      await proxy.refuse(true);
      proxy.cut();
      await eventually(async () => {
        expect(await readiness(one.url())).toEqual({ status: 503, missing: ['queue'] });
      });
      await proxy.refuse(false);
      h.world.change(20, Date.now());
      await service.expectEqualAfter(Date.now());
      await proxy.refuse(true);
      proxy.cut();
      await stopsInOrder(one);
      const trouble = one.lines.filter(({ msg }) => msg === 'queue connection trouble');
      expect(trouble.length).toBeGreaterThan(0);
      expect(trouble.length).toBeLessThan(20);
    });
  });

  it('gives the window in hand back though nobody can be told', async () => {
    await withProxy(redis.url, async (proxy) => {
      const { current: h } = service;
      const one = await service.start({ REDIS_URL: proxy.url(redis.url) });
      await service.expectEqualAfter(Date.now());
      await hang(h);
      await proxy.refuse(true);
      proxy.cut();
      await stopsInOrder(one);
      expect(await h.query(`select distinct status from vcc.run where status <> 'done'`)).toEqual([
        { status: 'interrupted' },
      ]);
    });
  });
});

describe('a service whose Postgres goes away', () => {
  const service = useService({});

  it('goes on by itself when it is back', async () => {
    const { current: h } = service;
    await withProxy(h.databaseUrl, async (proxy) => {
      const one = await service.start({ DATABASE_URL: proxy.url(h.databaseUrl) });
      await service.expectEqualAfter(Date.now());
      await proxy.refuse(true);
      proxy.cut();
      await eventually(async () => {
        const { status, missing } = await readiness(one.url());
        expect(status).toBe(503);
        expect(missing).toContain('database and schema');
      });
      await proxy.refuse(false);
      h.world.change(20, Date.now());
      await service.expectEqualAfter(Date.now());
      await stopsInOrder(one);
    });
  });
});

describe('a process that is killed or stopped in the middle of a download', () => {
  const service = useService({});

  it(
    'leaves its feeds to another, and its runs are closed as interrupted',
    async () => {
      const { current: h } = service;
      const one = await service.start();
      await service.expectEqualAfter(Date.now());
      const giveUp = await hang(h);
      one.kill('SIGKILL');
      giveUp();
      await service.start();
      h.world.change(20, Date.now());
      await service.expectEqualAfter(Date.now());
      const rest = await h.query(`select status from vcc.run where status in ('running', 'failed')
      and started_at < now() - interval '20 seconds'`);
      expect(rest).toEqual([]);
      const [killed] = await h.query(
        `select count(*) > 0 as any from vcc.run where status = 'interrupted' and error_code = 'INTERRUPTED'`,
      );
      expect(killed).toEqual({ any: true });
    },
    TAKE_OVER,
  );

  it(
    'is ended after a minute of silence, and does no harm when it comes back',
    async () => {
      const { current: h } = service;
      const one = await service.start();
      await service.expectEqualAfter(Date.now());
      const giveUp = await hang(h);
      one.kill('SIGSTOP');
      giveUp();
      // The minute has passed: its heartbeat is a minute older than it is.
      await h.query(
        `update vcc.run set heartbeat_at = now() - interval '61 seconds' where status = 'running'`,
      );
      await service.start();
      h.world.change(20, Date.now());
      await service.expectEqualAfter(Date.now());
      one.kill('SIGCONT');
      h.world.change(20, Date.now());
      await service.expectEqualAfter(Date.now());
      const [failures] = await h.query('select max(consecutive_failures) as most from vcc.feed');
      expect(failures).toEqual({ most: 0 });
      await stopsInOrder(one);
    },
    TAKE_OVER,
  );
});
