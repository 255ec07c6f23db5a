import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import { InterruptedError } from '../core/errors.ts';
import type { RequestPacer } from '../sync/ports.ts';
import { type ResultCodes, readHttpDate } from './answer.ts';
import type { SignGuard } from './answer-sign.ts';
import { type BodyLimits, type BodyReader, openBody } from './body.ts';
import { type Measured, measure, type SniffOptions } from './download.ts';
import type { Call, RequestSettings, SeqSource } from './request.ts';
import { abortable } from './session.ts';
import type { Reply, Transport, TransportSettings } from './transport.ts';

/** The platform's settings; times in milliseconds, sizes in bytes. */
export interface VccSettings
  extends RequestSettings,
    ResultCodes,
    TransportSettings,
    BodyLimits,
    SniffOptions {
  /** The charset that is forced on JSON messages; tables are decoded by their reader (P6). */
  readonly charset: 'auto' | 'utf-8' | 'gb18030';
  /** What a JSON answer whose `sign` does not agree comes to (P3). */
  readonly responseSign: 'off' | 'warn' | 'require';
  /** The longest time for one whole download. */
  readonly totalTimeout: number;
}

/** Takes one event: a constant message and its facts. */
export type Log = (
  level: 'info' | 'warn',
  message: string,
  facts: Readonly<Record<string, unknown>>,
) => void;

/** What a client did since it was created; numbers only grow. */
export interface ClientCounters {
  /** Requests sent, getToken and repeats included. */
  requests: number;
  tokenRenewals: number;
  answerSignMismatches: number;
}

/** What every exchange needs of the world. */
export interface Surroundings {
  /** Spaces requests out; null where they need not be. */
  readonly pacer: RequestPacer | null;
  readonly clock: Clock;
  readonly log: Log;
  /** Told the platform's time (milliseconds) by every answer that names it. */
  readonly onDate?: (date: number) => void;
}

/** What all exchanges of one client share. */
export interface Context extends Surroundings {
  readonly settings: VccSettings;
  readonly counters: ClientCounters;
  readonly transport: Transport;
  readonly nextSeq: SeqSource;
  readonly isBelieved: SignGuard;
}

/** One request and its answer, whose body is still to be read. */
export interface Exchange {
  readonly call: Call;
  readonly reply: Reply;
  readonly reader: BodyReader;
}

/**
 * Waits for a slot, sends one request and takes the head of its answer.
 *
 * @param write writes the request at the moment of sending, since its number holds that time (P2)
 * @param limits `total`: the longest time from sending to the body's end, in milliseconds
 * @throws SyncError SOURCE_UNAVAILABLE, DOWNLOAD_TIMEOUT or INTERRUPTED
 */
export async function send(
  { settings, pacer, transport, counters, onDate }: Context,
  write: () => Call,
  { total, signal }: { readonly total: number; readonly signal: AbortSignal },
): Promise<Exchange> {
  if (pacer) await waitForSlot(pacer, signal);
  const call = write();
  counters.requests += 1;
  const reply = await transport.send(call, total, signal);
  const date = readHttpDate(reply.header('date'));
  if (date !== null) onDate?.(date);
  return { call, reply, reader: openBody(reply, settings) };
}

/**
 * Reads what an answer is that is no table; `head` is what was read of it already (P5).
 *
 * @param most bytes that are read of it at most, about
 */
export function describe(
  { settings: { charset }, clock }: Context,
  { call, reply, reader }: Exchange,
  head: readonly Buffer[],
  most?: number,
): Promise<Measured> {
  return measure(reply, reader, head, { clock, charset, secrets: call.secrets, most });
}

/** Waits for the next free slot of all processes. */
async function waitForSlot(pacer: RequestPacer, signal: AbortSignal): Promise<void> {
  const wait = await abortable(pacer.reserve(), signal);
  if (!(wait > 0)) return;
  try {
    await sleep(wait, undefined, { signal });
  } catch {
    throw new InterruptedError();
  }
}
