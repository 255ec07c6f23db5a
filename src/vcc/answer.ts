import { DAY, SECOND } from '../core/china-time.ts';
import { FatalError, RetryableError, type SyncError } from '../core/errors.ts';
import { maskOutside } from './mask.ts';

/** The result that a JSON answer states, fit to be shown. */
export interface PlatformResult {
  /** `resultCode` as it was sent. */
  readonly code: string;
  /** Code and message, masked: `resultCode 40001: no rights`. */
  readonly text: string;
}

/** What is known of an answer that is no table. */
export interface Facts {
  readonly status: number;
  /** The media type that it claims, or null. */
  readonly contentType: string | null;
  /** Milliseconds by `Retry-After`, if it said so. */
  readonly retryAfter: number | undefined;
  readonly result: PlatformResult | null;
  /** Decoded bytes read, and whether there was more. */
  readonly bytes: number;
  readonly atLeast: boolean;
  /** SHA-256 (hex) of the bytes read. */
  readonly sha256: string;
}

/** Which result codes mean success, and which a token that is no longer good (P5). */
export interface ResultCodes {
  readonly successCodes: readonly string[];
  readonly tokenCodes: readonly string[];
}

/** What an answer that is no table comes to: a refused token, or a failure (P5). */
export type Verdict =
  | { readonly kind: 'token'; readonly text: string; readonly retryAfter: number | undefined }
  | { readonly kind: 'failed'; readonly error: SyncError };

/** Waits longer than this are not believed. */
const LONGEST_WAIT = DAY;

/**
 * Classes an answer that is no table, where a table was asked for (P5).
 *
 * The platform's own result code wins over the HTTP status, but for 401, which always means the token.
 */
export function judge(facts: Facts, codes: ResultCodes): Verdict {
  const verdict = judgeResult(facts, codes);
  if (verdict) return verdict;
  const { result, retryAfter } = facts;
  const what = result ? `success (${result.text}) in place of a table` : describeBody(facts);
  return { kind: 'failed', error: new RetryableError('NOT_A_TABLE', what, { retryAfter }) };
}

/** Classes an answer by its result code and HTTP status; null if neither speaks of a failure (P5). */
export function judgeResult(
  facts: Facts,
  { successCodes, tokenCodes }: ResultCodes,
): Verdict | null {
  const { result, status, retryAfter } = facts;
  if (status === 401 || (result && tokenCodes.includes(result.code))) {
    return { kind: 'token', text: result?.text ?? `HTTP ${status}`, retryAfter };
  }
  const failed = (error: SyncError): Verdict => ({ kind: 'failed', error });
  if (result && !successCodes.includes(result.code)) {
    return failed(new RetryableError('PLATFORM_ERROR', result.text, { retryAfter }));
  }
  const byStatus = statusError(status, retryAfter);
  return byStatus && failed(byStatus);
}

/** The failure that an HTTP status stands for, or null for success (P5). */
export function statusError(status: number, retryAfter: number | undefined): SyncError | null {
  if (status === 206) return new RetryableError('TRUNCATED', 'HTTP 206, a part of the body only');
  if (status >= 200 && status < 300) return null;
  if (status === 429) return new RetryableError('RATE_LIMITED', 'HTTP 429', { retryAfter });
  if (status === 408 || status === 425 || status >= 500) {
    return new RetryableError('SOURCE_UNAVAILABLE', `HTTP ${status}`, { retryAfter });
  }
  const redirect = status < 400 ? ', a redirect, which is not followed' : '';
  return new FatalError('REQUEST_REFUSED', `HTTP ${status}${redirect}`);
}

/** Describes a body without quoting it: length, media type and hash. */
export function describeBody({ bytes, atLeast, contentType, sha256 }: Facts): string {
  if (bytes === 0) return 'empty body';
  const length = atLeast ? `at least ${bytes} bytes` : `${bytes} bytes`;
  const hash = atLeast ? `of its first ${bytes} bytes sha256 ${sha256}` : `sha256 ${sha256}`;
  return `${length} of ${contentType ?? 'no content type that can be read'}, ${hash}`;
}

/** A JSON object or array, with the text that it was read from. */
export interface JsonText {
  readonly text: string;
  readonly value: unknown;
}

