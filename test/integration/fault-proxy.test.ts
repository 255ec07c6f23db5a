import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { Redis } from 'ioredis';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { openPool } from '../../src/store/pool.ts';
import { useDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { useRedis } from '../support/redis.ts';

const database = useDatabase();
const redis = useRedis();

let proxy: FaultProxy;
const opened: { end(): unknown }[] = [];

afterEach(async () => {
  await proxy.restore();
  await Promise.all(opened.splice(0).map((each) => each.end()));
  await proxy.close();
});

function target(url: string, port: number) {
  const { hostname, port: given } = new URL(url);
  return { host: hostname, port: Number(given || port) };
}

describe('a fault proxy before Postgres', () => {
  beforeEach(async () => {
    proxy = await startFaultProxy({ target: target(database.url, 5432) });
  });

  /** A client through the proxy that gives up soon. */
  async function client(name = 'fault-proxy'): Promise<pg.Client> {
    const made = new pg.Client({
      connectionString: proxy.url(database.url),
      application_name: name,
      connectionTimeoutMillis: 1_000,
      query_timeout: 300,
    });
    made.on('error', () => {});
    await made.connect();
    opened.push(made);
    return made;
  }

  async function backends(name: string): Promise<number> {
    const { rows } = await database.pool.query(
      'select pid from pg_stat_activity where application_name = $1 and datname = current_database()',
      [name],
    );
    return rows.length;
  }

  it('leads there, and leaves the rest of the URL alone', async () => {
    const { rows } = await (await client()).query('select current_database() as name');
    const url = new URL(proxy.url(database.url));
    expect(`/${rows[0].name}`).toBe(url.pathname);
    expect(url.username).toBe(new URL(database.url).username);
    expect(proxy.connections).toBe(1);
  });

  it('cuts what is under way, and a pool recovers by itself', async () => {
    const pool = openPool(proxy.url(database.url), { max: 1, name: 'cut' });
    opened.push(pool);
    const running = expect(pool.query('select pg_sleep(60)')).rejects.toThrow();
    await eventually(async () => expect(await backends('cut')).toBe(1));
    proxy.cut();
    await running;
    expect(proxy.connections).toBe(0);
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });

  it('refuses new connections while old ones go on', async () => {
    const old = await client();
    await proxy.refuse(true);
    await expect(client()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect((await old.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await proxy.refuse(false);
    await client();
  });

  it('swallows everything in the black hole: the server never hears that its client is gone', async () => {
    const lost = await client('swallowed');
    await lost.query('begin');
    await lost.query('select pg_advisory_xact_lock(424242)');
    proxy.blackHole(true);
    await expect(lost.query('select 1')).rejects.toThrow(/timeout/);
    await expect(client()).rejects.toThrow(/timeout/);
    // A client that gives up says so to nobody: the lock stays with a backend that waits for it.
    (lost as unknown as { connection: { stream: Socket } }).connection.stream.destroy();
    const taken = await database.pool.query('select pg_try_advisory_xact_lock(424242) as taken');
    expect(taken.rows).toEqual([{ taken: false }]);
    expect(await backends('swallowed')).toBe(1);
    await proxy.restore();
    await eventually(async () => expect(await backends('swallowed')).toBe(0));
    expect((await (await client()).query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });

  it('delays each answer when it is slow', async () => {
    const delayed = await client();
    proxy.slow(60);
    const from = performance.now();
    await delayed.query('select 1');
    // There and back; timers may be a little early.
    expect(performance.now() - from).toBeGreaterThan(110);
    proxy.slow(400);
    await expect(delayed.query('select 1')).rejects.toThrow(/timeout/);
  });
});

redis.describe('a fault proxy before Redis', () => {
  beforeEach(async () => {
    proxy = await startFaultProxy({ target: target(redis.url, 6379) });
  });

  /** A client through the proxy that gives up soon and connects anew. */
  function client(): Redis {
    const made = new Redis(proxy.url(redis.url), {
      maxRetriesPerRequest: 0,
      commandTimeout: 300,
      connectTimeout: 300,
      retryStrategy: () => 20,
    });
    made.on('error', () => {});
    opened.push({ end: () => made.disconnect() });
    return made;
  }

  it('cuts, and the client connects anew', async () => {
    const cut = client();
    const waiting = expect(cut.blpop(`${inject('runPrefix')}:never`, 0)).rejects.toThrow();
    await eventually(() => expect(proxy.connections).toBe(1));
    proxy.cut();
    await waiting;
    await eventually(async () => expect(await cut.ping()).toBe('PONG'));
  });

  it('refuses until it is restored', async () => {
    await proxy.refuse(true);
    const refused = client();
    const [error] = await once(refused, 'error');
    expect(error).toMatchObject({ code: 'ECONNREFUSED' });
    await proxy.restore();
    await eventually(async () => expect(await refused.ping()).toBe('PONG'));
  });

  it('swallows commands in the black hole, and resets the connection after it', async () => {
    const lost = client();
    expect(await lost.ping()).toBe('PONG');
    const closed = new Promise((resolve) => lost.once('close', resolve));
    proxy.blackHole(true);
    await expect(lost.ping()).rejects.toThrow(/timed out/);
    await proxy.restore();
    await closed;
    await eventually(async () => expect(await lost.ping()).toBe('PONG'));
  });

  it('is slow, and then no longer', async () => {
    const delayed = client();
    await delayed.ping();
    proxy.slow(1_000);
    await expect(delayed.ping()).rejects.toThrow(/timed out/);
    await proxy.restore();
    await eventually(async () => expect(await delayed.ping()).toBe('PONG'));
  });
});

describe('a fault proxy whose clients end at the very moment', () => {
  it('closes all the same, and counts no connection any more', async () => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {}).resume();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    for (let round = 0; round < 40; round += 1) {
      proxy = await startFaultProxy({ target: { host: '127.0.0.1', port } });
      const clients = Array.from({ length: 10 }, () => connect(proxy.port, '127.0.0.1'));
      for (const client of clients) client.on('error', () => {});
      await eventually(() => expect(proxy.connections).toBe(clients.length));
      for (const client of clients) client.end();
      for (let turn = 0; turn < round % 8; turn += 1) await setImmediate();
      await proxy.close();
      await eventually(() => expect(proxy.connections).toBe(0));
    }
    server.close();
  });
});

describe('a slow fault proxy', () => {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  });

  beforeEach(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    proxy = await startFaultProxy({
      target: { host: '127.0.0.1', port: (server.address() as { port: number }).port },
    });
    opened.push({ end: () => new Promise((resolve) => server.close(resolve)) });
  });

  /** Sends a body to the echo and reads it back to its end. */
  async function echo(body: Buffer, onFirst: () => void = () => {}): Promise<Buffer> {
    const socket = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true });
    socket.end(body);
    const pieces: Buffer[] = [];
    for await (const piece of socket as AsyncIterable<Buffer>) {
      if (pieces.length === 0) onFirst();
      pieces.push(piece);
    }
    return Buffer.concat(pieces);
  }

  const numbered = Buffer.from(Uint32Array.from({ length: 500_000 }, (_, index) => index).buffer);

  it('loses and reorders nothing when it is restored in the middle', async () => {
    proxy.slow(20, 1_000_000);
    const back = await echo(numbered, () => void proxy.restore());
    expect(back.equals(numbered)).toBe(true);
  });

  it('lets no more bytes a second through than it is told', async () => {
    proxy.slow(0, 400_000);
    const from = performance.now();
    const body = numbered.subarray(0, 100_000);
    expect((await echo(body)).equals(body)).toBe(true);
    expect(performance.now() - from).toBeGreaterThan(230);
  });

  it('holds the sender back instead of keeping what it sends', async () => {
    proxy.slow(0, 1_000);
    const socket = connect({ port: proxy.port, host: '127.0.0.1' });
    socket.on('error', () => {});
    // More than the systems' buffers hold; none of it may pile up in the proxy.
    const piece = Buffer.alloc(1024 * 1024);
    for (let sent = 0; sent < 64; sent += 1) socket.write(piece);
    // By the time that a few small pieces are back, a proxy without measure would have taken it all.
    let back = 0;
    socket.on('data', (bytes: Buffer) => (back += bytes.length));
    await eventually(() => expect(back).toBeGreaterThan(400));
    expect(socket.writableLength).toBeGreaterThan(32 * 1024 * 1024);
    socket.destroy();
  });
});
