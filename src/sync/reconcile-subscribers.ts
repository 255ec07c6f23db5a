import { SECOND } from '../core/china-time.ts';
import { InterruptedError, type SyncError, toSyncError } from '../core/errors.ts';
import type { Finding } from '../core/finding.ts';
import { drawPlaces } from '../core/sample.ts';
import { catchUp } from './catch-up.ts';
import { chooseFeeds } from './feed-choice.ts';
import type {
  Feed,
  OpenSample,
  SampleProgress,
  SampleStore,
  SubscriberPage,
  SubscriberSource,
  ToldSubscriber,
} from './ports.ts';
import type { RequestStore } from './resync.ts';
import { type Asker, createAsker } from './subscriber-asker.ts';
import { difference, storedOf } from './subscriber-difference.ts';
import type { SyncWorld } from './sync-window.ts';

/** Subscribers on a page of the platform's list (P8). */
const PAGE = 100;

/** How many subscribers are asked for to see whether asking by code works at all. */
const SURELY_THERE = 5;

/** An organisation whose subscribers are to be compared with the platform's. */
export interface SubscribersWish {
  readonly orgCode: string;
  /** How many requests each side may take: rows drawn, or pages read where that reads them all. */
  readonly sample: number;
  /** Whether a comparison that was interrupted is given up instead of gone on with. */
  readonly afresh: boolean;
  readonly reason: string | null;
  /** Who wants it, such as `cli:root`. */
  readonly requestedBy: string;
}

/** What comparing subscribers needs of the world. */
export interface SubscribersWorld {
  readonly sync: SyncWorld;
  readonly source: SubscriberSource;
  readonly requests: Pick<RequestStore, 'feedsOf'>;
  readonly samples: SampleStore;
  /** Lets milliseconds pass; it may throw anything when the signal aborts. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** What a comparison of subscribers rests on. */
export interface SubscribersOutcome extends SampleProgress {
  readonly requestId: number;
  /** Whether it went on with one that had been interrupted, whatever its size. */
  readonly resumed: boolean;
  /** How many requests each side could take. */
  readonly sample: number;
  /** Whether the platform's whole list was read. */
  readonly isWhole: boolean;
  /** Whether what was read of it was drawn at random; a list that ended early was not. */
  readonly isDrawn: boolean;
  /** Whether every row of the table was compared. */
  readonly isOwnWhole: boolean;
  /** Whether what differed was looked at again, once the feed had caught up. */
  readonly isConfirmed: boolean;
  /** Why the platform's list could not be had (3007); null if it could. */
  readonly listRefused: SyncError | null;
  /** Whether the feed holds all subscribers, or changes alone. */
  readonly hasBaseline: boolean;
}

/**
 * Compares an organisation's subscribers with the platform's, by as many requests a side: its list
 * (3007) is read whole if that takes no more pages, else places in it are drawn; then rows of the table
 * that were not on it are drawn and asked for one by one. Masked values are allowed for; the table is
 * not touched.
 *
 * Whatever differs is looked at once more after the settle time has passed and the feed has caught up, since
 * it may just have changed.
 * What was compared stays so: an interrupted comparison goes on when it is asked for again.
 *
 * @throws FatalError CONFIG if the organisation has no subscribers feed
 * @throws SyncError why the platform could not be asked on; DATABASE_BUSY if another comparison of them is under way
 */
export async function reconcileSubscribers(
  world: SubscribersWorld,
  wish: SubscribersWish,
  onProgress: (progress: SampleProgress) => void,
  signal: AbortSignal,
): Promise<SubscribersOutcome> {
  const { orgCode } = wish;
  chooseFeeds(await world.requests.feedsOf(orgCode), orgCode, ['subscribers']);
  const feed = (await world.sync.feeds.find({ dataset: 'subscribers', orgCode }))!;
  return world.samples.alone(feed.id, () => compareAll(world, feed, wish, onProgress, signal));
}

async function compareAll(
  world: SubscribersWorld,
  feed: Feed,
  wish: SubscribersWish,
  onProgress: (progress: SampleProgress) => void,
  signal: AbortSignal,
): Promise<SubscribersOutcome> {
  const { orgCode } = wish;
  const { sample, resumed } = await openSample(world, feed, wish);
  const task: Task = { world, feed, sample, signal, onProgress };
  const list = await compareList(task);
  const byCode = list.listRefused !== null;
  const surelyThere = () => world.samples.newest(orgCode, SURELY_THERE);
  const ask = createAsker({ source: world.source, orgCode, byCode, surelyThere }, signal);
  await compareRows(task, ask);
  const [unseen] = await world.samples.next(sample, orgCode, 1);
  const isConfirmed = await confirm(task, ask);
  const progress = await world.samples.progress(sample);
  await world.samples.finish(sample, world.sync.clock());
  const hasBaseline = feed.coverage[0]?.from === -Infinity;
  const { requestId } = sample;
  const isOwnWhole = unseen === undefined;
  return {
    ...progress,
    ...list,
    requestId,
    resumed,
    sample: sample.sample,
    isOwnWhole,
    isConfirmed,
    hasBaseline,
  };
}

interface Task {
  readonly world: SubscribersWorld;
  readonly feed: Feed;
  readonly sample: OpenSample;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: SampleProgress) => void;
}

