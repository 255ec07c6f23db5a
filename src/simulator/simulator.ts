import { setMaxListeners } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { floorSecond, SECOND } from '../core/china-time.ts';
import type { Clock } from '../core/clock.ts';
import type { DatasetName } from '../core/dataset.ts';
import { type Answer, errorAnswer, sendAnswer } from './answer.ts';
import { type Call, openRecord, type RequestRecord, readCall, realTime } from './call.ts';
import { answerControl } from './control.ts';
import { createDownloads, type Downloads } from './downloads.ts';
import { createGrants, type Grants } from './grants.ts';
import type { Bounds, Reading } from './history.ts';
import { answerCall, type ExpireTimeForm, type PlatformSettings } from './platform.ts';
import { refusal } from './result-codes.ts';
import { createSeqCheck } from './seq-check.ts';
import { createSessions } from './session.ts';
import type { World } from './world.ts';

/** Where the platform's interfaces lie, below the simulator's address. */
const BASE_PATH = '/vcc-openapi';

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
  /** Port on 127.0.0.1; default any free one. */
  readonly port?: number;
  /** Seconds that a token lives; default 7200. */
  readonly tokenLifetime?: number;
  /** Default `seconds` (P4). */
  readonly expireTime?: ExpireTimeForm;
  /** Whether a new token ends the old at once; default true (P4). */
  readonly newTokenKillsOld?: boolean;
  /** Whether calls other than getToken must be signed; a sign that is given is always checked. */
  readonly requireSign?: boolean;
  /** Secret of calls other than getToken; default `token` (P3). */
  readonly signSecret?: 'token' | 'base';
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
  readonly interfere?: Interfere;
  /** Told of every request to the platform once it has ended. */
  readonly log?: (record: RequestRecord) => void;
}

/** A running simulator. */
export interface Simulator {
  /** The platform's base URL, as for `VCC_BASE_URL`. */
  readonly url: string;
  /** Where `/control/` lies. */
  readonly origin: string;
  /** What it was asked, in the order of arrival. */
  readonly requests: readonly RequestRecord[];
  readonly tokensIssued: number;
  /** The most requests for one feed that were ever under way at once, refused ones included. */
  readonly maxConcurrentPerFeed: number;
  /** Ends every token at once. */
  expireToken(): void;
  /** Refuses a dataset of an organisation, or with null all of it. @throws RangeError if unknown */
  refuse(orgCode: string, dataset: DatasetName | null): void;
  /** Takes refusals back: one, or with null all of the organisation. @throws RangeError if unknown */
  allow(orgCode: string, dataset: DatasetName | null): void;
  /** Cuts every connection and stops; twice is harmless. */
  close(): Promise<void>;
}

/**
 * Starts a stand-in for the platform on 127.0.0.1: 1002, 3001 to 3004 and 3005 below `/vcc-openapi`,
 * and `/control/` beside it.
 *
 * @throws Error if the port can not be had
 */
export async function startSimulator(options: SimulatorOptions): Promise<Simulator> {
  const desk = openDesk(options);
  const stopping = new AbortController();
  // Every request that waits out the latency listens, however many there are.
  setMaxListeners(0, stopping.signal);
  const underWay = new Set<Promise<void>>();
  const server = createServer((request, response) => {
    const over = new Promise<void>((resolve) => response.once('close', resolve));
    underWay.add(over);
    response.once('close', () => underWay.delete(over));
    // A client that is gone is no failure of ours.
    response.on('error', () => undefined);
    void serve(desk, request, response, stopping.signal).catch(() => response.destroy());
  });
  // A client that hangs up has given up: its download is over, whatever is still to be sent.
  server.on('connection', (socket) => socket.once('end', () => socket.destroy()));
  const origin = await listen(server, options.port ?? 0);
  let closed: Promise<void> | undefined;
  return {
    url: `${origin}${BASE_PATH}`,
    origin,
    requests: desk.requests,
    get tokensIssued() {
      return desk.settings.sessions.issued;
    },
    get maxConcurrentPerFeed() {
      return desk.downloads.most;
    },
    expireToken: desk.expireToken,
    refuse: desk.grants.refuse,
    allow: desk.grants.allow,
    close() {
      stopping.abort();
      closed ??= new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }).then(async () => void (await Promise.all(underWay)));
      return closed;
    },
  };
}

