import type { JobsOptions } from 'bullmq';
import { z } from 'zod';
import type { Clock } from '../../core/clock.ts';
import { DATASET_NAMES, type FeedName, ORG_CODE } from '../../core/dataset.ts';
import { SYNC_JOB, type SyncJob, syncJobOptions } from '../../queue/sync-job.ts';
import { chooseFeeds } from '../../sync/feed-choice.ts';
import { type RequestStore, requestResync } from '../../sync/resync.ts';
import type { Locale } from '../messages.ts';
import { PageError } from '../page-error.ts';
import { RESYNC_WORDS } from '../pages/resync-words.ts';
import { LONGEST_REASON } from '../reason.ts';
import { checkFeeds, checkResync, type Fault } from '../resync-choice.ts';
import { BOARD_WORDS, type BoardWords } from './board-words.ts';

/** Texts as people type them; what is left empty is not there. */
const TYPED = z.preprocess(
  (value) => (typeof value === 'string' && value.trim() === '' ? undefined : value),
  z.string().trim().optional(),
);

const FORM = z.strictObject({
  dataset: TYPED,
  orgCode: TYPED,
  from: TYPED,
  to: TYPED,
  reason: TYPED,
  // Comes along when a job is duplicated; what it says is decided here anew.
  regardless: z.unknown().optional(),
});

/** What a person who adds a job wants. */
export interface AddedJob {
  readonly feed: FeedName;
  /** Source time to load again, as it was typed; null: synchronise now. */
  readonly interval: { readonly from: string; readonly to: string } | null;
  readonly reason: string | null;
}

/** A job as the queue takes it. */
export interface QueuedJob {
  readonly name: string;
  readonly data: SyncJob;
  readonly options: JobsOptions;
}

/** What an added job was made into. */
export interface AcceptedJob {
  readonly job: QueuedJob;
  /** The request that is on record by now, with or without the job; null: there is none. */
  readonly requestId: number | null;
}

/**
 * Reads the data of a job as a person typed them.
 *
 * @throws PageError 422 that names the field, in these words
 */
export function readAddedJob(data: unknown, words: BoardWords['data']): AddedJob {
  const refuse = (detail: string) => new PageError(422, 'invalid', detail);
  const typed = FORM.safeParse(data);
  if (!typed.success) throw refuse(words.form);
  const { orgCode, from, to, reason = null } = typed.data;
  const dataset = DATASET_NAMES.find((name) => name === typed.data.dataset);
  if (!dataset) throw refuse(words.dataset(DATASET_NAMES.join(', ')));
  if (!ORG_CODE.test(orgCode ?? '')) throw refuse(words.orgCode);
  if ((from === undefined) !== (to === undefined)) throw refuse(words.both);
  const interval = from === undefined || to === undefined ? null : { from, to };
  const isRecordable =
    reason === null ||
    (interval !== null && reason.length <= LONGEST_REASON && !/\p{Cc}/u.test(reason));
  if (!isRecordable) throw refuse(words.reason);
  return { feed: { dataset, orgCode: orgCode! }, interval, reason };
}

/** What an added job is made of. */
export interface AddedJobWorld {
  readonly requests: RequestStore;
  readonly clock: Clock;
  readonly locale: Locale;
}

/**
 * Makes an added job ours: an interval is recorded as a request, which the job then serves; without
 * one the job runs though the feed is not due. Options that were typed do not count.
 *
 * @param requestedBy such as `web:alice`
 * @throws PageError 422 that says what is wrong in the words of that language; nothing has been recorded
 *   then
 */
export async function acceptAddedJob(
  { requests, clock, locale }: AddedJobWorld,
  typed: unknown,
  requestedBy: string,
): Promise<AcceptedJob> {
  const { data: words } = BOARD_WORDS[locale];
  const { feed, interval, reason } = readAddedJob(typed, words);
  const { orgCode, dataset } = feed;
  const chosen = { org: [orgCode], dataset: [dataset] };
  if (interval) {
    const wish = { ...chosen, ...interval, force: false, max_rejects: '', reason: reason ?? '' };
    const { faults, wish: checked } = await checkResync({ requests, clock }, wish, 'job');
    if (!checked) throw refusal(faults, locale);
    const recorded = await requestResync({ requests, clock }, { ...checked, reason, requestedBy });
    const job = { name: SYNC_JOB, data: feed, options: syncJobOptions(feed) };
    return { job, requestId: recorded[0]!.id };
  }
  const { faults } = await checkFeeds({ requests }, chosen);
  if (faults.length > 0) throw refusal(faults, locale);
  const [known] = chooseFeeds(await requests.feedsOf(orgCode), orgCode, [dataset]);
  if (!known!.active) throw new PageError(422, 'invalid', words.inactive);
  const data: SyncJob = { ...feed, regardless: true };
  return { job: { name: SYNC_JOB, data, options: syncJobOptions(data) }, requestId: null };
}

/** Names what is wrong with a job's fields, in the words that the page of a re-sync has for it. */
function refusal(faults: readonly Fault[], locale: Locale): PageError {
  const words = RESYNC_WORDS[locale].faults;
  const told = faults.map(({ field, code, value }) => {
    const name = field === 'org' ? 'orgCode' : field;
    return `${name}: ${words[code](value)}`;
  });
  return new PageError(422, 'invalid', told.join(' '));
}

/** JSON Schema of a job's data: fills the dialog in and has the browser check what is typed. */
export function addedJobSchema({ schema: words }: BoardWords): Record<string, unknown> {
  const text = (description: string, rest: object = {}) => ({
    type: 'string',
    description,
    ...rest,
  });
  return {
    type: 'object',
    required: ['dataset', 'orgCode'],
    additionalProperties: false,
    properties: {
      dataset: text(words.dataset, { enum: DATASET_NAMES }),
      orgCode: text(words.orgCode, { pattern: ORG_CODE.source }),
      from: text(words.from),
      to: text(words.to),
      reason: text(words.reason, { maxLength: LONGEST_REASON }),
    },
    examples: [{ dataset: DATASET_NAMES[0], orgCode: '', from: '', to: '', reason: '' }],
  };
}
