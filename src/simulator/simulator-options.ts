import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../core/clock.ts';
import type { Answer } from './answer.ts';
import type { RequestRecord } from './call.ts';
import type { Bounds, Reading } from './history.ts';
import type { ExpireTimeForm, IgnoredEnd } from './platform.ts';
import type { World } from './world.ts';

/** What a fault finds when it may take an answer over. */
export interface Prepared {
  /** The call's record; its result becomes `interfered` if the answer is taken over. */
  readonly record: Readonly<RequestRecord>;
  /** What would be sent; checks, tokens and message numbers have already had their effect. */
  readonly answer: Answer;
}

/**
 * May take over a response (status, headers, body, or the socket's end) in place of the prepared
 * answer; true if it did. It gets the platform's requests only, never those to `/control/`.
 */
export type Interfere = (
  request: IncomingMessage,
  response: ServerResponse,
  prepared: Prepared,
) => boolean | Promise<boolean>;

/** How the simulator behaves; all but the first five have defaults. */
export interface SimulatorOptions {
  readonly world: World;
  /** The platform's clock. */
  readonly clock: Clock;
  readonly appId: string;
  /** 32 letters and digits (P3). */
  readonly baseKey: string;
  /** What an old window gives (P7). */
  readonly reading: Reading;
  /** Default `inclusive`. */
  readonly bounds?: Bounds;
  /** Which end of a window is ignored; default `none`. */
  readonly ignores?: IgnoredEnd;
  /** Address to listen on; default 127.0.0.1. */
  readonly host?: string;
  /** Port there; default any free one. */
  readonly port?: number;
  /** Seconds that a token lives; default 7200. */
  readonly tokenLifetime?: number;
  /** Default `seconds` (P4). */
  readonly expireTime?: ExpireTimeForm;
  /** Whether a new token ends the old at once; default true (P4). */
  readonly newTokenKillsOld?: boolean;
  /** Whether calls other than getToken must be signed; a sign that is given is always checked. */
  readonly requireSign?: boolean;
  /** Secret of calls other than getToken, and of answers; default `token` (P3). */
  readonly signSecret?: 'token' | 'base';
  /** Whether JSON answers are signed, rightly or wrongly; default `none` (P3). */
  readonly answerSign?: 'none' | 'right' | 'wrong';
  /** One code that heads every `seq`, in place of each interface's own (P2). */
  readonly seqCode?: string;
  /** Whether answers carry a `Date`; default `clock`. */
  readonly dateHeader?: 'clock' | 'none';
  /** How far the `Date` is ahead of the clock that all else goes by, in milliseconds; default 0. */
  readonly dateSkew?: number;
  /** Milliseconds before each answer; default 0. */
  readonly latency?: number;
  /** Whether the world's history is carried on to the clock before each answer; default false. */
  readonly evolve?: boolean;
  /** How many requests, and faults put in, are remembered, the newest; default all. */
  readonly keep?: number;
  readonly interfere?: Interfere;
  /** Told of every request to the platform once it has ended. */
  readonly log?: (record: RequestRecord) => void;
}
