import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { parseTime } from '../../core/china-time.ts';
import { FatalError } from '../../core/errors.ts';
import { reach } from '../../core/window.ts';
import { openGapStore } from '../../store/gap-acceptance.ts';
import { hastenFeed, pauseFeeds } from '../../store/orgs.ts';
import { acceptGaps } from '../../sync/gap-acceptance.ts';
import { readTheme, sendChart } from '../chart.ts';
import { type FeedAddress, type FeedStanding, readLedgers, readStanding } from '../feed-facts.ts';
import { sendPage } from '../layout.tsx';
import { MESSAGES } from '../messages.ts';
import { LONGEST_REASON, oneLine } from '../reason.ts';
import type { WebOptions } from '../server.ts';
import { requesterOf } from '../viewer.ts';
import { drawCoverage } from './coverage-chart.ts';
import { FINDINGS_WORDS } from './feed-findings-words.ts';
import { Feed, type FeedAction, type Refusal } from './feed-view.tsx';
import { FEED_WORDS, type FeedWords } from './feed-words.ts';
import { OVERVIEW_WORDS } from './overview-words.ts';

type FeedOptions = Pick<WebOptions, 'world' | 'db' | 'settings'>;

/** A field that a form sends once; of anything else nothing counts. */
const single = z.string().catch('');

/** What the forms of the page send. */
const TYPED = z.object({ action: single, from: single, to: single, reason: single });
type Typed = z.infer<typeof TYPED>;

interface FeedRoute {
  readonly Params: FeedAddress;
  readonly Querystring: { readonly done?: string; readonly theme?: string };
}

const ADDRESS = '/feeds/:org/:dataset';

/** What was just done, as the address says it. */
interface Outcome {
  readonly done?: FeedAction | null;
  readonly refusal?: Refusal;
}

/** Adds the page of a feed: how it stands, its time line and ledgers, and what can be done to it. */
export function addFeed(app: FastifyInstance, options: FeedOptions): void {
  app.get<FeedRoute>(ADDRESS, async (request, reply) => {
    const standing = await readStanding(options, request.params);
    const { done } = request.query;
    return show(options, request, reply, standing, { done: isAction(done) ? done : null });
  });

  app.get<FeedRoute>(`${ADDRESS}/coverage.svg`, async (request, reply) => {
    const { line, now } = await readStanding(options, request.params);
    const theme = readTheme(request.query.theme);
    return sendChart(reply, drawCoverage(line, reach(now), theme, FEED_WORDS[request.locale]));
  });

  app.post<FeedRoute>(ADDRESS, async (request, reply) => {
    const standing = await readStanding(options, request.params);
    const typed = TYPED.parse(request.body ?? {});
    const words = FEED_WORDS[request.locale];
    const { action } = typed;
    const by = requesterOf(request.viewer);
    const refusal = isAction(action)
      ? await ACTIONS[action]({ options, standing, typed, by, words })
      : { text: words.refused.action, gap: null, reason: '' };
    if (refusal) return show(options, request, reply.code(422), standing, { refusal });
    const { orgCode: org, dataset } = standing.feed;
    options.world.log.info({ by, action, org, dataset }, 'feed changed on its page');
    return reply.redirect(`${addressOf(standing)}?done=${action}`, 303);
  });
}

const addressOf = ({ feed }: FeedStanding) => `/feeds/${feed.orgCode}/${feed.dataset}`;

async function show(
  { db }: FeedOptions,
  request: FastifyRequest,
  reply: FastifyReply,
  standing: FeedStanding,
  { done = null, refusal }: Outcome,
): Promise<FastifyReply> {
  const { locale, viewer } = request;
  const common = MESSAGES[locale];
  const { orgCode, dataset } = standing.feed;
  const page = (
    <Feed
      {...standing}
      {...(await readLedgers(db, standing))}
      address={addressOf(standing)}
      done={done}
      refusal={refusal ?? null}
      mayWrite={viewer?.role === 'operator'}
      common={common}
      overview={OVERVIEW_WORDS[locale]}
      words={FEED_WORDS[locale]}
      findingsWords={FINDINGS_WORDS[locale]}
    />
  );
  // What is to be mended stays as it was typed.
  const title = `${orgCode} ${common.datasets[dataset]}`;
  return sendPage(request, reply, { title, live: !refusal }, page);
}

interface ActionTask {
  readonly options: FeedOptions;
  readonly standing: FeedStanding;
  readonly typed: Typed;
  /** Who asks for it, such as `web:alice`. */
  readonly by: string;
  readonly words: FeedWords;
}

/** Does something to a feed, or says why not. */
type Act = (task: ActionTask) => Promise<Refusal | null>;

/** Pauses the feed or lets it go on; one that is so already stays so. */
const pause =
  (paused: boolean): Act =>
  async ({ options, standing: { feed } }) => {
    await pauseFeeds(options.db, [feed.feedId], paused);
    return null;
  };

const sync: Act = async ({ options, standing: { feed }, words }) => {
  if (await hastenFeed(options.db, feed.feedId)) return null;
  return { text: words.refused.inactive, gap: null, reason: '' };
};

const accept: Act = async ({ options: { db, world }, standing, typed, by, words }) => {
  const { feed, now } = standing;
  const { refused } = words;
  const [from, to] = [parseTime(typed.from), parseTime(typed.to)];
  if (from === null || to === null || from >= to) {
    return { text: refused.interval, gap: null, reason: '' };
  }
  const reason = oneLine(typed.reason);
  const refuse = (text: string): Refusal => ({ text, gap: typed.from, reason: typed.reason });
  if (reason === '') return refuse(refused.reasonMissing);
  if (reason.length > LONGEST_REASON) return refuse(refused.reasonLong(LONGEST_REASON));
  const { orgCode, dataset } = feed;
  try {
    // By the time by which the page shows the gaps.
    const gapWorld = { gaps: openGapStore(db), clock: () => now, settings: world.settings };
    const wish = { orgCode, dataset, during: { from, to }, reason, acceptedBy: by };
    await acceptGaps(gapWorld, wish);
    return null;
  } catch (error) {
    if (!(error instanceof FatalError)) throw error;
    return { text: refused.gap, gap: null, reason: '' };
  }
};

const ACTIONS: Readonly<Record<FeedAction, Act>> = {
  sync,
  pause: pause(true),
  resume: pause(false),
  accept,
};

function isAction(text: string | undefined): text is FeedAction {
  return text !== undefined && Object.hasOwn(ACTIONS, text);
}
