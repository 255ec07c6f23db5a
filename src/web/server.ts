import cookie from '@fastify/cookie';
import formbody from '@fastify/formbody';
import helmet from '@fastify/helmet';
import Fastify, { type FastifyInstance } from 'fastify';
import type { User } from '../core/user.ts';
import type { QueueBackend } from '../queue/backend.ts';
import type { Database } from '../store/pool.ts';
import type { SyncWorld } from '../sync/sync-window.ts';
import { guard } from './access.ts';
import { addApi } from './api.ts';
import { serveAssets } from './assets.ts';
import { addBoard } from './board/board.ts';
import { type BoardQueues, openBoardQueues } from './board/board-queues.ts';
import { HEADERS } from './headers.ts';
import { addLogin } from './login.tsx';
import { noteUnexpected, PageError, sendError } from './page-error.ts';
import { addFeed } from './pages/feed.tsx';
import { addOverview } from './pages/overview.tsx';
import { addRejects } from './pages/rejects.tsx';
import { addResync } from './pages/resync.tsx';
import { addProbes, type Listening, REQUEST_LIMIT } from './probes.ts';
import type { ProcessSources } from './process-metrics.ts';
import { addPush, type NoticeObserver } from './push.ts';
import { addRejectApi } from './reject-api.ts';

/** Settings of the web role. */
export interface WebSettings {
  readonly WEB_HOST: string;
  readonly WEB_PORT: number;
  readonly WEB_USERS: readonly User[];
  readonly WEB_PUBLIC: readonly string[];
  readonly WEB_TRUST_PROXY: readonly string[];
  readonly VCC_APP_ID: string;
  readonly VCC_BASE_KEY: string;
  readonly PUSH_ENABLED: boolean;
  /** Null: notices are signed with the base key. */
  readonly PUSH_SECRET: string | null;
}

/** What the web role needs of the world. */
export interface WebOptions {
  readonly world: SyncWorld;
  readonly db: Database;
  /** Takes notices on connections of their own; without it, `db` does. */
  readonly noticeDb?: Database;
  /** The queue, or null while it is still waited for. */
  readonly backend: () => QueueBackend | null;
  /** What `/metrics` tells of the process itself; without it, only what the database tells. */
  readonly sources?: ProcessSources;
  /** Told of the platform's notices. */
  readonly noticed?: NoticeObserver;
  readonly settings: WebSettings;
}

/** The web role, listening. */
export interface Web extends Listening {
  /** Closes what has been opened of the queue, which is waited for again from then on. */
  leaveQueue(): Promise<void>;
}

/** Starts serving on the host and port of the settings; port 0 takes any free one. */
export async function startWeb(options: WebOptions): Promise<Web> {
  const queues = openBoardQueues(options.backend);
  const app = await buildApp(options, queues);
  const url = await app.listen({
    host: options.settings.WEB_HOST,
    port: options.settings.WEB_PORT,
  });
  if (options.settings.WEB_USERS.length === 0) {
    options.world.log.warn({ url }, 'no WEB_USERS: whoever is on this machine may read and write');
  }
  return { url, leaveQueue: () => queues.close(), close: () => app.close() };
}

/** Largest body that a form or a script may send, in bytes. */
const BODY_LIMIT = 64 * 1024;

/** An address as it is, or one of no page if it can not be decoded: so it is answered like any other. */
function readable(url: string): string {
  const [path = '', ...query] = url.split(/(?=[?#])/);
  try {
    decodeURIComponent(path);
    return url;
  } catch {
    return [path.replaceAll('%', '%25'), ...query].join('');
  }
}

/** Builds the web application without listening, so that tests can inject requests. */
export async function buildApp(
  options: WebOptions,
  queues: BoardQueues = openBoardQueues(options.backend),
): Promise<FastifyInstance> {
  const { world, settings } = options;
  const proxies = [...settings.WEB_TRUST_PROXY];
  const app = Fastify({
    forceCloseConnections: true,
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_LIMIT,
    rewriteUrl: ({ url = '/' }) => readable(url),
    trustProxy: proxies.length > 0 && proxies,
  });
  app.setErrorHandler((error, request, reply) => {
    noteUnexpected(world.log, error, request);
    return sendError(error, request, reply);
  });
  app.setNotFoundHandler((request, reply) =>
    sendError(new PageError(404, 'notFound'), request, reply),
  );
  await app.register(helmet, HEADERS);
  await app.register(cookie);
  await app.register(formbody);
  const { WEB_USERS: users, VCC_BASE_KEY: secret } = settings;
  const access = await guard(app, { users, secret, clock: world.clock });
  app.addHook('onSend', async (request, reply) => {
    // What is shown is of this moment and for this person; assets say for themselves.
    if (!reply.hasHeader('cache-control') || !request.url.startsWith('/assets/')) {
      reply.header('cache-control', 'no-store');
    }
  });
  await serveAssets(app);
  addProbes(app, options);
  addLogin(app, access);
  addOverview(app, options);
  await addBoard(app, options, queues);
  addFeed(app, options);
  addResync(app, options);
  addRejects(app, options);
  addApi(app, options);
  addRejectApi(app, options);
  await addPush(app, options);
  return app;
}
