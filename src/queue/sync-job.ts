import type { JobsOptions } from 'bullmq';
import { type FeedName, isDatasetName } from '../core/dataset.ts';

/** Queue of the jobs that wake one feed. */
export const SYNC_QUEUE = 'sync';
/** Queue of the planner's own job. */
export const PLAN_QUEUE = 'plan';

/** A job's name for people. */
export const SYNC_JOB = 'sync';

/** Seconds in a day, BullMQ's unit for ages. */
const DAY_SECONDS = 86_400;

/** A job that wakes one feed: a trigger and nothing more, since due-ness lives in Postgres. */
export interface SyncJob extends FeedName {
  /** Set on a job that a person added: it runs though the feed is not due. */
  readonly regardless?: true;
}

/**
 * How such a job is added: once per feed while it is queued or active, never retried by BullMQ
 * (the feed has its own backoff), kept by age alone (a count would deadlock on Postgres).
 */
export function syncJobOptions({ dataset, orgCode, regardless }: SyncJob): JobsOptions {
  // A job that the planner has queued must not swallow one that runs regardless.
  const kind = regardless ? ':regardless' : '';
  return {
    attempts: 1,
    deduplication: { id: `${dataset}:${orgCode}${kind}` },
    removeOnComplete: { age: DAY_SECONDS / 24 },
    removeOnFail: { age: 7 * DAY_SECONDS },
  };
}

/** Reads a job's data, which a person may have typed; null if it does not name a feed. */
export function readSyncJob(data: unknown): SyncJob | null {
  const { dataset, orgCode, regardless } = (data ?? {}) as Record<keyof SyncJob, unknown>;
  if (typeof dataset !== 'string' || typeof orgCode !== 'string') return null;
  if (!isDatasetName(dataset)) return null;
  return { dataset, orgCode, ...(regardless === true && { regardless }) };
}
