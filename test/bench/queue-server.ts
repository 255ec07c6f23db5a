import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeFolder } from '../../src/cli/embedded-postgres-account.ts';
import { Keeper } from '../../src/cli/embedded-postgres-keeper.ts';
import { keyPrefix } from '../../src/queue/backend.ts';
import { deleteKeys, openRedis } from '../support/redis-service.ts';
import { firstLine } from './postgres-programs.ts';

const START_LIMIT_MS = 10_000;

/** A Redis for the queue. */
export interface QueueServer {
  readonly url: string;
  readonly version: string;
  /** Deletes what an installation has left. */
  clear(namespace: string): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts a Redis of the bench's own where its program is on the `PATH`, with default settings, else
 * takes the one at `TEST_REDIS_URL`; null if there is neither.
 */
export async function startQueueServer(): Promise<QueueServer | null> {
  if (await firstLine('redis-server', ['--version'])) return ownServer();
  const given = process.env.TEST_REDIS_URL;
  if (!given) return null;
  return queueServer(given, async () => {});
}

async function ownServer(): Promise<QueueServer> {
  const folder = await makeFolder({});
  const keeper = new Keeper(folder, {});
  const port = await freePort();
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder];
  const signal = AbortSignal.timeout(START_LIMIT_MS);
  const ended = keeper.run({ file: 'redis-server', args }, signal).then((how) => {
    throw new Error(`redis-server: ${how}`);
  });
  ended.catch(() => {});
  const url = `redis://127.0.0.1:${port}`;
  try {
    await Promise.race([answers(url, signal), ended]);
    keeper.unref();
    return await queueServer(url, () => keeper.stop());
  } catch (error) {
    await keeper.stop();
    throw error;
  }
}

async function queueServer(url: string, stop: () => Promise<void>): Promise<QueueServer> {
  const redis = openRedis(url);
  const info = await redis.info('server');
  redis.disconnect();
  return {
    url,
    version: /^redis_version:(\S+)/m.exec(info)?.[1] ?? 'unknown',
    async clear(namespace) {
      const connection = openRedis(url);
      await deleteKeys(connection, keyPrefix(namespace));
      connection.disconnect();
    },
    stop,
  };
}

async function answers(url: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const redis = openRedis(url);
    const pong = await redis.ping().catch(() => null);
    redis.disconnect();
    if (pong) return;
    await sleep(50);
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
