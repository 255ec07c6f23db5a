import Fastify, { type FastifyInstance } from 'fastify';
import { countFindings } from '../store/finding-counts.ts';
import { readStatus } from '../store/ledgers.ts';
import { countUnresolvedRejects } from '../store/reject-counts.ts';
import type { SyncWorld } from '../sync/sync-window.ts';
import { openMetrics } from './metrics.ts';
import type { ProcessSources } from './process-metrics.ts';
import { findMissing, type ReadinessOptions } from './readiness.ts';
import { shared } from './shared-work.ts';

/** What the probes need of the world. */
export interface ProbeOptions extends ReadinessOptions {
  readonly world: SyncWorld;
  /** What the process tells of itself; without it, only what the database tells. */
  readonly sources?: ProcessSources;
  readonly settings: {
    readonly WEB_PUBLIC: readonly string[];
    readonly VCC_APP_ID: string;
  };
}

/** Something that listens. */
export interface Listening {
  readonly url: string;
  close(): Promise<void>;
}

/** How long a finding of what is missing holds, in milliseconds: probes may ask as often as they like. */
const READINESS_HOLDS = 1_000;

/** How long a sender may take over one request, in milliseconds. */
export const REQUEST_LIMIT = 30_000;

/** How long a reading for the metrics may take, in milliseconds. */
const SCRAPE_LIMIT = 5_000;

/**
 * Adds what machines ask for: `/healthz` (the process lives), `/readyz` (200, or 503 with what is
 * missing) and `/metrics`; `WEB_PUBLIC` says which of them need no log-in.
 */
export function addProbes(app: FastifyInstance, options: ProbeOptions): void {
  const { world, db, settings, sources = null } = options;
  const routeOf = (name: string) => ({ config: { isPublic: settings.WEB_PUBLIC.includes(name) } });
  app.get('/healthz', routeOf('healthz'), async () => ({ status: 'ok' }));

  const look = shared(() => findMissing(options), READINESS_HOLDS);
  app.get('/readyz', routeOf('readyz'), async (_request, reply) => {
    const missing = await look();
    return reply.code(missing.length === 0 ? 200 : 503).send({
      status: missing.length === 0 ? 'ready' : 'not ready',
      missing,
    });
  });

  const metrics = openMetrics({
    limit: SCRAPE_LIMIT,
    sources,
    async read() {
      const now = world.clock();
      const [status, rejects, findings] = await Promise.all([
        readStatus(db, world.settings, now, { appId: settings.VCC_APP_ID }),
        countUnresolvedRejects(db),
        countFindings(db),
      ]);
      const skew = status.now - now;
      return { status, rejects, findings, skew, every: world.settings.every };
    },
  });
  app.get('/metrics', routeOf('metrics'), async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.scrape()),
  );
}

/** Serves the probes alone, to whoever reaches the address: for processes of any role. */
export async function startProbes(
  options: ProbeOptions,
  address: { readonly host: string; readonly port: number },
): Promise<Listening> {
  const app = Fastify({ forceCloseConnections: true, requestTimeout: REQUEST_LIMIT });
  addProbes(app, options);
  const url = await app.listen({ ...address });
  return { url, close: () => app.close() };
}
