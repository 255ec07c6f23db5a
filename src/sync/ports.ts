import type { Clock } from '../core/clock.ts';
import type { Dataset } from '../core/dataset.ts';
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

/** An answer that has proved to be a table, whose body is still to be read. */
export interface Download {
  /** The message number that was sent (P2). */
  readonly seq: string;
  readonly httpStatus: number;
  /** The answer's `Date` (milliseconds since the epoch), or null without one (P7). */
  readonly date: number | null;
  /** Charset named by the content type, in lower case, or null. */
  readonly charset: string | null;
  /**
   * The decoded body (gzip and the like undone), from its first byte; read it once, to its end.
   *
   * Throws a `SyncError` when it is cut, stalls, grows too large or the signal aborts.
   */
  readonly body: AsyncIterable<Buffer>;
  /** Bytes of the decoded body read so far. */
  readonly bytes: number;
  /** SHA-256 (hex) of the decoded body; call it once the body is read. */
  sha256(): string;
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

/** What every use case may rely on. */
export interface Surroundings {
  readonly clock: Clock;
  /** A number in `[0, 1)`; handed in, so that tests can choose it. */
  readonly random: () => number;
}
