import { RetryableError } from '../core/errors.ts';
import { type JsonText, judge, judgeResult, type Verdict } from './answer.ts';
import { type Bytes, type Measured, sniff, toDownload } from './download.ts';
import { type Context, describe, type Exchange, send } from './exchange.ts';
import { type ApiRequest, sessionCall } from './request.ts';
import type { Session } from './session.ts';

/** How a call was answered that succeeded: by JSON, read whole, or by bytes. */
export type Answered =
  | { readonly kind: 'json'; readonly json: JsonText }
  | { readonly kind: 'bytes'; readonly bytes: Bytes };

/** A status of success and not one byte: nothing that says what has become of the call. */
export interface Unanswered {
  readonly kind: 'nothing';
  readonly status: number;
  /** Milliseconds by `Retry-After`, if it said so. */
  readonly retryAfter: number | undefined;
}

/** What one attempt came to; a token that was refused is no failure yet. */
type Attempt<T> = { readonly answer: T } | Extract<Verdict, { kind: 'token' }>;

/** The largest JSON answer that is read, in bytes: it is held in memory. */
const MOST_JSON = 16 * 1_048_576;

/** What is sent, and how long that may take. */
interface Asking {
  readonly request: ApiRequest;
  /** The longest time for the whole exchange, in milliseconds. */
  readonly total: number;
  readonly signal: AbortSignal;
}

/**
 * Sends a call with the session token; where that is refused, once more with a renewed one (P5).
 *
 * @throws SyncError TOKEN_REFUSED if the renewed one is refused as well
 */
async function withToken<T>(
  session: Session,
  signal: AbortSignal,
  attempt: (token: string) => Promise<Attempt<T>>,
): Promise<T> {
  const token = await session.getToken(signal);
  const first = await attempt(token);
  if ('answer' in first) return first.answer;
  const second = await attempt(await session.replaceToken(token, signal));
  if ('answer' in second) return second.answer;
  const message = `a renewed token was refused as well: ${second.text}`;
  throw new RetryableError('TOKEN_REFUSED', message, { retryAfter: second.retryAfter });
}

/** Asks for a table; everything else, and every failure, is thrown (P5). */
export function askForTable(context: Context, session: Session, asking: Asking): Promise<Bytes> {
  return withToken(session, asking.signal, async (token) => {
    const exchange = await sendWith(context, asking, token);
    const { form, head } = await sniff(exchange.reply, exchange.reader, context.settings);
    if (form === 'table') return { answer: bytesOf(exchange, head) };
    const measured = await describe(context, exchange, head);
    // What names no result is no answer of the platform's, and is classed as such.
    const isBelieved = believes(context, measured.facts.result && measured.json, token);
    return failedAttempt(judge(measured.facts, context.settings), measured, isBelieved);
  });
}

/** Asks for something; JSON is read whole, and every failure is thrown, an empty body too (P5). */
export async function ask(context: Context, session: Session, asking: Asking): Promise<Answered> {
  const answered = await askForAnything(context, session, asking);
  if (answered.kind !== 'nothing') return answered;
  throw new RetryableError('NOT_A_TABLE', 'empty body', { retryAfter: answered.retryAfter });
}

/** The same for a call of which nobody knows whether it is answered by anything. */
export function askForAnything(
  context: Context,
  session: Session,
  asking: Asking,
): Promise<Answered | Unanswered> {
  return withToken<Answered | Unanswered>(session, asking.signal, async (token) => {
    const exchange = await sendWith(context, asking, token);
    const { form, head } = await sniff(exchange.reply, exchange.reader, context.settings);
    if (form === 'table' || form === 'other') {
      return { answer: { kind: 'bytes', bytes: bytesOf(exchange, head) } };
    }
    const measured = await describe(context, exchange, head, MOST_JSON);
    const { facts, json } = measured;
    const isBelieved = believes(context, json, token);
    const verdict = judgeResult(facts, context.settings);
    if (verdict === null && facts.bytes === 0) {
      return { answer: { kind: 'nothing', status: facts.status, retryAfter: facts.retryAfter } };
    }
    if (verdict === null && json !== null && isBelieved) return { answer: { kind: 'json', json } };
    return failedAttempt(verdict ?? judge(facts, context.settings), measured, isBelieved);
  });
}

function sendWith(
  context: Context,
  { request, total, signal }: Asking,
  token: string,
): Promise<Exchange> {
  const { settings, nextSeq } = context;
  const write = () => sessionCall(settings, request, nextSeq(request.interfaceCode), token);
  return send(context, write, { total, signal });
}

function bytesOf({ call, reply, reader }: Exchange, head: readonly Buffer[]): Bytes {
  return toDownload(reply, reader, { seq: call.seq, head });
}

function believes(
  { isBelieved, settings }: Context,
  json: JsonText | null,
  token: string,
): boolean {
  return isBelieved(json, [settings.baseKey, token]);
}

/** Believed without a sign is a refused token alone: the platform has no token left to sign it with. */
function failedAttempt(verdict: Verdict, { facts }: Measured, isBelieved: boolean) {
  if (verdict.kind === 'token') return verdict;
  if (isBelieved) throw verdict.error;
  const message = `an answer without a sign that agrees: ${facts.result?.text ?? 'no resultCode'}`;
  throw new RetryableError('PLATFORM_ERROR', message, { retryAfter: facts.retryAfter });
}
