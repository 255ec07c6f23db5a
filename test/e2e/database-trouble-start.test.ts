import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readiness, useOwnServer } from '../support/database-trouble.ts';
import { eventually } from '../support/eventually.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';

/** A port that nobody listens on. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

describe('a service that starts while its Postgres', () => {
  const service = useOwnServer({});

  it.each([
    ['is read-only', 'DATABASE_READ_ONLY', /takes no writes/],
    ['is away', 'DATABASE_AWAY', /can not be reached/],
  ])(
    '%s waits and says why, and then works',
    async (_, code, reason) => {
      const server = service.server();
      const { hostname: host, port } = new URL(server.ownerUrl);
      const proxy = await startFaultProxy({ target: { host, port: Number(port) } });
      onTestFinished(() => proxy.close());
      if (code === 'DATABASE_AWAY') await proxy.refuse(true);
      else await server.readOnly(true);
      const webPort = await freePort();
      const starting = service.start({
        DATABASE_URL: proxy.url(server.ownerUrl),
        WEB_PORT: String(webPort),
      });
      await eventually(async () => {
        const { status, reasons } = await readiness(`http://127.0.0.1:${webPort}`);
        expect(reasons).toMatch(reason);
        expect(status).toBe(503);
      });
      await Promise.all([server.readOnly(false), proxy.refuse(false)]);
      const one = await starting;
      expect(one.lines).toContainEqual(
        expect.objectContaining({ level: 'warn', msg: 'waiting for the database', code }),
      );
      await service.expectEqualAfter(Date.now());
      expect((await one.stop()).code).toBe(0);
    },
    120_000,
  );
});
