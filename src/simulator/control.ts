import type { ServerResponse } from 'node:http';
import type { Clock } from '../core/clock.ts';
import { isDatasetName } from '../core/dataset.ts';
import type { RequestRecord } from './call.ts';
import type { World } from './world.ts';

/** What the control endpoint may reach. */
export interface Controlled {
  readonly world: World;
  readonly clock: Clock;
  readonly requests: readonly RequestRecord[];
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
  readonly method: 'GET' | 'POST';
  readonly answer: (controlled: Controlled, query: URLSearchParams) => Reply;
}

const ROUTES: ReadonlyMap<string, Route> = new Map<string, Route>([
  ['requests', { method: 'GET', answer: requestLines }],
  ['change', { method: 'POST', answer: change }],
  ['rows', { method: 'GET', answer: rows }],
  ['expire-token', { method: 'POST', answer: expireToken }],
]);

/**
 * Serves `/control/…`, by which other processes look into the simulator and move it:
 * `GET requests` (a JSON line each), `POST change?count=N` (the changes made), `GET rows?dataset=&orgCode=`
 * (a feed's rows now), `POST expire-token`. A wrong call gets status 400, 404 or 405 and `{"error"}`.
 */
export function answerControl(
  controlled: Controlled,
  method: string | undefined,
  url: URL,
  response: ServerResponse,
): void {
  const name = url.pathname.slice('/control/'.length);
  const { status, contentType, body } = reply(controlled, method, name, url.searchParams);
  response.writeHead(status, { 'content-type': contentType }).end(body);
}

function reply(
  controlled: Controlled,
  method: string | undefined,
  name: string,
  query: URLSearchParams,
): Reply {
  const route = ROUTES.get(name);
  if (!route) return failure(404, 'there is no such control');
  if (method !== route.method) return failure(405, `this control takes ${route.method}`);
  return route.answer(controlled, query);
}

function requestLines({ requests }: Controlled): Reply {
  const body = requests.map((record) => `${JSON.stringify(record)}\n`).join('');
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
