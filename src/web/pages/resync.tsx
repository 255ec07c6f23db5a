import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { DAY, formatChinaIso, MINUTE } from '../../core/china-time.ts';
import { DATASET_NAMES } from '../../core/dataset.ts';
import { listOrgs } from '../../store/orgs.ts';
import { openRequestStore, readRequests } from '../../store/requests.ts';
import type { PreviewedWindow } from '../../sync/preview.ts';
import type { ResyncPlan } from '../../sync/resync-plan.ts';
import { formatIds, parseIds } from '../id-ranges.ts';
import { sendPage } from '../layout.tsx';
import { MESSAGES } from '../messages.ts';
import {
  type CheckedResync,
  checkResync,
  type Fault,
  MOST_ORGS,
  type Purpose,
  type TypedResync,
} from '../resync-choice.ts';
import { planOf, previewOf, type ResyncOptions, recordOf } from '../resync-work.ts';
import { requesterOf } from '../viewer.ts';
import { Recorded } from './recorded-view.tsx';
import { Resync } from './resync-view.tsx';
import { RESYNC_WORDS } from './resync-words.ts';

/** A field that may be there several times, or not at all. */
const several = z
  .union([z.string(), z.array(z.string())])
  .default([])
  .transform((value) => (typeof value === 'string' ? [value] : value));

/** A field that a form sends once; of a repeated one the last counts. */
const single = z
  .union([z.string(), z.array(z.string())])
  .default('')
  .transform((value) => (typeof value === 'string' ? value : (value.at(-1) ?? '')));

const isAll = (names: readonly string[]) => DATASET_NAMES.every((name) => names.includes(name));

/** What form and address may hold; anything else is left alone. */
const TYPED = z.object({
  org: several,
  // Whoever ticks all of them means every feed there is.
  dataset: several.transform((names) => (isAll(names) ? ['all'] : names)),
  from: single,
  to: single,
  force: single.transform((value) => value === 'true'),
  max_rejects: single,
  reason: single,
});

/** Which requests are shown once they are recorded. */
const RECORDED = z.object({ ids: single });

/** Numbers that are looked up at once: as many as one re-sync can make, with others' in between. */
const MOST_REQUESTS = 5 * MOST_ORGS * DATASET_NAMES.length;

/** What of a re-sync is shown. */
interface Shown {
  readonly typed: TypedResync;
  readonly faults?: readonly Fault[];
  readonly plan?: ResyncPlan | null;
  readonly preview?: readonly PreviewedWindow[];
}

/** Adds the pages of a re-sync: choose and plan, preview, record, and what was recorded. */
export function addResync(app: FastifyInstance, options: ResyncOptions): void {
  const { world, db } = options;

  async function show(request: FastifyRequest, reply: FastifyReply, shown: Shown) {
    const words = RESYNC_WORDS[request.locale];
    const page = (
      <Resync
        typed={shown.typed}
        faults={shown.faults ?? []}
        orgs={await listOrgs(db)}
        plan={shown.plan ?? null}
        preview={shown.preview ?? null}
        mayWrite={request.viewer?.role === 'operator'}
        common={MESSAGES[request.locale]}
        words={words}
      />
    );
    return sendPage(request, reply, { title: words.title }, page);
  }

  const check = (typed: TypedResync, purpose: Purpose) =>
    checkResync({ requests: openRequestStore(db), clock: world.clock }, typed, purpose);
  const planned = (wish: CheckedResync | null) => (wish ? planOf(options, wish) : null);

  app.get('/resync', async (request, reply) => {
    // A reason may name people: it is never part of an address.
    const typed = TYPED.parse({ ...(request.query as object), reason: '' });
    if (typed.from === '' && typed.to === '') {
      return show(request, reply, { typed: { ...typed, ...lastDay(world.clock()) } });
    }
    const { faults, wish } = await check(typed, 'show');
    return show(request, reply, { typed, faults, plan: await planned(wish) });
  });

  // Of a preview nothing is kept: whoever comes back to its address finds the plan.
  app.get('/resync/preview', (request, reply) =>
    reply.redirect(request.url.replace('/resync/preview', '/resync'), 303),
  );

  app.post('/resync/preview', async (request, reply) => {
    const typed = TYPED.parse(request.body ?? {});
    const { faults, wish } = await check(typed, 'show');
    const plan = await planned(wish);
    if (!wish || !plan) return show(request, reply.code(422), { typed, faults });
    const preview = await previewOf(options, plan, wish, reply);
    return show(request, reply, { typed, plan, preview });
  });

  app.post('/resync', async (request, reply) => {
    const typed = TYPED.parse(request.body ?? {});
    const { faults, wish } = await check(typed, 'record');
    if (!wish) {
      // What can be shown is shown, so that only the faulty field is to be mended.
      const { wish: shown } = await check({ ...typed, reason: '', max_rejects: '' }, 'show');
      return show(request, reply.code(422), { typed, faults, plan: await planned(shown) });
    }
    const recorded = await recordOf(options, wish, requesterOf(request.viewer));
    const ids = formatIds(recorded.map(({ id }) => id));
    return reply.redirect(`/resync/recorded?ids=${ids}`, 303);
  });

  app.get('/resync/recorded', async (request, reply) => {
    const { ids } = RECORDED.parse(request.query);
    const words = RESYNC_WORDS[request.locale];
    const requests = await readRequests(db, parseIds(ids, MOST_REQUESTS));
    const common = MESSAGES[request.locale];
    const page = <Recorded requests={requests} common={common} words={words} />;
    return sendPage(request, reply, { title: words.recordedTitle, live: true }, page);
  });
}

/** What a form without times begins with: the day up to now. */
function lastDay(now: number): { readonly from: string; readonly to: string } {
  const minute = Math.floor(now / MINUTE) * MINUTE;
  return { from: formatChinaIso(minute - DAY), to: formatChinaIso(minute) };
}
