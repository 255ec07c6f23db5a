import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream';
import { parseChinaTime, SECOND } from '../../../src/core/china-time.ts';
import { DATASET_NAMES } from '../../../src/core/dataset.ts';
import { CATALOGUE } from '../../../src/datasets/catalogue.ts';
import { serveTasks } from '../program.ts';
import { ADDRESS_HEADER, addressLine, createRandom, ORG, smallTable } from '../rows.ts';

// A platform that costs as little as possible: it answers getToken, and for any window the table of
// the route. No time is spent on making rows: they lie in files or in memory.

/** What a route answers. */
export type Route =
  /** A prepared file of the organisation, whose path begins so. */
  | {
      readonly kind: 'file';
      readonly name: string;
      readonly prefix: string;
      /** Whether the answer's time is that of the window's end, for a client whose clock is set back. */
      readonly past: boolean;
    }
  /** Small tables of changes to a table of `base` rows, one after another. */
  | {
      readonly kind: 'windows';
      readonly name: string;
      readonly count: number;
      readonly rows: number;
      readonly base: number;
    }
  /** Every organisation's own small table of each dataset. */
  | { readonly kind: 'feeds'; readonly name: string; readonly rows: number };

type Answer = (url: URL, request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** Eight of ten rows of a window are changed, one is new and one as it was. */
const CHANGED = 8;
const NEW = 9;

/** What the service leaves between the newest window and now. */
const SETTLE = 30 * SECOND;

const routes = new Map<string, Answer>();

const server = createServer((request, response) => {
  const url = new URL(request.url!, 'http://127.0.0.1');
  const [, name] = url.pathname.split('/');
  if (url.pathname.endsWith('/oauth2/getToken')) {
    send(response, 'application/json', '{"token":"1Z5M011v4P5joM9VqMr0","expireTime":7200}');
    return;
  }
  const answer = routes.get(name!);
  if (!answer) response.writeHead(404).end();
  else answer(url, request, response).catch(() => response.destroy());
});

function send(response: ServerResponse, type: string, body: string | Buffer): void {
  response.writeHead(200, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

const TABLE = 'text/plain; charset=utf-8';

function answerFile({ prefix, past }: Extract<Route, { kind: 'file' }>): Answer {
  return async (url, _request, response) => {
    const path = prefix + url.searchParams.get('orgCode');
    const { size } = await stat(path);
    response.setHeader('content-type', TABLE);
    response.setHeader('content-length', size);
    const to = parseChinaTime(url.searchParams.get('timestamp') ?? '');
    if (past && to !== null) response.setHeader('date', new Date(to + SETTLE).toUTCString());
    pipeline(createReadStream(path, { highWaterMark: 262_144 }), response, () => {});
  };
}

function answerWindows({ rows, count, base }: Extract<Route, { kind: 'windows' }>): Answer {
  const random = createRandom(rows);
  const bodies = Array.from({ length: count }, () => {
    const chosen = new Set<number>();
    while (chosen.size < rows) chosen.add(Math.floor(random() * base));
    const lines = [...chosen].map((row, index) => {
      const place = index % 10;
      if (place < CHANGED) return addressLine(ORG, 2 * row, 'changed');
      return addressLine(ORG, place < NEW ? 2 * row + 1 : 2 * row, 'first');
    });
    return Buffer.from(`${ADDRESS_HEADER}\n${lines.join('\n')}\n`);
  });
  let next = 0;
  return async (_url, _request, response) => {
    send(response, TABLE, bodies[next % count]!);
    next += 1;
  };
}

function answerFeeds({ rows }: Extract<Route, { kind: 'feeds' }>): Answer {
  const made = new Map<string, string>();
  return async (url, _request, response) => {
    const orgCode = url.searchParams.get('orgCode')!;
    const name = DATASET_NAMES.find((one) => url.pathname.endsWith(CATALOGUE[one].path))!;
    const key = `${name} ${orgCode}`;
    const table = made.get(key) ?? smallTable(name, orgCode, rows);
    made.set(key, table);
    send(response, TABLE, table);
  };
}

serveTasks(async (route: Route) => {
  if (!server.listening) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
  if (route.kind === 'file') routes.set(route.name, answerFile(route));
  if (route.kind === 'windows') routes.set(route.name, answerWindows(route));
  if (route.kind === 'feeds') routes.set(route.name, answerFeeds(route));
  const { port } = server.address() as AddressInfo;
  return `http://127.0.0.1:${port}/${route.name}`;
});