/**
 * Reads a body as a JSON object or array; null if it is anything else.
 *
 * Bytes that are not UTF-8 are taken for GB18030, unless one of them is forced (P6).
 */
export function readJson(
  body: Uint8Array,
  charset: 'auto' | 'utf-8' | 'gb18030' = 'auto',
): JsonText | null {
  const text = decodeText(body, charset).replace(/^\ufeff/, '');
  if (!/^\s*[{[]/.test(text)) return null;
  try {
    return { text, value: JSON.parse(text) };
  } catch {
    return null;
  }
}

/** Reads a body as a JSON object; null if it is anything else. See `readJson`. */
export function readObject(
  body: Uint8Array,
  charset: 'auto' | 'utf-8' | 'gb18030' = 'auto',
): { readonly text: string; readonly fields: Readonly<Record<string, unknown>> } | null {
  return objectOf(readJson(body, charset));
}

/** A JSON text as an object with its fields; null for an array, or nothing. */
export function objectOf(
  json: JsonText | null,
): { readonly text: string; readonly fields: Readonly<Record<string, unknown>> } | null {
  if (json === null || Array.isArray(json.value)) return null;
  return { text: json.text, fields: json.value as Readonly<Record<string, unknown>> };
}

/** The result that a JSON object states; null without a `resultCode` (P5). */
export function readResult(
  fields: Readonly<Record<string, unknown>>,
  secrets: readonly string[],
): PlatformResult | null {
  const { resultCode, resultMsg } = fields;
  if (typeof resultCode !== 'string' && typeof resultCode !== 'number') return null;
  const code = String(resultCode).trim();
  const message = typeof resultMsg === 'string' ? maskOutside(resultMsg, secrets) : '';
  const head = `resultCode ${maskOutside(code, secrets)}`;
  return { code, text: message === '' ? head : `${head}: ${message}` };
}

/**
 * Reads `Retry-After`, seconds or an HTTP date, as milliseconds from now; at most a day is believed (P5).
 *
 * @param now milliseconds since the epoch
 */
export function readRetryAfter(value: string | null, now: number): number | undefined {
  const text = value?.trim() ?? '';
  if (/^\d+$/.test(text)) return Math.min(Number(text) * SECOND, LONGEST_WAIT);
  const at = readHttpDate(text);
  return at === null ? undefined : Math.min(Math.max(at - now, 0), LONGEST_WAIT);
}

const HTTP_DATE =
  /^[a-z]{3,9},? \d{1,2}[ -][a-z]{3}[ -](?:19|20)?\d{2} \d{2}:\d{2}:\d{2} (?:GMT|UTC)$/i;
const EARLIEST_DATE = Date.UTC(1970, 0);
const LATEST_DATE = Date.UTC(2100, 0);

/**
 * Reads an HTTP date as milliseconds since the epoch; null if it is none, or of another century.
 *
 * `Date.parse` alone would make a time of any text with a number in it, and coverage trusts it (P7).
 *
 * @example readHttpDate('Sun, 01 Nov 2026 00:00:00 GMT') // 1793491200000
 */
export function readHttpDate(value: string | null): number | null {
  const text = value?.trim() ?? '';
  const at = HTTP_DATE.test(text) ? Date.parse(text) : Number.NaN;
  return at >= EARLIEST_DATE && at < LATEST_DATE ? at : null;
}

/** The media type of a content type, in lower case; null if absent or no media type at all. */
export function readMediaType(contentType: string | null): string | null {
  const type = contentType?.split(';')[0]?.trim().toLowerCase() ?? '';
  return /^[a-z]{1,20}\/[a-z.+-]{1,80}$/.test(type) ? type : null;
}

/** The charset that a content type names, in lower case, or null (P6). */
export function readCharset(contentType: string | null): string | null {
  const name = /;\s*charset\s*=\s*"?([\w.:+-]{1,40})/i.exec(contentType ?? '')?.[1];
  return name?.toLowerCase() ?? null;
}

function decodeText(body: Uint8Array, charset: 'auto' | 'utf-8' | 'gb18030'): string {
  if (charset !== 'auto') return new TextDecoder(charset).decode(body);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    return new TextDecoder('gb18030').decode(body);
  }
}
