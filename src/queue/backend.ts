import { createPostgresBackend, type Processor, Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import pg from 'pg';
import { SyncError } from '../core/errors.ts';
import { type PoolUse, readPoolUse } from '../core/pool-use.ts';

/** Which store carries the queue. */
export type BackendKind = 'redis' | 'postgres';

/** Options of a worker that do not depend on the store. */
export interface WorkerSettings {
  readonly concurrency: number;
}

/** BullMQ on Redis or on Postgres, behind one face. */
export interface QueueBackend {
  readonly kind: BackendKind;
  queue<T>(name: string): Queue<T>;
  worker<T, R>(name: string, processor: Processor<T, R>, settings: WorkerSettings): Worker<T, R>;
  /** How far its connections to Postgres are used; null on Redis. */
  poolUse(): PoolUse | null;
  /** Resolves once the store answers; while it is away, it waits. */
  ping(): Promise<void>;
  /** Closes the shared connections; queues and workers must be closed before. */
  close(): Promise<void>;
}

/** Where the queue lives. */
export interface BackendOptions {
  /** Null: the queue lives in Postgres. */
  readonly redisUrl: string | null;
  readonly databaseUrl: string;
  /** Keeps installations apart that share one Redis. */
  readonly namespace: string;
  /** Told of broken connections, by class and code alone; they are mended by themselves. */
  readonly onError: (facts: { queue: string; code: string }) => void;
}

/**
 * How jobs are watched, in milliseconds: a worker that dies loses its lock after half a minute and
 * another gets the job. A job may be found stalled often: it is a trigger, running it again does no harm.
 */
const WATCH = { lockDuration: 30_000, stalledInterval: 15_000, maxStalledCount: 100 } as const;

/** Connections that the queue may hold in Postgres; each worker keeps one of them to listen. */
const POSTGRES_CONNECTIONS = 10;

/** Begins all Redis keys of an installation. */
export function keyPrefix(namespace: string): string {
  return `vcc-sync:${namespace}`;
}

/** Opens BullMQ on Redis, or on Postgres where no Redis is set. */
export function openBackend(options: BackendOptions): QueueBackend {
  return options.redisUrl === null ? onPostgres(options) : onRedis(options, options.redisUrl);
}

function onRedis({ namespace, onError }: BackendOptions, redisUrl: string): QueueBackend {
  const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
  connection.on('error', (error) => onError({ queue: 'connection', code: codeOf(error) }));
  const shared = { connection, prefix: keyPrefix(namespace) };
  return {
    kind: 'redis',
    queue: <T>(name: string) => watched(new Queue<T>(name, shared), name, onError),
    worker: <T, R>(name: string, processor: Processor<T, R>, settings: WorkerSettings) =>
      watched(
        new Worker<T, R>(name, processor, { ...shared, ...WATCH, ...settings }),
        name,
        onError,
      ),
    poolUse: () => null,
    async ping() {
      await connection.ping();
    },
    async close() {
      connection.disconnect();
    },
  };
}

function onPostgres({ databaseUrl, onError }: BackendOptions): QueueBackend {
  // One pool for all: by default every queue and worker would open its own.
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: POSTGRES_CONNECTIONS,
    application_name: 'vcc-sync queue',
    keepAlive: true,
    options: '-c search_path=bullmq',
  });
  pool.on('connect', (client) => client.on('error', () => {}));
  pool.on('error', (error) => {
    if (!pool.ending) onError({ queue: 'connection', code: codeOf(error) });
  });
  const shared = { connection: pool };
  // The backends differ in type parameters that no caller of ours uses.
  return {
    kind: 'postgres',
    queue: <T>(name: string) =>
      watched(new Queue(name, shared, createPostgresBackend), name, onError) as unknown as Queue<T>,
    worker: <T, R>(name: string, processor: Processor<T, R>, settings: WorkerSettings) =>
      watched(
        new Worker(name, processor, { ...shared, ...WATCH, ...settings }, createPostgresBackend),
        name,
        onError,
      ) as unknown as Worker<T, R>,
    poolUse: () => readPoolUse('queue', pool),
    async ping() {
      await pool.query('select');
    },
    close: () => pool.end(),
  };
}

/** BullMQ needs a listener for errors everywhere, or a broken connection ends the process. */
function watched<T extends { on(event: 'error', listener: (error: Error) => void): unknown }>(
  part: T,
  name: string,
  onError: BackendOptions['onError'],
): T {
  part.on('error', (error) => onError({ queue: name, code: codeOf(error) }));
  return part;
}

/** What kind of trouble the queue's store is in, by its own code; null for any other error. */
export function storeTrouble(error: unknown): string | null {
  if (error instanceof SyncError) return null;
  const failure = error as (Error & { code?: string | number }) | null | undefined;
  return failure?.code === undefined ? null : codeOf(failure);
}

/** What kind of trouble it is; BullMQ numbers its own, such as a lost lock. */
function codeOf(error: Error & { code?: string | number }): string {
  return typeof error.code === 'number' ? `BullMQ ${error.code}` : (error.code ?? error.name);
}
