import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { HOUR } from '../../src/core/china-time.ts';
import type { SyncError } from '../../src/core/errors.ts';
import { reach } from '../../src/core/window.ts';
import { type SimulatorOptions, startSimulator } from '../../src/simulator/simulator.ts';
import { createWorld } from '../../src/simulator/world.ts';
import type { SubscriberSearch, ToldSubscriber } from '../../src/sync/ports.ts';
import { createClient, type VccClient, type VccSettings } from '../../src/vcc/client.ts';
import { picture } from '../support/media-files.ts';
import { memoryTokens } from '../support/memory-tokens.ts';
import { APP_ID, BASE_KEY, clientSettings } from '../support/sync-harness.ts';

const NOW = Date.UTC(2026, 10, 20, 2);
const ORG = 'WJ0105';
const SUBSCRIBERS = 250;
const never = new AbortController().signal;

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function clientOf(
  url: string,
  settings: Partial<VccSettings> = {},
  tokens = memoryTokens(),
): VccClient {
  const client = createClient(clientSettings(url, settings), {
    tokens,
    pacer: null,
    clock: () => NOW,
    log: () => {},
  });
  closers.push(() => client.close());
  return client;
}

/** Success without what was asked for. */
const NOTHING = [
  { resultCode: '0', resultMsg: 'ok', sign: 'X' },
  { resultCode: 0, datas: null },
  { resultCode: '0', timeStamp: '20261120100000', data: [] },
];

/** Success in another form than documented: whatever it may be, it is not "none". */
const OTHERWISE = [
  {},
  { resultCode: '0', datas: [{ subsCode: '1' }] },
  { resultCode: '0', data: { subsCode: '1' } },
  { resultCode: '0', total: 3 },
];

/** A simulator of one organisation, and a client. */
async function stage(options: Partial<SimulatorOptions> = {}, settings: Partial<VccSettings> = {}) {
  const world = createWorld({
    seed: 5,
    orgs: [{ code: ORG, name: ORG }],
    bornAt: reach(NOW) + HOUR,
    until: NOW,
    subscribersPerOrg: SUBSCRIBERS,
    changesPerDay: 0,
  });
  const simulator = await startSimulator({
    world,
    clock: () => NOW,
    appId: APP_ID,
    baseKey: BASE_KEY,
    reading: 'then',
    ...options,
  });
  closers.push(() => simulator.close());
  return { world, simulator, client: clientOf(simulator.url, settings) };
}

