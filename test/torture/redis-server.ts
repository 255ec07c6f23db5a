import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../support/eventually.ts';
import { openRedis } from '../support/redis-service.ts';

/** A Redis of our own that keeps nothing. */
export interface RedisServer {
  readonly url: string;
  /** Kills it and starts it again on the same port, with nothing in it. */
  lose(): Promise<void>;
  /** Ends it and removes its folder; twice is harmless. */
  stop(): Promise<void>;
}

/** Whether there is a `redis-server` on the path. */
export function hasRedisServer(): boolean {
  return spawnSync('redis-server', ['--version'], { stdio: 'ignore' }).status === 0;
}

/**
 * Starts `redis-server` on a free port of 127.0.0.1.
 *
 * @throws Error if there is none, or it does not answer
 */
export async function startRedisServer(): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), 'vcc-sync-redis-'));
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  let child: ChildProcess | null = null;

  async function start(): Promise<void> {
    const options = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder];
    const one = spawn('redis-server', [...options, '--save', '', '--appendonly', 'no'], {
      stdio: 'ignore',
    });
    // Rejects if there is no such program.
    await once(one, 'spawn');
    child = one;
    await eventually(() => ping(url), { within: 15_000 });
  }

  async function kill(): Promise<void> {
    const one = child;
    child = null;
    if (!one || one.exitCode !== null || one.signalCode !== null) return;
    const exited = once(one, 'exit');
    one.kill('SIGKILL');
    await exited;
  }

  async function stop(): Promise<void> {
    await kill();
    await rm(folder, { recursive: true, force: true });
  }

  try {
    await start();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url,
    async lose() {
      await kill();
      await start();
    },
    stop,
  };
}

async function ping(url: string): Promise<void> {
  const redis = openRedis(url);
  try {
    await redis.ping();
  } finally {
    redis.disconnect();
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
