import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type {
  AppControllerRoute,
  BullBoardQueues,
  IServerAdapter,
  UIConfig,
} from '@bull-board/api/typings/app';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { openRequestStore } from '../../store/requests.ts';
import { assetUrl } from '../assets.ts';
import { BOARD_HEADERS } from '../headers.ts';
import type { Locale } from '../messages.ts';
import { MESSAGES } from '../messages.ts';
import { asPageError, PageError } from '../page-error.ts';
import type { WebOptions } from '../server.ts';
import { requesterOf } from '../viewer.ts';
import { acceptAddedJob, addedJobSchema } from './added-job.ts';
import { readBoardFiles, renderBoardPage } from './board-page.tsx';
import type { BoardQueues, OpenQueues } from './board-queues.ts';
import { BOARD_WORDS, type BoardWords } from './board-words.ts';
import { FINISHED, judgeWrite } from './board-writes.ts';

/** Where the dashboard lives. */
const PREFIX = '/queues';

const UI_FOLDER = join(
  dirname(fileURLToPath(import.meta.resolve('@bull-board/ui/package.json'))),
  'dist',
);

/** Bull Board's routes and pages, below `PREFIX`. */
interface BoardParts {
  api: readonly AppControllerRoute[];
  pages: readonly string[];
}

/**
 * Adds Bull Board at `/queues`: the queues as they are, in the viewer's language. Of its writes only
 * those listed in board-writes.ts go through; a job that is added becomes one of ours.
 */
export async function addBoard(
  app: FastifyInstance,
  options: WebOptions,
  queues: BoardQueues,
): Promise<void> {
  const { api, pages } = collectParts();
  const files = readBoardFiles(readFileSync(join(UI_FOLDER, 'index.ejs'), 'utf8'));
  app.addHook('onClose', () => queues.close());
  await app.register(
    async (scope) => {
      await scope.register(fastifyStatic, {
        root: join(UI_FOLDER, 'static'),
        prefix: '/static/',
        index: false,
      });
      for (const url of pages) {
        scope.get(url, { helmet: BOARD_HEADERS }, async (request, reply) => {
          const { kind } = await openQueues(queues, request);
          const page = renderBoardPage({
            files,
            base: `${PREFIX}/`,
            title: `${MESSAGES[request.locale].nav.queues} · ${MESSAGES[request.locale].title}`,
            config: uiConfig(request.locale, kind === 'redis'),
            lang: MESSAGES[request.locale].lang,
            words: BOARD_WORDS[request.locale],
          });
          return reply.type('text/html; charset=utf-8').send(page);
        });
      }
      await scope.register(async (inner) => {
        inner.setErrorHandler(sendBoardError);
        for (const route of api) addApiRoute(inner, route, options, queues);
      });
    },
    { prefix: PREFIX },
  );
}

/** Takes from Bull Board what it would have a server serve. */
function collectParts(): BoardParts {
  const parts: BoardParts = { api: [], pages: [] };
  const serverAdapter: IServerAdapter = {
    setQueues: () => serverAdapter,
    setViewsPath: () => serverAdapter,
    setStaticPath: () => serverAdapter,
    setErrorHandler: () => serverAdapter,
    setUIConfig: () => serverAdapter,
    setEntryRoute({ route }) {
      parts.pages = [route].flat();
      return serverAdapter;
    },
    setApiRoutes(routes) {
      parts.api = routes;
      return serverAdapter;
    },
  };
  createBullBoard({ queues: [], serverAdapter });
  return parts;
}

async function openQueues(queues: BoardQueues, { locale }: FastifyRequest): Promise<OpenQueues> {
  const open = await queues.open();
  if (!open) throw new PageError(503, 'unavailable', BOARD_WORDS[locale].waiting);
  return open;
}

type BoardRequest = FastifyRequest<{
  Params: Record<string, string>;
  Querystring: Record<string, string>;
}>;

function addApiRoute(
  scope: FastifyInstance,
  { method, route, handler }: AppControllerRoute,
  options: WebOptions,
  queues: BoardQueues,
): void {
  for (const url of [route].flat()) {
    scope.route({
      method: [method].flat().map((one) => one.toUpperCase()),
      url,
      async handler(request: BoardRequest, reply) {
        const open = await openQueues(queues, request);
        const isWrite = request.method !== 'GET' && request.method !== 'HEAD';
        const { body, requestId } = isWrite
          ? await checkWrite(request, url, open, options)
          : NOTHING_WRITTEN;
        const asked = handler({
          queues: adaptersOf(open, request),
          uiConfig: uiConfig(request.locale, open.kind === 'redis'),
          params: request.params,
          query: bounded(request.query),
          body: body as Record<string, unknown>,
          headers: {},
        });
        const answer = await answered(asked, requestId, BOARD_WORDS[request.locale]);
        const { status = 200 } = answer;
        if (isWrite && status < 300) noteWrite(request, url, options);
        return reply.code(status).send(answer.body);
      },
    });
  }
}

/** Most jobs of a page: each is read whole. */
const MOST_JOBS = 100;