/** A client of a platform that issues tokens and answers everything else this way. */
async function answering(
  answer: (query: URLSearchParams, request: IncomingMessage, response: ServerResponse) => unknown,
  settings: Partial<VccSettings> = {},
): Promise<VccClient> {
  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://platform');
    const body = pathname.endsWith('/getToken')
      ? { token: 'TokenNumber1', expireTime: 7200 }
      : await answer(searchParams, request, response);
    if (!response.writableEnded) response.end(JSON.stringify(body));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(async () => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return clientOf(`http://127.0.0.1:${port}/vcc-openapi`, settings);
}

async function search(client: VccClient, wanted: Partial<SubscriberSearch> = {}) {
  const pages: (readonly ToldSubscriber[])[] = [];
  let total = -1;
  for await (const page of client.searchSubscribers({ orgCode: ORG, ...wanted }, never)) {
    pages.push(page.subscribers);
    total = page.total;
  }
  return { pages, total, found: pages.flat() };
}

const failureOf = (work: Promise<unknown>): Promise<SyncError> =>
  work.then(
    () => Promise.reject(new Error('it did not fail')),
    (error) => error,
  );

describe('the search for subscribers (3007)', () => {
  it('brings every subscriber once, over all pages, and the total', async () => {
    const { world, client, simulator } = await stage();
    const { pages, total, found } = await search(client);
    expect(pages.map((page) => page.length)).toEqual([100, 100, 50]);
    expect(total).toBe(SUBSCRIBERS);
    const codes = [...world.rows('subscribers', ORG, NOW).keys()].sort();
    expect(found.map(({ subscriber_code }) => subscriber_code)).toEqual(codes);
    const calls = simulator.requests.filter((call) => call.interface === '3007');
    expect(calls).toHaveLength(3);
    expect(calls.every(({ seq }) => seq?.startsWith('3007'))).toBe(true);
  });

  it('tells what the platform tells, by the columns of the table, masked', async () => {
    const { world, client } = await stage();
    const row = [...world.rows('subscribers', ORG, NOW).values()].find(({ mobile }) => mobile)!;
    const { found, total } = await search(client, { subscriberCode: row.subscriber_code! });
    expect(total).toBe(1);
    expect(found[0]).toMatchObject({
      subscriber_code: row.subscriber_code,
      name: `${[...row.name!][0]}**`,
      address_code: row.address_code,
      subscriber_type: row.subscriber_type,
      state: row.state,
      mobile: `${row.mobile!.slice(0, 3)}****${row.mobile!.slice(-4)}`,
      org_code: ORG,
    });
  });

  it('finds by name and full address loosely, by all else exactly', async () => {
    const { world, client } = await stage();
    world.put('addresses', ORG, { address_code: 'B1', full_address: '苏州绿地西三期1幢' }, NOW);
    const row = {
      subscriber_code: 'S1',
      name: '欧阳测试',
      address_code: 'B1',
      mobile: '13612340001',
    };
    world.put('subscribers', ORG, { ...row, address_detail: '101室', telephone: '0512-1' }, NOW);
    for (const wanted of [
      { name: '阳测' },
      { fullAddress: '西三期1幢101' },
      { addressCode: 'B1' },
      { mobile: '13612340001' },
      { telephone: '0512-1' },
    ]) {
      const { found } = await search(client, wanted);
      expect(found.map(({ subscriber_code }) => subscriber_code)).toEqual(['S1']);
    }
    expect((await search(client, { mobile: '1361234' })).total).toBe(0);
  });

  it('asks for as many at once as it is told to, and knows the total from the first page', async () => {
    const { client, simulator } = await stage();
    for await (const { total, subscribers } of client.searchSubscribers(
      { orgCode: ORG, pageSize: 1 },
      never,
    )) {
      expect([total, subscribers.length]).toEqual([SUBSCRIBERS, 1]);
      break;
    }
    expect(simulator.requests.filter((call) => call.interface === '3007')).toHaveLength(1);
  });

  it('goes on behind a page that is shorter than asked for', async () => {
    const codes = ['1', '2', '3', '4', '5'];
    const client = await answering((query) => {
      const start = (Number(query.get('pageIndex')) - 1) * 2;
      const datas = codes.slice(start, start + 2).map((subsCode) => ({ subsCode }));
      return { resultCode: '0', pageSize: 2, total: '5', datas };
    });
    const { found } = await search(client);
    expect(found.map(({ subscriber_code }) => subscriber_code)).toEqual(codes);
  });

  it('of an organisation without any is one empty page', async () => {
    const client = await answering(() => ({ pageIndex: 1, pageSize: 100, total: 0, datas: null }));
    expect(await search(client)).toMatchObject({ pages: [[]], total: 0 });
  });

  it('ends with a failure where every page is the first', async () => {
    const page = { total: 9, datas: [{ subsCode: '1' }] };
    expect(await failureOf(search(await answering(() => page)))).toMatchObject({
      code: 'PLATFORM_ERROR',
      message:
        '3007 was answered in another form than documented: page 2 begins as the one before it',
    });
    const numbered = { ...page, pageIndex: 1 };
    expect((await failureOf(search(await answering(() => numbered)))).message).toContain(
      'page 1 in place of page 2',
    );
  });

  it.each([
    ['without a total', { datas: [] }, 'wrong is total'],
    ['with a row without code', { total: 1, datas: [{ name: '张三' }] }, 'datas.0.subsCode'],
    ['with a row that is none', { total: 1, datas: ['张三'] }, 'wrong is datas.0'],
    ['as a list', [{ subsCode: '1' }], 'wrong is all of it'],
  ])('answered %s fails, says what is wrong and quotes nothing', async (_, answer, wrong) => {
    const { code, message } = await failureOf(search(await answering(() => answer)));
    expect(code).toBe('PLATFORM_ERROR');
    expect(message).toContain(wrong);
    expect(message).not.toContain('张三');
  });

  it('is refused by the platform in its own words, for pages that are too large too', async () => {
    const { client } = await stage();
    const error = await failureOf(search(client, { pageSize: 101 }));
    expect(error).toMatchObject({ code: 'PLATFORM_ERROR' });
    expect(error.message).toMatch(/^resultCode 91003/);
    expect((await search(client, { pageSize: 100 })).pages).toHaveLength(3);
  });
});

describe('the query of one subscriber (3005)', () => {
  it('tells it masked, under the names of the document', async () => {
    const { world, client } = await stage();
    const [code, row] = [...world.rows('subscribers', ORG, NOW)].find(([, { mobile }]) => mobile)!;
    expect(await client.findSubscriber(ORG, code, never)).toMatchObject({
      subscriber_code: code,
      name: `${[...row.name!][0]}**`,
      mobile: `${row.mobile!.slice(0, 3)}********`,
      display_address: null,
    });
    const unknown = await failureOf(client.findSubscriber(ORG, 'none', never));
    expect(unknown.message).toMatch(/^resultCode 91051/);
  });

  it('takes the example of the document, and knows success without a subscriber', async () => {
    const example = {
      subsCode: '123456',
      name: '张**',
      resType: 'A',
      displayAddr: '木岭小区******',
      subsType: '1',
      state: 'A',
      orgCode: 'SU0105',
    };
    let answer: object = example;
    const client = await answering(() => answer);
    expect(await client.findSubscriber('SU0105', '123456', never)).toEqual({
      subscriber_code: '123456',
      name: '张**',
      address_code: null,
      address_detail: null,
      subscriber_type: '1',
      state: 'A',
      telephone: null,
      mobile: null,
      org_code: 'SU0105',
      display_address: '木岭小区******',
    });
    expect((await failureOf(client.findSubscriber('SU0105', '9', never))).message).toContain(
      'another subscriber',
    );
    for (answer of [...NOTHING, { resultCode: 0, subsCode: null }]) {
      expect(await client.findSubscriber('SU0105', '123456', never)).toBeNull();
    }
  });

  it('does not take another form than documented for "no such subscriber"', async () => {
    let answer: object = {};
    const client = await answering(() => answer);
    for (answer of [
      ...OTHERWISE,
      [],
      { datas: [{ subsCode: '1' }] },
      { resultCode: '0', subsCode: '' },
      { resultCode: '0', subsCode: null, name: '张**' },
    ]) {
      const { code, message } = await failureOf(client.findSubscriber('SU0105', '1', never));
      expect(code).toBe('PLATFORM_ERROR');
      expect(message).toMatch(/^3005 was answered in another form than documented: wrong is /);
    }
  });
});

describe('the query of bound subscribers (3006)', () => {
  it('takes success without a list for a member who has bound none', async () => {
    let answer: object = [];
    const client = await answering(() => answer);
    for (answer of [[], ...NOTHING]) {
      expect(await client.boundSubscribers('u1', never)).toEqual([]);
    }
    for (answer of [...OTHERWISE, { resultCode: '0', subsCode: '1', orgCode: ORG }]) {
      expect(await failureOf(client.boundSubscribers('u1', never))).toMatchObject({
        code: 'PLATFORM_ERROR',
        message: '3006 was answered in another form than documented: wrong is all of it',
      });
    }
    answer = [{ subsCode: '1' }];
    expect((await failureOf(client.boundSubscribers('u1', never))).message).toContain(
      'wrong is 0.orgCode',
    );
    answer = { resultCode: '91051', resultMsg: 'no such member' };
    expect((await failureOf(client.boundSubscribers('u1', never))).message).toMatch(
      /^resultCode 91051/,
    );
  });
});

describe('any JSON call', () => {
  it('renews a token that is refused, once, and is sent again', async () => {
    const { client, simulator } = await stage();
    await search(client, { pageSize: 100 });
    simulator.expireToken();
    expect((await search(client)).found).toHaveLength(SUBSCRIBERS);
    expect(client.counters.tokenRenewals).toBe(2);
    const refusing = await answering(() => ({ resultCode: '20001' }));
    expect((await failureOf(search(refusing))).code).toBe('TOKEN_REFUSED');
  });

  it.each([
    ['an HTML page', (r: ServerResponse) => r.end('<html>张三</html>'), 'NOT_A_TABLE'],
    ['nothing', (r: ServerResponse) => r.end(), 'NOT_A_TABLE'],
    ['blanks', (r: ServerResponse) => r.end(' \n'), 'NOT_A_TABLE'],
    ['JSON that is cut', (r: ServerResponse) => r.end('{"total":'), 'NOT_A_TABLE'],
    ['a table', (r: ServerResponse) => r.end('表具编号|状态\n'), 'PLATFORM_ERROR'],
    ['HTTP 503', (r: ServerResponse) => r.writeHead(503).end('x'), 'SOURCE_UNAVAILABLE'],
    ['HTTP 403', (r: ServerResponse) => r.writeHead(403).end('x'), 'REQUEST_REFUSED'],
  ])('answered by %s is classed by P5', async (_, answer, code) => {
    const error = await failureOf(
      search(await answering((_query, _request, response) => answer(response))),
    );
    expect(error.code).toBe(code);
    expect(error.message).not.toContain('张三');
  });

  it('answered by nothing is asked again when the platform says', async () => {
    const client = await answering((_query, _request, response) =>
      response.setHeader('retry-after', '7').end(),
    );
    expect(await failureOf(search(client))).toMatchObject({
      code: 'NOT_A_TABLE',
      retryAfter: 7000,
    });
  });
});

describe('signatures of all calls (P3)', () => {
  /** One call of each form: GET, POST, and a form with a file. */
  async function callAll(client: VccClient) {
    await search(client, { name: '张 &=+%' });
    const content = Buffer.from('{"名":1.10}');
    const body = {
      contentType: 'application/json',
      length: content.length,
      signed: content.toString(),
      open: () => Readable.from([content]),
    };
    const heading = { interfaceCode: '4004', path: '/heading/4004', parameters: { a: '1' }, body };
    await client.call(heading, never);
    const file = { type: 'image', format: 'png', length: 200 } as const;
    await client.uploadMedia({ ...file, open: () => Readable.from([picture('png')]) }, never);
    await client.boundSubscribers('u1', never);
  }

  it.each(['token', 'base'] as const)(
    'are right with the %s where it is set',
    async (signSecret) => {
      const { client, simulator } = await stage(
        { requireSign: true, signSecret },
        { signRequests: true, signSecret },
      );
      await callAll(client);
      const [, ...calls] = simulator.requests;
      expect(calls.map(({ interface: code, result }) => [code, result])).toEqual(
        ['3007', '4004', '2001', '3006'].map((code) => [code, 'ok']),
      );
    },
  );

  it('are refused with the other secret, and missed where none is sent', async () => {
    const wrong = await stage({ signSecret: 'base' }, { signRequests: true, signSecret: 'token' });
    expect((await failureOf(search(wrong.client))).message).toMatch(/^resultCode 91021/);
    const none = await stage({ requireSign: true });
    expect((await failureOf(search(none.client))).message).toMatch(/^resultCode 91022/);
  });

  it.each(['token', 'base'] as const)(
    'of answers are checked with the %s as well',
    async (signSecret) => {
      const right = await stage({ answerSign: 'right', signSecret }, { responseSign: 'require' });
      expect((await search(right.client)).total).toBe(SUBSCRIBERS);
      expect(await right.client.findSubscriber(ORG, '1400000001', never)).not.toBeNull();
      expect(right.client.counters.answerSignMismatches).toBe(0);
    },
  );

  it('of answers that are wrong or missing are counted, and refused only where they are required', async () => {
    const warned = await stage({ answerSign: 'wrong' }, { responseSign: 'warn' });
    expect((await search(warned.client)).pages).toHaveLength(3);
    // Of the token's answer and of three pages.
    expect(warned.client.counters.answerSignMismatches).toBe(4);
    const off = await stage({ answerSign: 'wrong' }, { responseSign: 'off' });
    await search(off.client);
    expect(off.client.counters.answerSignMismatches).toBe(0);
    for (const answerSign of ['wrong', 'none'] as const) {
      const { simulator } = await stage({ answerSign });
      const tokens = memoryTokens({ token: '', expiresAt: 0 });
      const plain = clientOf(simulator.url, { responseSign: 'off' }, tokens);
      await plain.getToken(never);
      const strict = clientOf(simulator.url, { responseSign: 'require' }, tokens);
      const error = await failureOf(search(strict));
      expect(error).toMatchObject({ code: 'PLATFORM_ERROR' });
      expect(error.message).toMatch(/^an answer without a sign that agrees/);
    }
  });

  it('have no place in tables, files and lists: where they are required, a list is refused', async () => {
    const { client } = await stage({ answerSign: 'right' }, { responseSign: 'require' });
    const { mediaId } = await client.uploadMedia(
      { type: 'image', format: 'png', length: 200, open: () => Readable.from([picture('png')]) },
      never,
    );
    const file = await client.getMedia(mediaId, never);
    expect(await buffer(file.body)).toEqual(picture('png'));
    expect((await failureOf(client.boundSubscribers('u1', never))).message).toMatch(
      /^an answer without a sign that agrees/,
    );
  });

  it('do not count for a file that changes while it is sent: the call fails', async () => {
    const { client } = await stage();
    const file = { type: 'image', format: 'png', length: 201 } as const;
    const error = await failureOf(
      client.uploadMedia({ ...file, open: () => Readable.from([picture('png')]) }, never),
    );
    expect(error).toMatchObject({ code: 'CONFIG', message: expect.stringContaining('changed') });
  });
});
