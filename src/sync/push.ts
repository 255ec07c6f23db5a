import { ceilSecond } from '../core/china-time.ts';
import type { Clock } from '../core/clock.ts';
import {
  isFresh,
  type Notice,
  type NoticeFault,
  type ReceivedNotice,
  readNotice,
} from '../core/push.ts';
import type { PlatformState } from './ports.ts';

/**
 * What became of a notice; `ignored` is about what is not kept here, `replayed` came before, `stale`
 * is not about now.
 */
export type NoticeOutcome = 'accepted' | 'ignored' | 'replayed' | 'stale' | NoticeFault;

/** Every outcome, those that are no refusal first. */
export const NOTICE_OUTCOMES: readonly NoticeOutcome[] = [
  'accepted',
  'ignored',
  'replayed',
  'stale',
  'forged',
  'unsigned',
  'malformed',
];

/** Where notices are remembered and feeds are woken, for all processes. */
export interface NoticeStore {
  /**
   * Remembers a notice and makes the feeds it names due, all together; false if its number was there
   * before, whichever process had it.
   *
   * @param changedAt the platform's time, in milliseconds: what has changed, changed by then
   * @param dueAt when a window can hold that, in milliseconds since the epoch
   */
  take(notice: Notice, changedAt: number, dueAt: number): Promise<boolean>;
}

/** What taking notices needs of the world. */
export interface PushWorld {
  readonly notices: NoticeStore;
  readonly platformState: Pick<PlatformState, 'clockSkew'>;
  readonly clock: Clock;
  readonly settings: {
    /** How far behind now the newest window ends, in milliseconds. */
    readonly settle: number;
  };
}

/**
 * Takes a notice that something has changed: a hint to synchronise, never data (P8).
 *
 * Its feeds are due once a window can hold what it tells of, which is the settle time from now: one
 * that ended before would miss it. All notices until then come to one run.
 *
 * @param secret what the platform signs notices with
 */
export async function takeNotice(
  { notices, platformState, clock, settings }: PushWorld,
  received: ReceivedNotice,
  secret: string,
): Promise<NoticeOutcome> {
  // Before anything else: who can not sign costs the database nothing.
  const notice = readNotice(received, secret);
  if ('fault' in notice) return notice.fault;
  const now = clock();
  const platformNow = now + (await platformState.clockSkew());
  if (!isFresh(notice, platformNow)) return 'stale';
  // Windows end at whole seconds: one that ends at the second before could lack the change.
  const changedAt = ceilSecond(platformNow);
  const dueAt = now + (changedAt - platformNow) + settings.settle;
  const isNew = await notices.take(notice, changedAt, dueAt);
  if (!isNew) return 'replayed';
  return notice.dataset === null ? 'ignored' : 'accepted';
}