async function openSample(
  { sync, samples }: SubscribersWorld,
  { id: feedId }: Feed,
  { sample, afresh, reason, requestedBy }: SubscribersWish,
): Promise<{ sample: OpenSample; resumed: boolean }> {
  const open = await samples.open(feedId);
  if (open && !afresh) return { sample: open, resumed: true };
  if (open) await samples.abandon(open);
  const request = { kind: 'reconcile', feedId, during: null, reason, requestedBy } as const;
  const seed = Math.floor(sync.random() * 2 ** 31);
  return { sample: await samples.plan(request, sample, seed), resumed: false };
}

/** Reads the platform's list, the whole of it or places drawn. */
async function compareList(
  task: Task,
): Promise<Pick<SubscribersOutcome, 'isWhole' | 'isDrawn' | 'listRefused'>> {
  const { world, feed, sample, signal } = task;
  const { orgCode } = feed;
  const page = async (firstPage: number, pageSize: number): Promise<SubscriberPage> => {
    for await (const one of world.source.searchSubscribers(
      { orgCode, firstPage, pageSize },
      signal,
    )) {
      return one;
    }
    throw new Error('a search has at least one page');
  };
  let total = sample.total;
  if (total === null) {
    try {
      total = (await page(1, 1)).total;
    } catch (cause) {
      const listRefused = toSyncError(cause);
      if (!isRefused(listRefused)) throw listRefused;
      return { isWhole: false, isDrawn: false, listRefused };
    }
    await world.samples.begin(sample, total);
  }
  const wantsAll = Math.ceil(total / PAGE) <= sample.sample;
  const size = wantsAll ? PAGE : 1;
  // Pages may be shorter than asked for: what was listed tells whether that was all, not their number.
  const places = drawPlaces(wantsAll ? sample.sample : total, sample.sample, sample.seed);
  let { listed } = await world.samples.progress(sample);
  for (let read = sample.pagesRead; read < places.length; read += 1) {
    if (wantsAll && listed >= total) break;
    const told = await page(places[read]!, size);
    listed = await compare(task, told.subscribers, read + 1);
    if (wantsAll && told.subscribers.length === 0) break;
    if (wantsAll) total = told.total;
  }
  return { isWhole: wantsAll && listed >= total, isDrawn: !wantsAll, listRefused: null };
}

/** Whether the platform does not grant the call, or does not know it. */
function isRefused({ code }: SyncError): boolean {
  return code === 'PLATFORM_ERROR' || code === 'REQUEST_REFUSED';
}

/** Compares subscribers of the platform's list with the stored ones; answers how many were by now. */
async function compare(
  task: Task,
  told: readonly ToldSubscriber[],
  pagesRead: number,
): Promise<number> {
  const { world, feed, sample } = task;
  const keys = told.map(({ subscriber_code: key }) => key);
  const stored = await storedOf(world.samples, feed.orgCode, told);
  const now = world.sync.clock();
  const findings = told.flatMap(
    (one) => difference(one, stored.get(one.subscriber_code), now) ?? [],
  );
  await world.samples.note(sample, { keys, pagesRead, findings });
  const progress = await world.samples.progress(sample);
  task.onProgress(progress);
  return progress.listed;
}

/** Asks for rows of the table that the platform's list did not show. */
async function compareRows(task: Task, ask: Asker): Promise<void> {
  const { world, feed, sample, signal } = task;
  const { asked } = await world.samples.progress(sample);
  const keys = await world.samples.next(sample, feed.orgCode, sample.sample - asked);
  for (const key of keys) {
    if (signal.aborted) throw new InterruptedError('stopped; what was compared stays compared');
    const finding = await lookAt(task, ask, key);
    await world.samples.note(sample, {
      keys: [key],
      pagesRead: null,
      findings: finding ? [finding] : [],
    });
    task.onProgress(await world.samples.progress(sample));
  }
}

/** How one row and the platform's differ now; null if they agree, or neither has it. */
async function lookAt({ world, feed }: Task, ask: Asker, key: string): Promise<Finding | null> {
  const told = await ask(key);
  if (told) {
    const stored = await storedOf(world.samples, feed.orgCode, [told]);
    return difference(told, stored.get(key), world.sync.clock());
  }
  const row = (await world.samples.stored(feed.orgCode, [key])).get(key);
  return row && !row.isAbsent ? { kind: 'extra', rowKey: key, columns: null } : null;
}

/**
 * Looks once more at what differs when the feed has caught up with all that there was when it was compared:
 * it may have changed at the platform since the feed's last run. Not where the feed is stopped or refused,
 * or more differs than may be asked for.
 */
async function confirm(task: Task, ask: Asker): Promise<boolean> {
  const { world, feed, sample, signal } = task;
  const suspects = await world.samples.suspects(sample, sample.sample);
  if (suspects === null || !feed.active) return false;
  if (suspects.length === 0) return true;
  await untilSettled(world, signal);
  const options = { trigger: 'cli', regardless: true, wait: true } as const;
  try {
    await catchUp(world.sync, feed, options, signal);
  } catch (cause) {
    const error = toSyncError(cause);
    // What only time will cure is waited for: the comparison goes on when it is asked for again.
    if (error.meaning.pace !== 'slow' && error.meaning.pace !== 'ceiling') throw error;
    return false;
  }
  for (const key of suspects) {
    await world.samples.correct(sample, key, await lookAt(task, ask, key));
  }
  return true;
}

/** Waits until a window can hold what has changed by now: it ends the settle time ago, at a full second. */
async function untilSettled({ sync, wait }: SubscribersWorld, signal: AbortSignal): Promise<void> {
  try {
    await wait(sync.settings.settle + SECOND, signal);
  } catch (cause) {
    if (!signal.aborted) throw cause;
    throw new InterruptedError('stopped; what was compared stays compared');
  }
}
