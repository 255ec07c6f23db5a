import { PLAN_QUEUE, SYNC_QUEUE } from '../../queue/sync-job.ts';

/** What a write asks for, beyond its route. */
export interface WriteTarget {
  readonly queueName?: string | undefined;
  readonly queueStatus?: string | undefined;
}

/** Why a write is refused, as `BOARD_WORDS` says it. */
export type Refusal = 'unknown' | 'planner' | 'pause' | 'unfinished' | 'onlyFailed';

/**
 * What becomes of a write: it is `allowed` as it is, it is an `add` that is checked and made ours, it
 * is allowed for a `finished` job, or it is refused.
 */
export type Verdict = 'allowed' | 'add' | 'finished' | { readonly refusal: Refusal };

/** Jobs that are done with: what they left is in the ledgers. */
export const FINISHED: readonly (string | undefined)[] = ['completed', 'failed'];

const QUEUE = '/api/queues/:queueName';

const RULES: Readonly<Record<string, (target: WriteTarget) => Verdict>> = {
  [`POST ${QUEUE}/add`]: () => 'add',
  [`PUT ${QUEUE}/:jobId/retry`]: () => 'finished',
  // Each job that had gone well would run again, due or not.
  [`PUT ${QUEUE}/retry/:queueStatus`]: ({ queueStatus }) =>
    queueStatus === 'failed' ? 'allowed' : { refusal: 'onlyFailed' },
  [`PUT ${QUEUE}/:jobId/promote`]: () => 'allowed',
  [`PUT ${QUEUE}/promote`]: () => 'allowed',
  [`PUT ${QUEUE}/:jobId/clean`]: () => 'finished',
  [`PUT ${QUEUE}/clean/:queueStatus`]: ({ queueStatus }) =>
    FINISHED.includes(queueStatus) ? 'allowed' : { refusal: 'unfinished' },
  // All synchronisation would stand still, and no feed would say that it is paused.
  [`PUT ${QUEUE}/pause`]: () => ({ refusal: 'pause' }),
  'PUT /api/queues/pause': () => ({ refusal: 'pause' }),
  [`PUT ${QUEUE}/resume`]: () => 'allowed',
  'PUT /api/queues/resume': () => 'allowed',
};

/**
 * Decides what becomes of a write to the queues; a route that is not listed is refused.
 *
 * @param method in upper case
 * @param route as Bull Board declares it, such as `/api/queues/:queueName/:jobId/retry`
 */
export function judgeWrite(method: string, route: string, target: WriteTarget): Verdict {
  const rule = RULES[`${method} ${route}`];
  if (!rule) return { refusal: 'unknown' };
  const verdict = rule(target);
  const isRefused = typeof verdict === 'object';
  // Before anything is recorded: Bull Board would find out too late that there is no such queue.
  if (verdict === 'add' && ![SYNC_QUEUE, PLAN_QUEUE].includes(target.queueName ?? '')) {
    return { refusal: 'unknown' };
  }
  return !isRefused && target.queueName === PLAN_QUEUE ? { refusal: 'planner' } : verdict;
}
