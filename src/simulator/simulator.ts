import { setMaxListeners } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { DatasetName } from '../core/dataset.ts';
import { type RequestRecord, readCall } from './call.ts';
import { answerControl } from './control.ts';
import { answerRecorded, catchUp, type Desk, openDesk, setDate } from './desk.ts';
import { createFaultDesk, type FaultDesk } from './fault-control.ts';
import type { Faults, Injection } from './fault-plan.ts';
import { createListener } from './listener.ts';
import { readBody } from './request-body.ts';
import type { SimulatorOptions } from './simulator-options.ts';

export type { Interfere, Prepared, SimulatorOptions } from './simulator-options.ts';

/** Where the platform's interfaces lie, below the simulator's address. */
const BASE_PATH = '/vcc-openapi';

/** A running simulator. */
export interface Simulator {
  /** The platform's base URL, as for `VCC_BASE_URL`. */
  readonly url: string;
  /** Where `/control/` lies. */
  readonly origin: string;
  /** What it was asked, in the order of arrival: all of it, or the newest (`keep`). */
  readonly requests: readonly RequestRecord[];
  readonly tokensIssued: number;
  /** The tokens themselves, for who looks where they have got to. */
  readonly tokens: readonly string[];
  /** The most requests for one feed that were ever under way at once, refused ones included. */
  readonly maxConcurrentPerFeed: number;
  /** Puts faults in: for a call, for a while or at random. */
  readonly faults: Faults;
  /** What faults were put in, in the order in which they struck: all, or the newest. */
  readonly injected: readonly Injection[];
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
 * Starts a stand-in for the platform, on 127.0.0.1 by default: below `/vcc-openapi` every call of the document,
 * and `/control/` beside it.
 *
 * @throws Error if the port can not be had
 */
export async function startSimulator(options: SimulatorOptions): Promise<Simulator> {
  const stopping = new AbortController();
  // Every request that waits out the latency listens, however many there are.
  setMaxListeners(0, stopping.signal);
  const server = createServer();
  const listener = await createListener(server, options.port ?? 0, options.host);
  const desk = openDesk(options, listener.goDeaf);
  const faultDesk = createFaultDesk(desk.plan.faults);
  const underWay = new Set<Promise<void>>();
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const over = new Promise<void>((resolve) => response.once('close', resolve));
    underWay.add(over);
    response.once('close', () => underWay.delete(over));
    // A client that is gone is no failure of ours.
    response.on('error', () => undefined);
    const arrival = { request, response, stopping: stopping.signal };
    void serve(desk, faultDesk, arrival).catch(() => response.destroy());
  });
  const { origin } = listener;
  let closed: Promise<void> | undefined;
  return {
    url: `${origin}${BASE_PATH}`,
    origin,
    requests: desk.requests,
    faults: desk.plan.faults,
    injected: desk.plan.injected,
    get tokensIssued() {
      return desk.settings.sessions.issued;
    },
    get tokens() {
      return desk.settings.sessions.tokens;
    },
    get maxConcurrentPerFeed() {
      return desk.downloads.most;
    },
    expireToken: desk.expireToken,
    refuse: desk.grants.refuse,
    allow: desk.grants.allow,
    close() {
      stopping.abort();
      closed ??= listener.close().then(async () => void (await Promise.all(underWay)));
      return closed;
    },
  };
}

/** Takes one request to its end. */
async function serve(
  desk: Desk,
  faultDesk: FaultDesk,
  arrival: Parameters<typeof answerRecorded>[2],
): Promise<void> {
  const { request, response } = arrival;
  const url = new URL(request.url ?? '/', 'http://127.0.0.1');
  if (url.pathname.startsWith('/control/')) {
    setDate(desk, response);
    catchUp(desk);
    const { requests, plan, world, clock, expireToken } = desk;
    const controlled = { requests, world, clock, expireToken, injected: plan.injected, faultDesk };
    await answerControl(controlled, request, url, response);
  } else if (url.pathname.startsWith(`${BASE_PATH}/`)) {
    const path = url.pathname.slice(BASE_PATH.length);
    if (request.method !== 'POST') request.resume();
    const sent = {
      contentType: request.headers['content-type'] ?? '',
      content: request.method === 'POST' ? await readBody(request) : Buffer.alloc(0),
    };
    const call = await readCall(request.method ?? '', path, url.searchParams, sent);
    await answerRecorded(desk, call, arrival);
  } else {
    request.resume();
    setDate(desk, response);
    response.writeHead(404).end();
  }
}
