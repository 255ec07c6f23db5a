import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../core/clock.ts';
import { isDatasetName } from '../core/dataset.ts';
import type { RequestRecord } from './call.ts';
import type { FaultDesk } from './fault-control.ts';
import type { Injection } from './fault-plan.ts';
import { readBody } from './request-body.ts';
import type { World } from './world.ts';

/** What the control endpoint may reach. */
export interface Controlled {
  readonly world: World;
  readonly clock: Clock;
  readonly requests: readonly RequestRecord[];
  readonly injected: readonly Injection[];
  readonly faultDesk: FaultDesk;
  expireToken(): void;
}

/** The most changes that one control request may make. */
const MOST_CHANGES = 100_000;

interface Reply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly answer: (
    controlled: Controlled,
    query: URLSearchParams,
    body: string,
  ) => Reply | Promise<Reply>;
}

const ROUTES: ReadonlyMap<string, readonly Route[]> = new Map<string, readonly Route[]>([
  ['requests', [{ method: 'GET', answer: ({ requests }) => jsonLines(requests) }]],
  ['change', [{ method: 'POST', answer: change }]],
  ['rows', [{ method: 'GET', answer: rows }]],
  ['expire-token', [{ method: 'POST', answer: expireToken }]],
  ['injected', [{ method: 'GET', answer: ({ injected }) => jsonLines(injected) }]],
  [
    'faults',
    [
      { method: 'POST', answer: orderFault },
      { method: 'DELETE', answer: cancelFaults },
    ],
  ],
]);

/**
 * Serves `/control/…`, by which other processes look into the simulator and move it:
 * `GET requests` (a JSON line each), `POST change?count=N` (the changes made), `GET rows?dataset=&orgCode=`
 * (a feed's rows now), `POST expire-token`, `POST faults` (see `FaultDesk`; answers `{"id"}`),
 * `DELETE faults?id=N` (or all), `GET injected` (a JSON line each). A wrong call gets status 400, 404
 * or 405 and `{"error"}`.
 */
export async function answerControl(
  controlled: Controlled,
  request: IncomingMessage,
  url: URL,
  response: ServerResponse,
): Promise<void> {
  const name = url.pathname.slice('/control/'.length);
  const sent = (await readBody(request)).toString('utf8');
  const { status, contentType, body } = await reply(controlled, request.method, {
    name,
    query: url.searchParams,
    sent,
  });
  response.writeHead(status, { 'content-type': contentType }).end(body);
}

interface Order {
  readonly name: string;
  readonly query: URLSearchParams;
  readonly sent: string;
}

function reply(
  controlled: Controlled,
  method: string | undefined,
  { name, query, sent }: Order,
): Reply | Promise<Reply> {
  const routes = ROUTES.get(name);
  if (!routes) return failure(404, 'there is no such control');
  const route = routes.find((each) => each.method === method);
  if (route) return route.answer(controlled, query, sent);
  return failure(405, `this control takes ${routes.map((each) => each.method).join(' or ')}`);
}

function orderFault({ faultDesk }: Controlled, _: URLSearchParams, body: string): Reply {
  try {
    return json(200, { id: faultDesk.order(body) });
  } catch (error) {
    if (error instanceof RangeError) return failure(400, error.message);
    throw error;
  }
}

async function cancelFaults({ faultDesk }: Controlled, query: URLSearchParams): Promise<Reply> {
  const id = query.get('id');
  const found = await faultDesk.cancel(id === null ? null : Number(id));
  return found ? json(200, {}) : failure(404, 'there is no fault of that id');
}

function jsonLines(records: readonly object[]): Reply {
  const body = records.map((record) => `${JSON.stringify(record)}\n`).join('');
  return { status: 200, contentType: 'application/x-ndjson', body };
}

function change({ world, clock }: Controlled, query: URLSearchParams): Reply {
  const count = Number(query.get('count') ?? '1');
  if (!Number.isInteger(count) || count < 1 || count > MOST_CHANGES) {
    return failure(400, `count must be a whole number from 1 to ${MOST_CHANGES}`);
  }
  return json(200, world.change(count, clock()));
}

function rows({ world, clock }: Controlled, query: URLSearchParams): Reply {
  const dataset = query.get('dataset') ?? '';
  const orgCode = query.get('orgCode') ?? '';
  if (!isDatasetName(dataset)) return failure(400, 'dataset is missing or unknown');
  if (!world.orgs.some(({ code }) => code === orgCode)) {
    return failure(400, 'orgCode is missing or unknown');
  }
  return json(200, [...world.rows(dataset, orgCode, clock()).values()]);
}

function expireToken(controlled: Controlled): Reply {
  controlled.expireToken();
  return json(200, {});
}

function failure(status: number, error: string): Reply {
  return json(status, { error });
}

function json(status: number, body: object): Reply {
  return { status, contentType: 'application/json', body: JSON.stringify(body) };
}
