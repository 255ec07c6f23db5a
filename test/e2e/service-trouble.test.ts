import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { hang } from '../support/hanging-download.ts';
import { useRedis } from '../support/redis.ts';
import { stopsInOrder, useService } from '../support/service-suite.ts';

const redis = useRedis();

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
