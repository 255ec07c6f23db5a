import { RetryableError } from '../core/errors.ts';
import type {
  Download,
  DownloadRequest,
  Platform,
  SessionToken,
  TokenStore,
} from '../sync/ports.ts';
import { judge } from './answer.ts';
import { createSignGuard } from './answer-sign.ts';
import { sniff, toDownload } from './download.ts';
import {
  type ClientCounters,
  type Context,
  describe,
  type Surroundings,
  send,
  type VccSettings,
} from './exchange.ts';
import { createSeq, downloadCall, tokenCall } from './request.ts';
import { aboutToken, createSession, readToken } from './session.ts';
import { createTransport } from './transport.ts';

export type { ClientCounters, Log, VccSettings } from './exchange.ts';

/** What the client needs of the world. */
export interface ClientOptions extends Surroundings {
  readonly tokens: TokenStore;
  /** A number in `[0, 1)` that chooses where the message numbers begin. */
  readonly random?: () => number;
}

/** The platform's client. */
export interface VccClient extends Platform {
  readonly counters: Readonly<ClientCounters>;
  /**
   * The shared session token, renewed first if it has expired (P4).
   *
   * @throws SyncError CREDENTIALS if the platform refuses to issue one
   */
  getToken(signal: AbortSignal): Promise<string>;
  /** Cuts all connections; what is under way ends with `InterruptedError`. */
  close(): Promise<void>;
}

/** Connects to the platform; nothing is sent before the first call (P1 to P7). */
export function createClient(settings: VccSettings, options: ClientOptions): VccClient {
  const context = createContext(settings, options);
  const { appId, baseKey } = settings;
  const { tokens, clock } = options;
  const session = createSession({ appId, baseKey, tokens, clock, issue: () => issue(context) });
  return {
    counters: context.counters,
    getToken: (signal) => session.getToken(signal),
    async download(request, signal) {
      const token = await session.getToken(signal);
      const first = await attempt(context, request, token, signal);
      if (!('refused' in first)) return first;
      const renewed = await session.replaceToken(token, signal);
      const second = await attempt(context, request, renewed, signal);
      if (!('refused' in second)) return second;
      const { refused, retryAfter } = second;
      const message = `a renewed token was refused as well: ${refused}`;
      throw new RetryableError('TOKEN_REFUSED', message, { retryAfter });
    },
    close: () => context.transport.close(),
  };
}

function createContext(settings: VccSettings, options: ClientOptions): Context {
  const counters: ClientCounters = { requests: 0, tokenRenewals: 0, answerSignMismatches: 0 };
  const isBelieved = createSignGuard(settings.responseSign, () => {
    counters.answerSignMismatches += 1;
    if (counters.answerSignMismatches > 1) return;
    options.log('warn', 'the sign of an answer does not agree', {});
  });
  const nextSeq = createSeq(settings, options.clock, options.random);
  return {
    ...options,
    settings,
    counters,
    isBelieved,
    nextSeq,
    transport: createTransport(settings),
  };
}

/** The interface code of getToken (P2). */
const TOKEN_INTERFACE = '1002';

/** Asks the platform for a new token (P4). */
async function issue(context: Context): Promise<SessionToken> {
  const { settings, clock, counters, log, nextSeq, transport } = context;
  const asked = clock();
  // A token is a few bytes; half an hour is for tables.
  const total = Math.min(settings.totalTimeout, settings.idleTimeout);
  const write = () => tokenCall(settings, nextSeq(TOKEN_INTERFACE));
  const answer = await send(context, write, { total, signal: transport.closing })
    .then((exchange) => describe(context, exchange, []))
    .catch((error) => {
      throw aboutToken(error);
    });
  const issued = readToken(answer, settings.successCodes, asked);
  if (!context.isBelieved(answer.object, [settings.baseKey, issued.token])) {
    throw new RetryableError('PLATFORM_ERROR', 'getToken answered without a sign that agrees');
  }
  counters.tokenRenewals += 1;
  log('info', 'session token renewed', { usedUntil: new Date(issued.expiresAt).toISOString() });
  return issued;
}

/** A token that the platform did not accept, with what it said. */
interface Refusal {
  readonly refused: string;
  readonly retryAfter: number | undefined;
}

/** Asks for a window once; every failure but a refused token is thrown (P5). */
async function attempt(
  context: Context,
  request: DownloadRequest,
  token: string,
  signal: AbortSignal,
): Promise<Download | Refusal> {
  const { settings, nextSeq } = context;
  const write = () =>
    downloadCall(settings, request, nextSeq(request.dataset.interfaceCode), token);
  const exchange = await send(context, write, { total: settings.totalTimeout, signal });
  const { call, reply, reader } = exchange;
  const { isTable, head } = await sniff(reply, reader, settings);
  if (isTable) return toDownload(reply, reader, { seq: call.seq, head });
  const { facts, object } = await describe(context, exchange, head);
  const isBelieved = context.isBelieved(facts.result && object, [settings.baseKey, token]);
  const verdict = judge(facts, settings);
  // Believed without a sign: the platform has no token left to sign it with.
  if (verdict.kind === 'token') return { refused: verdict.text, retryAfter: verdict.retryAfter };
  if (isBelieved) throw verdict.error;
  const message = `an answer without a sign that agrees: ${facts.result?.text ?? 'no resultCode'}`;
  throw new RetryableError('PLATFORM_ERROR', message, { retryAfter: facts.retryAfter });
}
