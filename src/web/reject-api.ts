import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { rejectRecord } from '../store/records.ts';
import { listRejects } from '../store/reject-ledger.ts';
import { replayRecord } from '../sync/replay-record.ts';
import { parsed } from './api.ts';
import { type FieldError, PageError } from './page-error.ts';
import { REJECTS_WORDS } from './pages/rejects-words.ts';
import { checkRejects, checkReplay, type RejectFault } from './reject-choice.ts';
import { type ReplayOptions, replayOf } from './replay-work.ts';
import { requesterOf } from './viewer.ts';

/** Lines that are told at once, by default and at most. */
const LINES = { usual: 50, most: 10_000 } as const;

/** The number of a run or reject, as number or text; empty: none. */
const numbered = z
  .union([z.string(), z.number()])
  .default('')
  .transform((value) => String(value));

const FILTER = z.strictObject({
  org: z.string().default(''),
  dataset: z.string().default(''),
  reason: z.string().default(''),
  run: numbered,
});

const LIST = FILTER.extend({
  state: z.string().default(''),
  limit: z.coerce.number().int().min(1).max(LINES.most).default(LINES.usual),
});

const REPLAY = FILTER.extend({
  id: numbered.refine((id) => /^([1-9]\d{0,14})?$/.test(id), 'expected the number of a reject'),
  line: z.string().nullable().default(null),
  why: z.string().default(''),
});

/** Adds what scripts may ask and do about refused lines. */
export function addRejectApi(app: FastifyInstance, options: ReplayOptions): void {
  const { db } = options;

  app.get('/api/rejects', async ({ query }) => {
    const { limit, ...typed } = parsed(LIST, query);
    const { faults, filter } = await checkRejects(db, typed);
    if (faults.length > 0) throw invalid(faults);
    return (await listRejects(db, { ...filter, limit })).map(rejectRecord);
  });

  app.post('/api/rejects/replay', async (request, reply) => {
    const { id, line, why, ...typed } = parsed(REPLAY, request.body);
    const { faults, filter } = await checkRejects(db, { ...typed, state: '' });
    const checked = checkReplay({ why, line });
    const all = [...faults, ...checked.faults];
    if (checked.replay.line !== null && id === '') {
      all.push({ field: 'id', code: 'lineAlone', value: '' });
    }
    if (all.length > 0) throw invalid(all);
    const { state: _, ...chosen } = filter;
    const results = await replayOf(
      options,
      {
        ...checked.replay,
        filter: { ...chosen, id: Number(id) || undefined },
        requestedBy: requesterOf(request.viewer),
      },
      reply,
    );
    return results.map(replayRecord);
  });
}

function invalid(faults: readonly RejectFault[]): PageError {
  const words = REJECTS_WORDS.en.faults;
  const fields = faults.map(
    ({ field, code, value }): FieldError => ({ field, message: words[code](value) }),
  );
  return new PageError(422, 'invalid', null, fields);
}
