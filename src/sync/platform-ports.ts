import type { Dataset } from '../core/dataset.ts';
import type { ErrorCode, SyncError } from '../core/errors.ts';
import type { Interval } from '../core/interval.ts';

/** What to download: one window of one feed. */
export interface DownloadRequest {
  readonly dataset: Dataset;
  readonly orgCode: string;
  /** Sent as `areaCode` where an organisation sets it (P7). */
  readonly areaCode: string | null;
  /** Sent as `lastTimestamp` and `timestamp`: whole seconds in milliseconds since the epoch (P7). */
  readonly requested: Interval;
}

/** The bytes of a table, wherever they come from, and what is known of their way. */
export interface TableBytes {
  /** The message number that was sent (P2); null if nothing was. */
  readonly seq: string | null;
  readonly httpStatus: number | null;
  /** The answer's `Date` (milliseconds since the epoch), or null without one (P7). */
  readonly date: number | null;
  /** Charset that the bytes came named with, in lower case, or null. */
  readonly charset: string | null;
  /**
   * The decoded body (gzip and the like undone), from its first byte; read it once, to its end.
   *
   * Throws a `SyncError` when it is cut, stalls, grows too large or the signal aborts.
   */
  readonly body: AsyncIterable<Buffer>;
  /** Length of the decoded body where it is known beforehand, else null. */
  readonly length: number | null;
  /** Bytes of the decoded body read so far. */
  readonly bytes: number;
  /** SHA-256 (hex) of the decoded body; call it once the body is read. */
  sha256(): string;
}

/** An answer that has proved to be a table, whose body is still to be read. */
export interface Download extends TableBytes {
  readonly seq: string;
  readonly httpStatus: number;
}

/** The platform, as far as a sync needs it. */
export interface Platform {
  /**
   * Asks for a window and answers once the body has proved to be a table (P5).
   *
   * @throws SyncError classed by P5; a refused token has already been renewed and the call repeated once
   */
  download(request: DownloadRequest, signal: AbortSignal): Promise<Download>;
}

/**
 * A subscriber as 3005 and 3007 tell it, by the columns of its table; null where they do not.
 *
 * Names, addresses and numbers are mostly masked (`张**`), so it never overwrites a row (P8).
 */
export interface ToldSubscriber {
  readonly subscriber_code: string;
  readonly name: string | null;
  readonly address_code: string | null;
  readonly address_detail: string | null;
  readonly subscriber_type: string | null;
  readonly state: string | null;
  readonly telephone: string | null;
  readonly mobile: string | null;
  readonly org_code: string | null;
  /** The whole address for display, which no column holds. */
  readonly display_address: string | null;
}

/** Which subscribers of an organisation are searched; name and full address match loosely (P8). */
export interface SubscriberSearch {
  readonly orgCode: string;
  readonly subscriberCode?: string | undefined;
  readonly name?: string | undefined;
  readonly addressCode?: string | undefined;
  readonly fullAddress?: string | undefined;
  readonly telephone?: string | undefined;
  readonly mobile?: string | undefined;
  /** Subscribers asked for at once, at most and by default 100. */
  readonly pageSize?: number | undefined;
  /** The page to begin with, by default 1. */
  readonly firstPage?: number | undefined;
}

/** One page of a search. */
export interface SubscriberPage {
  /** How many there are in all, by this page's word. */
  readonly total: number;
  readonly subscribers: readonly ToldSubscriber[];
}

/** The platform, as far as single subscribers are asked for (P8). */
export interface SubscriberSource {
  /**
   * Searches subscribers (3007) page by page, each asked for when it is wanted; at least one page comes.
   *
   * What changes at the platform meanwhile can shift the pages: one may then miss or repeat a subscriber.
   *
   * @throws SyncError classed by P5; OtherFormError for an answer in another form than documented
   */
  searchSubscribers(search: SubscriberSearch, signal: AbortSignal): AsyncIterable<SubscriberPage>;
  /**
   * Asks for one subscriber (3005); null if the platform answers success without one. How it says that
   * there is none is not documented: a `PLATFORM_ERROR` may say so too, though no `OtherFormError`.
   *
   * @throws SyncError as `searchSubscribers`
   */
  findSubscriber(
    orgCode: string,
    subscriberCode: string,
    signal: AbortSignal,
  ): Promise<ToldSubscriber | null>;
}

/** The session token as it is shared by all processes (P4). */
export interface SessionToken {
  readonly token: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** Where the session token is shared between processes (P4). */
export interface TokenStore {
  /** The token stored for this app and key, expired or not; null if there is none. */
  read(appId: string, keyFingerprint: string): Promise<SessionToken | null>;
  /**
   * Lets one caller at a time, across all processes, replace the token.
   *
   * `renew` gets what is stored now (another process may have just renewed it) and answers what
   * shall be stored, which may be what it got.
   */
  replace(
    appId: string,
    keyFingerprint: string,
    renew: (stored: SessionToken | null) => Promise<SessionToken>,
  ): Promise<SessionToken>;
}

/** Spaces requests out across all processes (`VCC_MAX_RPS`). */
export interface RequestPacer {
  /** Takes the next free slot and answers how long to wait for it, in milliseconds. */
  reserve(): Promise<number>;
}

/** Whether the platform may be asked: after a refusal of all, one caller at a time may `probe`. */
export interface Gate {
  readonly state: 'open' | 'probe' | 'closed';
  /** Why the queue waits; null while it does not. */
  readonly code: ErrorCode | null;
}

/** What all processes know of the platform together. */
export interface PlatformState {
  /** Whether the queue may go on, waits, or may be probed now. */
  gate(now: number): Promise<Gate>;
  /** Claims the probe that is due; true for one caller, then for none for a while. */
  takeProbe(now: number): Promise<boolean>;
  /** Makes the whole queue wait; answers true to the one who closed it first. */
  block(error: SyncError, now: number): Promise<boolean>;
  /** Lets the queue go on; answers true if it had been waiting. */
  unblock(): Promise<boolean>;
  /** Platform's clock less ours in milliseconds, as last seen; 0 before the first answer. */
  clockSkew(): Promise<number>;
  /** Notes the platform's clock less ours, in milliseconds. */
  noteClockSkew(skew: number): Promise<void>;
}
