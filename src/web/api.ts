import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { DATASET_NAMES } from '../core/dataset.ts';
import { FINDING_KINDS, KEPT_FINDINGS } from '../core/finding.ts';
import { isoTime, range } from '../core/record.ts';
import { comparisonRecord, listComparisons } from '../store/comparison-ledger.ts';
import type { LedgerFilter } from '../store/ledgers.ts';
import { listRuns, readStatus } from '../store/ledgers.ts';
import { gapRecord, runRecord, statusRecord } from '../store/records.ts';
import { openRequestStore } from '../store/requests.ts';
import { unknownOrg } from '../sync/feed-choice.ts';
import { previewRecord } from '../sync/preview-record.ts';
import { PageError } from './page-error.ts';
import { RESYNC_WORDS } from './pages/resync-words.ts';
import { type CheckedResync, checkResync, type Purpose } from './resync-choice.ts';
import { planOf, previewOf, recordOf } from './resync-work.ts';
import type { WebOptions } from './server.ts';
import { requesterOf } from './viewer.ts';

/** Runs that are told at once, by default and at most. */
const RUNS = { usual: 50, most: 10_000 } as const;

/** Comparisons that are told at once. */
const COMPARISONS = { usual: 50, most: 100 } as const;

/** Findings that are told of each comparison. */
const FINDINGS = { usual: 20, most: FINDING_KINDS.length * KEPT_FINDINGS } as const;

const FILTER = z.strictObject({
  org: z
    .string()
    .regex(/^[\w-]{1,20}$/, 'expected the code of an organisation')
    .optional(),
  dataset: z.enum(DATASET_NAMES).optional(),
});

const upTo = ({ usual, most }: { readonly usual: number; readonly most: number }) =>
  z.coerce.number().int().min(1).max(most).default(usual);

const RUN_FILTER = FILTER.extend({
  status: z.enum(['running', 'done', 'failed', 'interrupted']).optional(),
  limit: upTo(RUNS),
});

const FINDING_FILTER = FILTER.extend({ limit: upTo(COMPARISONS), findings: upTo(FINDINGS) });

/** One text, or several. */
const texts = z
  .union([z.string(), z.array(z.string())])
  .transform((value) => (typeof value === 'string' ? [value] : value));

const RESYNC = z.strictObject({
  org: texts,
  dataset: texts,
  from: z.string(),
  to: z.string(),
  reason: z.string().default(''),
  force: z.boolean().default(false),
  max_rejects: z
    .union([z.string(), z.number()])
    .nullable()
    .default(null)
    .transform((value) => String(value ?? '')),
});

/** Adds what scripts may ask and do: the ledgers as JSON, previews and requests. */
export function addApi(app: FastifyInstance, options: WebOptions): void {
  addLedgers(app, options);

  app.post('/api/resync', async (request, reply) => {
    const wish = await checked(options, request.body, 'record');
    const recorded = await recordOf(options, wish, requesterOf(request.viewer));
    return reply.code(202).send({ requests: recorded.map(({ id }) => id) });
  });

  app.post('/api/preview', async (request, reply) => {
    const wish = await checked(options, request.body, 'show');
    const plan = await planOf(options, wish);
    const windows = await previewOf(options, plan, wish, reply);
    const { gone, obtainable, future } = plan;
    return {
      during: obtainable && range(obtainable),
      gone: gone && range(gone),
      future: future && range(future),
      at: isoTime(options.world.clock()),
      windows: windows.map(previewRecord),
    };
  });
}

function addLedgers(app: FastifyInstance, { world, db, settings }: WebOptions): void {
  async function filterOf({ org, dataset }: z.infer<typeof FILTER>): Promise<LedgerFilter> {
    if (org !== undefined && (await openRequestStore(db).feedsOf(org)) === null) {
      throw new PageError(422, 'invalid', null, [
        { field: 'org', message: unknownOrg(org).message },
      ]);
    }
    return { orgCode: org, dataset };
  }
  const statusOf = async (query: unknown) => {
    const filter = await filterOf(parsed(FILTER, query));
    const appId = settings.VCC_APP_ID;
    return readStatus(db, world.settings, world.clock(), { ...filter, appId });
  };

  app.get('/api/feeds', async ({ query }) => {
    const { feeds, blocked } = await statusOf(query);
    return feeds.map((feed) => statusRecord(feed, blocked));
  });

  app.get('/api/runs', async ({ query }) => {
    const { status, limit, ...filter } = parsed(RUN_FILTER, query);
    const runs = await listRuns(db, { ...(await filterOf(filter)), status, limit });
    return runs.map(runRecord);
  });

  app.get('/api/gaps', async ({ query }) => {
    const { feeds } = await statusOf(query);
    return feeds.flatMap((feed) => feed.gaps.map((gap) => gapRecord(feed, gap)));
  });

  app.get('/api/findings', async ({ query }) => {
    const { limit, findings, ...filter } = parsed(FINDING_FILTER, query);
    const rows = await listComparisons(db, { ...(await filterOf(filter)), limit, findings });
    return rows.map(comparisonRecord);
  });
}

/**
 * Reads a request.
 *
 * @throws PageError 422 that names the fields that are wrong
 */
export function parsed<T extends z.ZodType>(schema: T, given: unknown): z.infer<T> {
  const { data, error } = schema.safeParse(given ?? {});
  if (!error) return data;
  throw new PageError(
    422,
    'invalid',
    null,
    error.issues.flatMap((issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys
            .slice(0, 10)
            .map((key) => ({ field: key.slice(0, 40), message: 'there is no such field' }))
        : [{ field: issue.path.join('.') || 'body', message: issue.message }],
    ),
  );
}

async function checked(
  { world, db }: WebOptions,
  body: unknown,
  purpose: Purpose,
): Promise<CheckedResync> {
  const typed = parsed(RESYNC, body);
  const requests = openRequestStore(db);
  const { faults, wish } = await checkResync({ requests, clock: world.clock }, typed, purpose);
  if (wish) return wish;
  const words = RESYNC_WORDS.en.faults;
  throw new PageError(
    422,
    'invalid',
    null,
    faults.map(({ field, code, value }) => ({ field, message: words[code](value) })),
  );
}
