import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { listOrgs } from '../../store/orgs.ts';
import { countRejects, listRejects, readReject } from '../../store/reject-ledger.ts';
import { sendPage } from '../layout.tsx';
import { MESSAGES } from '../messages.ts';
import { PageError } from '../page-error.ts';
import {
  checkRejects,
  checkReplay,
  type RejectFault,
  type TypedRejects,
} from '../reject-choice.ts';
import { readSummary, summaryQuery } from '../replay-summary.ts';
import { type ReplayOptions, type ReplayTask, replayOf } from '../replay-work.ts';
import { requesterOf } from '../viewer.ts';
import { RejectPage } from './reject-view.tsx';
import { Rejects } from './rejects-view.tsx';
import { REJECTS_WORDS } from './rejects-words.ts';
import { Replayed } from './replayed-view.tsx';

/** A field that a form sends once; of a repeated one the last counts. */
const single = z
  .union([z.string(), z.array(z.string())])
  .default('')
  .transform((value) => (typeof value === 'string' ? value : (value.at(-1) ?? '')));

/** What address and forms may hold; anything else is left alone. */
const TYPED = z.object({
  org: single,
  dataset: single,
  reason: single,
  run: single.transform((run) => run.trim()),
  state: single,
});

const REPLAY = z.object({ why: single, line: single });

/** Lines that are shown at once. */
const SHOWN = 100;

/** A reject's number in an address. */
const ID = ':id(^[1-9]\\d{0,14}$)';

type One = { Params: { id: string } };

/** Adds the pages of refused lines: all, one, and what a replay did. */
export function addRejects(app: FastifyInstance, options: ReplayOptions): void {
  const { db } = options;

  app.get('/rejects', async (request, reply) => {
    const typed = TYPED.parse(request.query);
    const { faults } = await checkRejects(db, typed);
    return showAll(request, faults.length > 0 ? reply.code(422) : reply, { typed, faults });
  });

  // Of a replay nothing is kept here: whoever comes back to its address finds the lines.
  app.get('/rejects/replay', (request, reply) =>
    reply.redirect(request.url.replace('/rejects/replay', '/rejects'), 303),
  );

  app.post('/rejects/replay', async (request, reply) => {
    const typed = { ...TYPED.parse(request.body ?? {}), state: '' };
    const { why } = REPLAY.parse(request.body ?? {});
    const { faults, filter } = await checkRejects(db, typed);
    const checked = checkReplay({ why, line: null });
    const all = [...faults, ...checked.faults];
    if (all.length > 0) return showAll(request, reply.code(422), { typed, why, faults: all });
    const { state: _, ...chosen } = filter;
    return replay(request, reply, { ...checked.replay, filter: chosen });
  });

  app.get('/rejects/replayed', async (request, reply) => {
    const words = REJECTS_WORDS[request.locale];
    const summary = readSummary(request.url.split('?')[1] ?? '');
    const page = <Replayed summary={summary} common={MESSAGES[request.locale]} words={words} />;
    return sendPage(request, reply, { title: words.replayedTitle }, page);
  });

  app.get<One>(`/rejects/${ID}`, (request, reply) => showOne(request, reply, {}));

  // Whoever comes back to this address, after a log-in say, finds the line.
  app.get<One>(`/rejects/${ID}/replay`, (request, reply) =>
    reply.redirect(`/rejects/${request.params.id}`, 303),
  );

  app.post<One>(`/rejects/${ID}/replay`, async (request, reply) => {
    const id = Number(request.params.id);
    const typed = REPLAY.parse(request.body ?? {});
    const checked = checkReplay(typed);
    const faults = [...checked.faults];
    const reject = await readReject(db, id);
    if (!reject) throw new PageError(404, 'notFound');
    if (reject.resolved_at) faults.push({ field: 'id', code: 'notOpen', value: '' });
    if (reject.line === null && checked.replay.line === null) {
      faults.push({ field: 'line', code: 'lineMissing', value: '' });
    }
    if (faults.length > 0) return showOne(request, reply.code(422), { why: typed.why, faults });
    return replay(request, reply, { ...checked.replay, filter: { id } });
  });

  async function replay(
    request: FastifyRequest,
    reply: FastifyReply,
    task: Omit<ReplayTask, 'requestedBy'>,
  ) {
    const requestedBy = requesterOf(request.viewer);
    const results = await replayOf(options, { ...task, requestedBy }, reply);
    return reply.redirect(`/rejects/replayed?${summaryQuery(results)}`, 303);
  }

  async function showAll(
    request: FastifyRequest,
    reply: FastifyReply,
    { typed, why = '', faults }: Shown & { readonly typed: TypedRejects },
  ) {
    const words = REJECTS_WORDS[request.locale];
    // With a field that is wrong nothing is chosen.
    const isChosen = faults.every(({ field }) => field === 'why');
    const { filter } = await checkRejects(db, typed);
    const page = (
      <Rejects
        typed={{ ...typed, state: typed.state || 'open' }}
        why={why}
        faults={faults}
        orgs={await listOrgs(db)}
        totals={isChosen ? await countRejects(db, filter) : []}
        rows={isChosen ? await listRejects(db, { ...filter, limit: SHOWN }) : []}
        mayWrite={request.viewer?.role === 'operator'}
        common={MESSAGES[request.locale]}
        words={words}
      />
    );
    return sendPage(request, reply, { title: words.title }, page);
  }

  /** What was typed as a repaired line is never sent back. */
  async function showOne(
    request: FastifyRequest<One>,
    reply: FastifyReply,
    { why = '', faults = [] }: Partial<Shown>,
  ) {
    const words = REJECTS_WORDS[request.locale];
    const reject = await readReject(db, Number(request.params.id));
    if (!reject) throw new PageError(404, 'notFound');
    const page = (
      <RejectPage
        reject={reject}
        why={why}
        faults={faults}
        mayWrite={request.viewer?.role === 'operator'}
        common={MESSAGES[request.locale]}
        words={words}
      />
    );
    return sendPage(request, reply, { title: `${words.title}: ${reject.id}` }, page);
  }
}

/** What is shown besides what is stored. */
interface Shown {
  readonly why?: string;
  readonly faults: readonly RejectFault[];
}