/** What is asked of the queue, no more of it than a page. */
function bounded(query: Record<string, string>): Record<string, string> {
  const isMore = Number(query.jobsPerPage) > MOST_JOBS;
  return isMore ? { ...query, jobsPerPage: String(MOST_JOBS) } : query;
}

/** How long the queue may take over what Bull Board asks of it, in milliseconds. */
const QUEUE_LIMIT = 5_000;

/**
 * Waits for what Bull Board answers. A queue that has gone away meanwhile answers never: then it is
 * said what stands all the same.
 */
async function answered<T>(
  asked: T | Promise<T>,
  requestId: number | null,
  words: BoardWords,
): Promise<T> {
  const limit = new AbortController();
  const late = sleep(QUEUE_LIMIT, null, { signal: limit.signal }).then(() => {
    throw new PageError(503, 'unavailable', words.late);
  });
  try {
    return await Promise.race([asked, late]);
  } catch (error) {
    if (requestId === null) throw error;
    throw new PageError(503, 'unavailable', words.recorded(requestId));
  } finally {
    limit.abort();
  }
}

/** What a write has become. */
interface CheckedWrite {
  /** The body that Bull Board gets. */
  readonly body: unknown;
  /** The request that is on record now. */
  readonly requestId: number | null;
}

const NOTHING_WRITTEN: CheckedWrite = { body: null, requestId: null };

/**
 * Checks a write.
 *
 * @throws PageError that refuses it
 */
async function checkWrite(
  { method, params, body, locale, viewer }: BoardRequest,
  route: string,
  { sync }: OpenQueues,
  { world, db }: WebOptions,
): Promise<CheckedWrite> {
  const words = BOARD_WORDS[locale];
  const verdict = judgeWrite(method, route, params);
  if (typeof verdict === 'object') {
    throw new PageError(403, 'refused', words.refusals[verdict.refusal]);
  }
  if (verdict === 'add') {
    const { data } = (body ?? {}) as { data?: unknown };
    const added = { requests: openRequestStore(db), clock: world.clock, locale };
    const { job, requestId } = await acceptAddedJob(added, data, requesterOf(viewer));
    return { body: job, requestId };
  }
  if (verdict === 'finished') {
    const job = await sync.getJob(params.jobId ?? '');
    if (!job) throw new PageError(404, 'notFound', words.noJob);
    if (!FINISHED.includes(await job.getState())) {
      throw new PageError(403, 'refused', words.refusals.notFinished);
    }
  }
  // None of those that are let through takes a body.
  return { body: {}, requestId: null };
}

/** Who did what: requests record that themselves, other writes leave this line. */
function noteWrite({ method, params, viewer }: BoardRequest, route: string, options: WebOptions) {
  const { queueName: queue, jobId: job } = params;
  const facts = { by: requesterOf(viewer), action: `${method} ${route}`, queue, job };
  options.world.log.info(facts, 'queue changed in the dashboard');
}

function adaptersOf(
  { sync, plan }: OpenQueues,
  { locale, viewer }: FastifyRequest,
): BullBoardQueues {
  const words = BOARD_WORDS[locale];
  const adapters = [
    new BullMQAdapter(sync, {
      description: words.queues.sync,
      jobDataSchema: addedJobSchema(words),
      // Shows no buttons to those whose writes the guard refuses.
      readOnlyMode: viewer?.role !== 'operator',
    }),
    new BullMQAdapter(plan, { description: words.queues.plan, readOnlyMode: true }),
  ];
  return new Map(adapters.map((adapter) => [adapter.getName(), adapter]));
}

/** Times are shown in China time, wherever the browser is. */
const CHINA = { timeZone: 'Asia/Shanghai' } as const;
const TIME = {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
  ...CHINA,
} as const;
const DAY = { month: '2-digit', day: '2-digit' } as const;

function uiConfig(locale: Locale, showWorkers: boolean): UIConfig {
  const words = BOARD_WORDS[locale];
  const icon = assetUrl('icon.svg');
  return {
    boardTitle: MESSAGES[locale].title,
    boardLogo: { path: icon },
    favIcon: { default: icon, alternative: icon },
    miscLinks: [{ text: words.back, url: '/' }],
    locale: { lng: words.lng },
    dateFormats: {
      short: TIME,
      common: { ...DAY, ...TIME },
      full: { year: 'numeric', ...DAY, ...TIME },
    },
    hideRedisDetails: true,
    hideDocsLink: true,
    // On Postgres none are ever known.
    showWorkers,
  };
}

/** Answers a failure as Bull Board's page reads it: a headline and what exactly is wrong. */
function sendBoardError(error: unknown, request: FastifyRequest, reply: FastifyReply) {
  const { status, fault, detail } = asPageError(error);
  const headline = MESSAGES[request.locale].errors[fault];
  // The browser would ask for a password by itself, over a page that only needs a new log-in.
  if (request.headers['sec-fetch-site']) reply.removeHeader('www-authenticate');
  return reply.code(status).send({ error: headline, ...(detail && { message: detail }) });
}