/** All that answering needs, and all that it leaves behind. */
interface Desk {
  readonly options: SimulatorOptions;
  readonly world: World;
  readonly clock: Clock;
  readonly settings: PlatformSettings;
  readonly grants: Grants;
  readonly downloads: Downloads;
  readonly requests: RequestRecord[];
  expireToken(): void;
}

function openDesk(options: SimulatorOptions): Desk {
  const { world, clock, tokenLifetime = 7200, newTokenKillsOld = true } = options;
  const sessions = createSessions({ clock, tokenLifetime, newTokenKillsOld });
  const grants = createGrants(world.orgs.map(({ code }) => code));
  const settings: PlatformSettings = {
    world,
    clock,
    appId: options.appId,
    baseKey: options.baseKey,
    reading: options.reading,
    bounds: options.bounds ?? 'inclusive',
    tokenLifetime,
    expireTime: options.expireTime ?? 'seconds',
    requireSign: options.requireSign ?? false,
    signSecret: options.signSecret ?? 'token',
    seqCode: options.seqCode ?? null,
    sessions,
    grants,
    checkSeq: createSeqCheck(clock),
  };
  const expireToken = () => sessions.expire();
  const downloads = createDownloads();
  return { options, world, clock, settings, grants, downloads, requests: [], expireToken };
}

/** Takes one request to its end. */
async function serve(
  desk: Desk,
  request: IncomingMessage,
  response: ServerResponse,
  stopping: AbortSignal,
): Promise<void> {
  request.resume();
  const { clock, options } = desk;
  const url = new URL(request.url ?? '/', 'http://127.0.0.1');
  response.sendDate = false;
  if (options.dateHeader !== 'none') {
    const date = floorSecond(clock() + (options.dateSkew ?? 0));
    response.setHeader('date', new Date(date).toUTCString());
  }
  if (url.pathname.startsWith('/control/')) {
    catchUp(desk);
    answerControl(desk, request.method, url, response);
  } else if (url.pathname.startsWith(`${BASE_PATH}/`)) {
    const path = url.pathname.slice(BASE_PATH.length);
    const call = readCall(request.method ?? '', path, url.searchParams);
    await answerRecorded(desk, call, request, response, stopping);
  } else {
    response.writeHead(404).end();
  }
}

/** Answers a call to the platform, and keeps the record of it. */
async function answerRecorded(
  desk: Desk,
  call: Call,
  request: IncomingMessage,
  response: ServerResponse,
  stopping: AbortSignal,
): Promise<void> {
  const { options, downloads } = desk;
  const record = openRecord(call, desk.clock());
  desk.requests.push(record);
  const turn = record.dataset ? downloads.enter(`${record.dataset} ${record.orgCode}`) : null;
  function end(whole: boolean): void {
    if (record.endedAt !== null) return;
    record.endedAt = realTime();
    turn?.leave();
    if (!whole && record.result !== 'interfered') record.result = 'aborted';
    options.log?.(record);
  }
  // Over once the last byte is handed on, so that the client's next request never finds this one.
  response.once('finish', () => end(true)).once('close', () => end(false));
  if (options.latency) await delay(options.latency, undefined, { signal: stopping });
  if (record.endedAt !== null) return;
  const answer = prepare(desk, call, turn?.ahead ?? 0);
  record.result = 'interfered';
  if (await options.interfere?.(request, response, { record, answer })) return;
  if (response.destroyed) return;
  record.result = answer.result;
  record.rows = answer.rows;
  await sendAnswer(answer, request, response);
}

/** What a call is answered; a fault of the simulator's own becomes an error like any other. */
function prepare(desk: Desk, call: Call, ahead: number): Answer {
  try {
    catchUp(desk);
    return answerCall(desk.settings, call, ahead);
  } catch (error) {
    return errorAnswer(refusal('INTERNAL', `the simulator failed: ${String(error)}`));
  }
}

/** Carries the world on to the clock, the current second included, as a download up to now may hold it. */
function catchUp({ options, world, clock }: Desk): void {
  if (options.evolve) world.evolve(floorSecond(clock()) + SECOND);
}

function listen(server: Server, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    });
  });
}
