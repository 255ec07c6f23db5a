import Fastify, { type FastifyInstance } from 'fastify';
import { isLoopback } from '../core/loopback.ts';
import type { QueueBackend } from '../queue/backend.ts';
import { databaseError } from '../store/database-error.ts';
import { readStatus } from '../store/ledgers.ts';
import { assertSchema } from '../store/migrate.ts';
import type { Database } from '../store/pool.ts';
import type { SyncWorld } from '../sync/sync-window.ts';
import { renderStatusPage } from './status-page.ts';

/** What the web role needs of the world. */
export interface WebOptions {
  readonly world: SyncWorld;
  readonly db: Database;
  /** The queue, or null while it is still waited for. */
  readonly backend: () => QueueBackend | null;
  readonly settings: {
    readonly WEB_HOST: string;
    readonly WEB_PORT: number;
    readonly VCC_APP_ID: string;
  };
}

/** The web role, listening. */
export interface Web {
  readonly url: string;
  close(): Promise<void>;
}

/** How long a readiness check may take, in milliseconds. */
const CHECK_LIMIT = 5_000;

/** Starts serving on the host and port of the settings; port 0 takes any free one. */
export async function startWeb(options: WebOptions): Promise<Web> {
  const app = buildApp(options);
  const url = await app.listen({
    host: options.settings.WEB_HOST,
    port: options.settings.WEB_PORT,
  });
  return { url, close: () => app.close() };
}

/** Builds the web application without listening, so that tests can inject requests. */
export function buildApp({ world, db, backend, settings }: WebOptions): FastifyInstance {
  const app = Fastify({ forceCloseConnections: true });
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({
      'content-security-policy':
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
    });
    // A page of a stranger could else read this one through a host name of its own (DNS rebinding).
    if (!isLoopback(request.hostname)) {
      return reply.code(421).type('text/plain').send('this address is served on loopback only\n');
    }
  });
  app.setErrorHandler((error, _request, reply) => {
    const { code } = databaseError(error);
    return reply.code(503).type('text/plain').send(`${code}: the page can not be shown now\n`);
  });

  app.get('/healthz', async () => ({ status: 'ok' }));
  app.get('/readyz', async (_request, reply) => {
    const missing = await findMissing([
      ['database and schema', () => assertSchema(db).catch(databaseReason)],
      ['queue', () => backend()?.ping() ?? Promise.reject(new Error('it is still waited for'))],
    ]);
    return reply.code(missing.length === 0 ? 200 : 503).send({
      status: missing.length === 0 ? 'ready' : 'not ready',
      missing,
    });
  });
  app.get('/', async (_request, reply) => {
    const now = world.clock();
    const status = await readStatus(db, world.settings, now, { appId: settings.VCC_APP_ID });
    return reply.type('text/html; charset=utf-8').send(renderStatusPage(status, now));
  });
  return app;
}

/** What is wrong with the database, in words that quote nothing. */
function databaseReason(error: unknown): never {
  throw databaseError(error);
}

type Check = readonly [name: string, check: () => Promise<unknown>];

/** Which checks fail or do not answer in time, with the reason. */
async function findMissing(checks: readonly Check[]): Promise<{ part: string; reason: string }[]> {
  const results = await Promise.all(
    checks.map(async ([part, check]) => {
      let timer: NodeJS.Timeout | undefined;
      const limit = new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => reject(new Error('no answer in time')), CHECK_LIMIT);
      });
      try {
        await Promise.race([check(), limit]);
        return [];
      } catch (error) {
        return [{ part, reason: (error as Error).message }];
      } finally {
        clearTimeout(timer);
      }
    }),
  );
  return results.flat();
}
