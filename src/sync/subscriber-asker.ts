import { OtherFormError, SyncError, toSyncError } from '../core/errors.ts';
import type { SubscriberSource, ToldSubscriber } from './ports.ts';

/** Asks the platform for one subscriber; null if it has none of that code. */
export type Asker = (subscriberCode: string) => Promise<ToldSubscriber | null>;

/** Whom an asker asks, and about whom. */
export interface AskerOptions {
  readonly source: SubscriberSource;
  readonly orgCode: string;
  /** Whether searching can not be had. */
  readonly byCode: boolean;
  /** Codes of a few subscribers that the platform should have. */
  readonly surelyThere: () => Promise<readonly string[]>;
}

/**
 * Asks for subscribers one by one: by a search (3007), which says plainly that there is none, or, where
 * that can not be had, by code (3005).
 *
 * How 3005 says so is not documented: a refusal by the platform counts as "none" if another subscriber can
 * still be found right after it, one that was found before or one of those that are surely there, and is
 * thrown else: by then the platform may refuse them all.
 */
export function createAsker(
  { source, orgCode, byCode, surelyThere }: AskerOptions,
  signal: AbortSignal,
): Asker {
  let lastFound: string | null = null;
  const find = async (subscriberCode: string): Promise<ToldSubscriber | SyncError | null> => {
    try {
      const found = await source.findSubscriber(orgCode, subscriberCode, signal);
      if (found) lastFound = subscriberCode;
      return found;
    } catch (cause) {
      const error = toSyncError(cause);
      if (error.code === 'PLATFORM_ERROR' && !(error instanceof OtherFormError)) return error;
      throw error;
    }
  };
  const findsOtherThan = async (subscriberCode: string): Promise<boolean> => {
    const isFound = async (code: string) =>
      code !== subscriberCode && isSubscriber(await find(code));
    if (lastFound !== null && (await isFound(lastFound))) return true;
    for (const code of await surelyThere()) if (await isFound(code)) return true;
    return false;
  };
  const askByCode: Asker = async (subscriberCode) => {
    const found = await find(subscriberCode);
    if (!(found instanceof SyncError)) return found;
    if (!(await findsOtherThan(subscriberCode))) throw found;
    return null;
  };
  if (byCode) return askByCode;
  return async (subscriberCode) => {
    for await (const page of source.searchSubscribers(
      { orgCode, subscriberCode, pageSize: 1 },
      signal,
    )) {
      const found = page.subscribers.find((one) => one.subscriber_code === subscriberCode);
      if (found) return found;
      if (page.subscribers.length === 0) return null;
      break;
    }
    // Others came: the platform does not search by code.
    return askByCode(subscriberCode);
  };
}

function isSubscriber(found: ToldSubscriber | SyncError | null): boolean {
  return found !== null && !(found instanceof SyncError);
}
