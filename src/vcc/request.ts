import { createHash, randomInt } from 'node:crypto';
import type { Readable } from 'node:stream';
import { formatChinaTime } from '../core/china-time.ts';
import type { Clock } from '../core/clock.ts';
import { formatSeq, LAST_COUNTER, nextCounter } from '../core/seq.ts';
import { type Parameters, sign } from '../core/sign.ts';
import type { DownloadRequest } from '../sync/ports.ts';
import { CALLS } from './interfaces.ts';

/** One request ready to be sent, with what of it must never be shown. */
export interface Call {
  readonly seq: string;
  /** Path below the origin, with its query. */
  readonly path: string;
  /** What is posted; null for a GET. */
  readonly body: PostBody | null;
  /** Texts that no message may hold: token, base key, sign. */
  readonly secrets: readonly string[];
}

/** What a POST carries. */
export interface PostBody {
  readonly contentType: string;
  /** Its exact length in bytes. */
  readonly length: number;
  /** Its text as it takes part in the signature; empty for a multipart body, which takes none (P3). */
  readonly signed: string;
  /** Opens it from its beginning: a call whose token was refused is sent again. */
  open(): Readable;
}

/** Any call of the document but getToken, without what every call carries: seq, token and sign. */
export interface ApiRequest {
  /** The interface's own code, which heads its message numbers (P2). */
  readonly interfaceCode: string;
  /** Path below the base URL, such as `/subs/querySubs`. */
  readonly path: string;
  /** Those without a value are left out (P1). */
  readonly parameters: Parameters;
  /** Makes it a POST. */
  readonly body?: PostBody;
}

/** The settings by which requests are written (P1 to P3). */
export interface RequestSettings {
  /** The platform's base URL, such as `https://host/vcc-openapi`. */
  readonly baseUrl: string;
  readonly appId: string;
  /** The base key (基础密钥) that signs getToken. */
  readonly baseKey: string;
  /** One interface code for all calls, or null for each one's own (P2). */
  readonly seqCode: string | null;
  /** Whether calls other than getToken are signed (P3). */
  readonly signRequests: boolean;
  /** What signs calls other than getToken (P3). */
  readonly signSecret: 'token' | 'base';
}

/** Gives each request its own message number (P2). */
export type SeqSource = (interfaceCode: string) => string;

/**
 * Numbers the requests of this process: the counter starts at a random point, so that two
 * processes never meet (P2).
 *
 * @param random a number in `[0, 1)`; without it the start comes from the system's randomness
 */
export function createSeq(
  { seqCode }: Pick<RequestSettings, 'seqCode'>,
  clock: Clock,
  random?: () => number,
): SeqSource {
  let counter = random ? 1 + Math.floor(random() * LAST_COUNTER) : randomInt(1, LAST_COUNTER);
  return (interfaceCode) => {
    const seq = formatSeq(seqCode ?? interfaceCode, clock(), counter);
    counter = nextCounter(counter);
    return seq;
  };
}

/** Writes the request for a session token; it is always signed with the base key (P3, P4). */
export function tokenCall(settings: RequestSettings, seq: string): Call {
  const parameters = { seq, appId: settings.appId };
  return signedCall(settings, { path: CALLS.token.path, parameters }, settings.baseKey);
}

/** What a window of a feed is asked for with (P7). */
export function downloadRequest({
  dataset,
  orgCode,
  areaCode,
  requested,
}: DownloadRequest): ApiRequest {
  return {
    interfaceCode: dataset.interfaceCode,
    path: dataset.path,
    parameters: {
      orgCode,
      areaCode,
      lastTimestamp: formatChinaTime(requested.from),
      timestamp: formatChinaTime(requested.to),
    },
  };
}

/** Writes any call with a session token, signed only where the settings say so (P3). */
export function sessionCall(
  settings: RequestSettings,
  { path, parameters, body }: ApiRequest,
  seq: string,
  token: string,
): Call {
  const secret = settings.signSecret === 'base' ? settings.baseKey : token;
  const call = signedCall(
    settings,
    { path, parameters: { seq, token, ...parameters }, ...(body && { body }) },
    settings.signRequests ? secret : null,
  );
  return { ...call, secrets: [...call.secrets, token] };
}

/** A base key's fingerprint, with which tokens are stored: another key, another token (P4). */
export function keyFingerprint(baseKey: string): string {
  return createHash('sha256').update(`vcc-sync:${baseKey}`).digest('hex').slice(0, 16);
}

/** A call as it is written: its parameters complete but for the signature. */
interface Draft extends Pick<ApiRequest, 'path' | 'body'> {
  readonly parameters: Parameters & { readonly seq: string };
}

function signedCall(
  { baseUrl, baseKey }: RequestSettings,
  { path, parameters, body }: Draft,
  secret: string | null,
): Call {
  const signature = secret === null ? null : sign(parameters, secret, body?.signed);
  const query = Object.entries({ ...parameters, sign: signature })
    // A parameter without a value is left out (P1).
    .filter(([, value]) => value !== null && value !== undefined && value !== '')
    .map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(String(value))}`)
    .join('&');
  const base = new URL(baseUrl).pathname.replace(/\/+$/, '');
  const secrets = signature === null ? [baseKey] : [baseKey, signature];
  return { seq: parameters.seq, path: `${base}${path}?${query}`, body: body ?? null, secrets };
}
