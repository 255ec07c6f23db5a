import { RetryableError } from '../core/errors.ts';
import type { Platform, SessionToken, TokenStore } from '../sync/ports.ts';
import { createSignGuard } from './answer-sign.ts';
import { type Answered, ask, askForAnything, askForTable, type Unanswered } from './attempt.ts';
import {
  type ClientCounters,
  type Context,
  describe,
  type Surroundings,
  send,
  type VccSettings,
} from './exchange.ts';
import { CALLS } from './interfaces.ts';
import { type MediaCalls, openMedia } from './media.ts';
import { type ApiRequest, createSeq, downloadRequest, tokenCall } from './request.ts';
import { aboutToken, createSession, readToken } from './session.ts';
import { openSubscribers, type SubscriberCalls } from './subscribers.ts';
import { createTransport } from './transport.ts';

export type { ClientCounters, Log, VccSettings } from './exchange.ts';

/** What the client needs of the world. */
export interface ClientOptions extends Surroundings {
  readonly tokens: TokenStore;
  /** A number in `[0, 1)` that chooses where the message numbers begin. */
  readonly random?: () => number;
}

/** The platform's client. */
export interface VccClient extends Platform, SubscriberCalls, MediaCalls {
  readonly counters: Readonly<ClientCounters>;
  /**
   * The shared session token, renewed first if it has expired (P4).
   *
   * @throws SyncError CREDENTIALS if the platform refuses to issue one
   */
  getToken(signal: AbortSignal): Promise<string>;
  /**
   * Any call of the document but getToken: JSON is read whole, everything else comes as bytes, if there
   * is anything.
   *
   * @throws SyncError classed by P5; a refused token has already been renewed and the call repeated once
   */
  call(request: ApiRequest, signal: AbortSignal): Promise<Answered | Unanswered>;
  /** Cuts all connections; what is under way ends with `InterruptedError`. */
  close(): Promise<void>;
}

/** Connects to the platform; nothing is sent before the first call (P1 to P8). */
export function createClient(settings: VccSettings, options: ClientOptions): VccClient {
  const context = createContext(settings, options);
  const { appId, baseKey, totalTimeout: total } = settings;
  const { tokens, clock } = options;
  const session = createSession({ appId, baseKey, tokens, clock, issue: () => issue(context) });
  const call = (request: ApiRequest, signal: AbortSignal) =>
    ask(context, session, { request, total, signal });
  return {
    counters: context.counters,
    getToken: (signal) => session.getToken(signal),
    download: (wanted, signal) =>
      askForTable(context, session, { request: downloadRequest(wanted), total, signal }),
    call: (request, signal) => askForAnything(context, session, { request, total, signal }),
    ...openSubscribers(call),
    ...openMedia(call),
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

/** Asks the platform for a new token (P4). */
async function issue(context: Context): Promise<SessionToken> {
  const { settings, clock, counters, log, nextSeq, transport } = context;
  const asked = clock();
  // A token is a few bytes; half an hour is for tables.
  const total = Math.min(settings.totalTimeout, settings.idleTimeout);
  const write = () => tokenCall(settings, nextSeq(CALLS.token.interfaceCode));
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
