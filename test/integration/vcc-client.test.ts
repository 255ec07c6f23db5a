import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Server as TcpServer,
} from 'node:net';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { DAY, parseChinaTime } from '../../src/core/china-time.ts';
import { FatalError, InterruptedError, RetryableError, SyncError } from '../../src/core/errors.ts';
import { sign } from '../../src/core/sign.ts';
import { meters } from '../../src/datasets/meters.ts';
import type { Download, DownloadRequest, TokenStore } from '../../src/sync/ports.ts';
import { createClient, type Log, type VccClient, type VccSettings } from '../../src/vcc/client.ts';
import { memoryTokens } from '../support/memory-tokens.ts';

const BASE_KEY = '0123456789abcdef0123456789abcdef';
const NOW = parseChinaTime('20261101120000') ?? 0;
const TABLE = `表具编号|状态|组织机构编码\n${'M1|A|WJ0105\n'.repeat(1000)}`;
/** The header 表具编号|状态|组织机构编码 in GBK. */
const GBK = Buffer.from('b1edbedfb1e0bac57cd7b4ccac7cd7e9d6afbbfab9b9b1e0c2eb0a', 'hex');

const REQUEST: DownloadRequest = {
  dataset: meters,
  orgCode: 'WJ0105',
  areaCode: null,
  requested: { from: NOW - DAY, to: NOW },
};

type Handler = (req: IncomingMessage, res: ServerResponse, query: URLSearchParams) => void;

/** A platform that issues T1, T2 … and lets a test answer downloads. */
interface FakePlatform {
  readonly url: string;
  readonly requests: URL[];
  token: Handler;
  download: Handler;
}

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function listen(server: Server | TcpServer): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function startPlatform(download: Handler = sendTable): Promise<FakePlatform> {
  let issued = 0;
  const requests: URL[] = [];
  const platform = {
    requests,
    download,
    token: (_req: IncomingMessage, res: ServerResponse) => {
      issued += 1;
      res.end(JSON.stringify({ token: `TokenNumber${issued}`, expireTime: 7200 }));
    },
  };
  const server = createServer((req, res) => {
    const url = new URL(req.url ?? '', 'http://platform');
    requests.push(url);
    const handler = url.pathname.endsWith('/oauth2/getToken') ? platform.token : platform.download;
    handler(req, res, url.searchParams);
  });
  const port = await listen(server);
  closers.push(async () => {
    server.closeAllConnections();
    server.close();
  });
  return Object.assign(platform, { url: `http://127.0.0.1:${port}/vcc-openapi` });
}

/** A server that answers each download with these literal bytes, then closes or stays silent. */
async function startRaw(bytes: string | Buffer, { isClosed = true } = {}): Promise<string> {
  const server = createTcpServer((socket) => {
    socket.on('error', () => {});
    closers.push(async () => void socket.destroy());
    socket.once('data', () => {
      if (isClosed) socket.end(bytes);
      else socket.write(bytes);
    });
  });
  const port = await listen(server);
  closers.push(async () => void server.close());
  return `http://127.0.0.1:${port}/vcc-openapi`;
}

const sendTable: Handler = (_req, res) => void res.end(TABLE);

const sendJson =
  (body: unknown, status = 200): Handler =>
  (_req, res) =>
    void res.writeHead(status, { 'content-type': 'text/plain' }).end(JSON.stringify(body));

const sendStatus =
  (status: number, headers: Record<string, string> = {}): Handler =>
  (_req, res) =>
    void res.writeHead(status, headers).end('<html>13800138000 张三</html>');

function startClient(
  baseUrl: string,
  some: Partial<VccSettings> & { tokens?: TokenStore; log?: Log; delays?: number[] } = {},
): VccClient {
  const {
    tokens = memoryTokens({ token: 'StoredToken', expiresAt: NOW + DAY }),
    log = () => {},
    delays,
    ...settings
  } = some;
  const pacer = delays ? { reserve: async () => delays.shift() ?? 0 } : null;
  const client = createClient(
    {
      baseUrl,
      appId: 'vccdemo01',
      baseKey: BASE_KEY,
      seqCode: null,
      signRequests: false,
      signSecret: 'token',
      responseSign: 'warn',
      successCodes: ['0'],
      tokenCodes: ['20001', '40058'],
      charset: 'auto',
      allowUnframed: false,
      connectTimeout: 1000,
      idleTimeout: 5000,
      totalTimeout: 10_000,
      maxBody: 1_000_000,
      ...settings,
    },
    { tokens, pacer, clock: () => NOW, log },
  );
  closers.push(() => client.close());
  return client;
}

const never = new AbortController().signal;

async function read(download: Download): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of download.body) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** The failure of a download, wherever it shows; none of them may hold a secret. */
async function failure(client: VccClient, signal = never): Promise<SyncError> {
  const error = await client
    .download(REQUEST, signal)
    .then(read)
    .then(
      () => new Error('the download did not fail'),
      (reason) => reason,
    );
  if (!(error instanceof SyncError)) throw error;
  for (const secret of [BASE_KEY, 'StoredToken', 'TokenNumber', '13800138000', '张三', 'orgCode='])
    expect(JSON.stringify([error.message, error.stack, error.cause])).not.toContain(secret);
  return error;
}

async function failureOf(handler: Handler, some: Partial<VccSettings> = {}): Promise<SyncError> {
  return failure(startClient((await startPlatform(handler)).url, some));
}

describe('a download', () => {
  it('arrives whole, counted, hashed and with what the head said', async () => {
    const platform = await startPlatform((_req, res) => {
      res.writeHead(200, { 'content-type': 'image/jpeg; charset=UTF-8' }).end(TABLE);
    });
    const download = await startClient(platform.url).download(REQUEST, never);
    expect((await read(download)).toString()).toBe(TABLE);
    expect(download).toMatchObject({ httpStatus: 200, charset: 'utf-8', bytes: TABLE_BYTES });
    expect(download.sha256()).toMatch(/^[0-9a-f]{64}$/);
    expect(Math.abs((download.date ?? 0) - Date.now())).toBeLessThan(60_000);
  });

  it('asks as P1 and P7 say, and is signed only where the settings say so', async () => {
    const platform = await startPlatform();
    const plain = await startClient(platform.url).download(REQUEST, never);
    await read(plain);
    const signing = { signRequests: true, seqCode: '1001' };
    const inArea = { ...REQUEST, areaCode: '无锡 1' };
    await read(await startClient(platform.url, signing).download(inArea, never));
    const [first, second] = platform.requests.map((url) => Object.fromEntries(url.searchParams));
    expect(platform.requests[0]?.pathname).toBe('/vcc-openapi/meter/download');
    expect(first).toEqual({
      seq: plain.seq,
      token: 'StoredToken',
      orgCode: 'WJ0105',
      lastTimestamp: '20261031120000',
      timestamp: '20261101120000',
    });
    expect(plain.seq).toMatch(/^300420261101120000\d{14}$/);
    expect(second?.seq).toMatch(/^1001/);
    expect(second?.areaCode).toBe('无锡 1');
    expect(second?.sign).toBe(sign(second ?? {}, 'StoredToken'));
  });

  it.each([
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
    ['deflate', deflateSync],
    ['deflate', deflateRawSync],
  ])('is decoded from %s (%o)', async (encoding, compress) => {
    const platform = await startPlatform((_req, res) => {
      res.writeHead(200, { 'content-encoding': encoding }).end(compress(TABLE));
    });
    const download = await startClient(platform.url).download(REQUEST, never);
    expect((await read(download)).toString()).toBe(TABLE);
    expect(download.bytes).toBe(TABLE_BYTES);
  });

  it.each(['gzip', 'deflate', 'br'])('that is empty under %s hangs nothing', async (encoding) => {
    for (const head of ['204 X\r\n', '200 X\r\nContent-Length: 0\r\n']) {
      const url = await startRaw(`HTTP/1.1 ${head}Content-Encoding: ${encoding}\r\n\r\n`);
      const error = await startClient(url)
        .download(REQUEST, never)
        .catch((error) => error);
      expect(error).toBeInstanceOf(RetryableError);
      expect(error.code).toMatch(/^(NOT_A_TABLE|TRUNCATED)$/);
    }
  });

  it('is known by a GBK header, by one after blank lines, and by one in single bytes', async () => {
    const blank = Buffer.from(`\ufeff\r\n \n${TABLE}`);
    for (const body of [GBK, blank]) {
      const platform = await startPlatform((_req, res) => {
        for (const byte of body.subarray(0, 60)) res.write(Buffer.from([byte]));
        res.end(body.subarray(60));
      });
      const download = await startClient(platform.url).download(REQUEST, never);
      expect(await read(download)).toEqual(body);
    }
  });

  it('of a header alone is a table too', async () => {
    const platform = await startPlatform((_req, res) => void res.end('表具编号|状态'));
    const download = await startClient(platform.url).download(REQUEST, never);
    expect((await read(download)).toString()).toBe('表具编号|状态');
  });

  it('waits for its slot before every request, getToken included', async () => {
    const platform = await startPlatform();
    const delays = [5, 5, 99];
    const client = startClient(platform.url, { delays, tokens: memoryTokens() });
    await read(await client.download(REQUEST, never));
    expect(delays).toEqual([99]);
    expect(client.counters).toMatchObject({ requests: 2, tokenRenewals: 1 });
  });
});

const TABLE_BYTES = Buffer.byteLength(TABLE);

describe('an answer of P5', () => {
  it.each([
    ['another result code', sendJson({ resultCode: '77', resultMsg: 'no' }), 'PLATFORM_ERROR'],
    ['its own code with HTTP 500', sendJson({ resultCode: 77 }, 500), 'PLATFORM_ERROR'],
    ['success in place of a table', sendJson({ resultCode: '0' }), 'NOT_A_TABLE'],
    ['success as a number', sendJson({ resultCode: 0 }), 'NOT_A_TABLE'],
    ['JSON without a code', sendJson({ error: 'x' }), 'NOT_A_TABLE'],
    ['an HTML page with 200', sendStatus(200), 'NOT_A_TABLE'],
    ['an empty body', (_req, res) => void res.end(), 'NOT_A_TABLE'],
    ['HTTP 204', (_req, res) => void res.writeHead(204).end(), 'NOT_A_TABLE'],
    ['HTTP 302', sendStatus(302, { location: '/secret-place' }), 'REQUEST_REFUSED'],
    ['HTTP 403', sendStatus(403), 'REQUEST_REFUSED'],
    ['HTTP 404', sendStatus(404), 'REQUEST_REFUSED'],
    ['HTTP 408', sendStatus(408), 'SOURCE_UNAVAILABLE'],
    ['HTTP 425', sendStatus(425), 'SOURCE_UNAVAILABLE'],
    ['HTTP 429', sendStatus(429), 'RATE_LIMITED'],
    ['HTTP 500', sendStatus(500), 'SOURCE_UNAVAILABLE'],
    ['HTTP 503', sendStatus(503), 'SOURCE_UNAVAILABLE'],
    ['a refused token, twice', sendJson({ resultCode: '20001' }), 'TOKEN_REFUSED'],
    ['HTTP 401, twice', sendStatus(401), 'TOKEN_REFUSED'],
  ] as [string, Handler, string][])('%s is classed', async (_, handler, code) => {
    const error = await failureOf(handler);
    expect(error.code).toBe(code);
    const isFatal = code === 'REQUEST_REFUSED';
    expect(error).toBeInstanceOf(isFatal ? FatalError : RetryableError);
    expect(error.message).not.toContain('secret-place');
  });

  it('with Retry-After says how long to wait', async () => {
    const inSeconds = await failureOf(sendStatus(429, { 'retry-after': '7' }));
    expect(inSeconds).toMatchObject({ retryAfter: 7000 });
    const date = new Date(NOW + 9000).toUTCString();
    expect(await failureOf(sendStatus(503, { 'retry-after': date }))).toMatchObject({
      retryAfter: 9000,
    });
  });

  it('that is not a table is described and never quoted', async () => {
    const { message } = await failureOf(
      (_req, res) => {
        res
          .writeHead(200, { 'content-type': 'text/html' })
          .end(`<html>张三${'x'.repeat(3_000_000)}`);
      },
      { maxBody: 10_000_000 },
    );
    expect(message).toMatch(/^at least \d+ bytes of text\/html, .*sha256 [0-9a-f]{64}$/);
    const { message: empty } = await failureOf((_req, res) => void res.end());
    expect(empty).toBe('empty body');
  });

  it('shows the platform’s code and message, with secrets and phone numbers masked', async () => {
    const { message } = await failureOf(
      (_req, res, query) => {
        const resultMsg = `bad ${query.get('token')} ${query.get('sign')?.toLowerCase()} ${BASE_KEY} 13800138000`;
        res.end(JSON.stringify({ resultCode: '77', resultMsg }));
      },
      { signRequests: true },
    );
    expect(message).toBe('resultCode 77: bad *** *** *** ***');
  });

  it('may quote a column in an error and still is no table', async () => {
    const error = await failureOf(sendJson({ resultCode: '77', resultMsg: 'x|状态|y' }));
    expect(error.code).toBe('PLATFORM_ERROR');
    const page = await failureOf((_req, res) => void res.end('<p>首页|状态|y</p>'));
    expect(page.code).toBe('NOT_A_TABLE');
  });
});

describe('a body', () => {
  const head = (line: string) => `HTTP/1.1 200 OK\r\n${line}\r\n\r\n`;
  const bytes = Buffer.byteLength(TABLE);

  it('cut before its Content-Length is TRUNCATED', async () => {
    const url = await startRaw(head(`Content-Length: ${bytes + 1}`) + TABLE);
    expect((await failure(startClient(url))).code).toBe('TRUNCATED');
  });

  it('cut between chunks is TRUNCATED', async () => {
    const chunk = `${bytes.toString(16)}\r\n${TABLE}\r\n`;
    const url = await startRaw(head('Transfer-Encoding: chunked') + chunk);
    expect((await failure(startClient(url))).code).toBe('TRUNCATED');
  });

  it('cut before its first line ends is TRUNCATED', async () => {
    const url = await startRaw(`${head('Content-Length: 999')}表具`);
    expect((await failure(startClient(url))).code).toBe('TRUNCATED');
  });

  it('reset by the other side is TRUNCATED', async () => {
    const platform = await startPlatform((req, res) => {
      res.write(TABLE, () => req.socket.resetAndDestroy());
    });
    expect((await failure(startClient(platform.url))).code).toBe('TRUNCATED');
  });

  it('without a length is TRUNCATED unless the settings allow it', async () => {
    const url = await startRaw(head('Connection: close') + TABLE);
    expect((await failure(startClient(url))).code).toBe('TRUNCATED');
    const download = await startClient(url, { allowUnframed: true }).download(REQUEST, never);
    expect((await read(download)).toString()).toBe(TABLE);
  });

  it('without a length that is a JSON error is believed: JSON shows that it is whole', async () => {
    const url = await startRaw(`${head('Connection: close')}{"resultCode":"77"}`);
    expect((await failure(startClient(url))).code).toBe('PLATFORM_ERROR');
  });

  it('that stalls is DOWNLOAD_TIMEOUT', async () => {
    const url = await startRaw(head('Content-Length: 99999') + TABLE, { isClosed: false });
    const error = await failure(startClient(url, { idleTimeout: 50 }));
    expect(error.code).toBe('DOWNLOAD_TIMEOUT');
    expect(error.message).toContain('stalled');
  });

  it('that never begins is DOWNLOAD_TIMEOUT', async () => {
    const url = await startRaw('HTTP/1.1 200 OK\r\n', { isClosed: false });
    expect((await failure(startClient(url, { idleTimeout: 50 }))).code).toBe('DOWNLOAD_TIMEOUT');
  });

  it('that drips on and on is DOWNLOAD_TIMEOUT when the total time is over', async () => {
    const platform = await startPlatform((_req, res) => {
      res.write(TABLE);
      const drip = setInterval(() => res.write('M1|A|WJ0105\n'), 5);
      res.on('close', () => clearInterval(drip));
    });
    const error = await failure(startClient(platform.url, { totalTimeout: 100 }));
    expect(error.code).toBe('DOWNLOAD_TIMEOUT');
    expect(error.message).toContain('100 ms');
  });

  it('that swells beyond the limit is TOO_LARGE, however small it was sent', async () => {
    const bomb = gzipSync(Buffer.concat([Buffer.from(TABLE), Buffer.alloc(50_000_000)]));
    const error = await failureOf((_req, res) => {
      res.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb);
    });
    expect(error.code).toBe('TOO_LARGE');
    const plain = await failureOf((_req, res) => void res.end(TABLE), { maxBody: 500 });
    expect(plain.code).toBe('TOO_LARGE');
  });

  it.each([
    ['cut', (gzip: Buffer) => gzip.subarray(0, -9)],
    ['damaged', (gzip: Buffer) => Buffer.concat([gzip.subarray(0, -8), Buffer.alloc(8)])],
    ['not compressed at all', () => Buffer.from(TABLE)],
  ])('that is gzip and %s is TRUNCATED', async (_, spoil) => {
    const error = await failureOf((_req, res) => {
      res.writeHead(200, { 'content-encoding': 'gzip' }).end(spoil(gzipSync(TABLE)));
    });
    expect(error.code).toBe('TRUNCATED');
  });

  it('in an encoding that was not asked for is refused', async () => {
    const error = await failureOf((_req, res) => {
      res.writeHead(200, { 'content-encoding': 'zstd' }).end(TABLE);
    });
    expect(error.code).toBe('NOT_A_TABLE');
  });
});

describe('a connection', () => {
  it('refused, reset or to an unknown host is SOURCE_UNAVAILABLE with the system’s code', async () => {
    const server = createTcpServer((socket) => socket.resetAndDestroy());
    const port = await listen(server);
    const reset = await failure(startClient(`http://127.0.0.1:${port}`));
    expect(reset.code).toBe('SOURCE_UNAVAILABLE');
    expect(reset.message).toMatch(/ECONNRESET|UND_ERR_SOCKET/);
    server.close();
    await once(server, 'close');
    const noHttp = await failure(startClient(await startRaw('SSH-2.0-x\r\n')));
    expect(noHttp.code).toBe('SOURCE_UNAVAILABLE');
    const refused = await failure(startClient(`http://127.0.0.1:${port}`));
    expect(refused).toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
    expect(refused.message).toContain('ECONNREFUSED');
    const unknown = await failure(startClient('http://no-such-host.invalid'));
    expect(unknown.code).toBe('SOURCE_UNAVAILABLE');
    expect(unknown.message).toMatch(/ENOTFOUND|EAI_AGAIN/);
  });

  it('whose TLS can not be trusted says so', async () => {
    const url = await startRaw('this is no TLS at all');
    const error = await failure(startClient(url.replace('http:', 'https:')));
    expect(error.code).toBe('SOURCE_UNAVAILABLE');
    expect(error.message).toContain('TLS');
  });

  it('is not redirected', async () => {
    const platform = await startPlatform(sendStatus(302, { location: '/elsewhere' }));
    await failure(startClient(platform.url));
    expect(platform.requests).toHaveLength(1);
  });
});

describe('a caller who stops', () => {
  it.each(['before', 'while waiting', 'in mid-body'])('%s gets InterruptedError', async (when) => {
    const stop = new AbortController();
    const platform = await startPlatform((_req, res) => {
      if (when === 'in mid-body') res.write(TABLE, () => setImmediate(() => stop.abort()));
      else stop.abort();
    });
    if (when === 'before') stop.abort();
    const error = await failure(startClient(platform.url), stop.signal);
    expect(error).toBeInstanceOf(InterruptedError);
  });

  it('while waiting for a slot gets InterruptedError', async () => {
    const platform = await startPlatform();
    const stop = new AbortController();
    const client = startClient(platform.url, { delays: [60_000] });
    const failed = failure(client, stop.signal);
    setImmediate(() => stop.abort());
    expect(await failed).toBeInstanceOf(InterruptedError);
    expect(platform.requests).toHaveLength(0);
  });

  it('gives the connection back by not reading on', async () => {
    let closed: Promise<unknown> = Promise.resolve();
    const platform = await startPlatform((_req, res) => {
      closed = once(res, 'close');
      res.write(TABLE);
    });
    const download = await startClient(platform.url).download(REQUEST, never);
    for await (const _ of download.body) break;
    await closed;
  });

  it('by closing the client ends what is under way', async () => {
    const platform = await startPlatform((_req, res) => void res.write(TABLE));
    const client = startClient(platform.url);
    const download = await client.download(REQUEST, never);
    const ended = expect(read(download)).rejects.toBeInstanceOf(InterruptedError);
    await client.close();
    await ended;
  });
});

describe('the session token (P4)', () => {
  const refuse =
    (isRefused: (token: string) => boolean): Handler =>
    (req, res, query) =>
      isRefused(query.get('token') ?? '')
        ? sendJson({ resultCode: '40058' })(req, res, query)
        : sendTable(req, res, query);

  it('refused once costs one renewal for eight downloads', async () => {
    const platform = await startPlatform(refuse((token) => token === 'StoredToken'));
    const client = startClient(platform.url);
    const downloads = Array.from({ length: 8 }, () => client.download(REQUEST, never).then(read));
    for (const body of await Promise.all(downloads)) expect(body.toString()).toBe(TABLE);
    expect(client.counters).toEqual({ requests: 17, tokenRenewals: 1, answerSignMismatches: 0 });
    const seqs = platform.requests.map((url) => url.searchParams.get('seq'));
    expect(new Set(seqs).size).toBe(17);
  });

  it('is shared: two clients with one store renew once', async () => {
    const platform = await startPlatform(refuse((token) => token === 'StoredToken'));
    const tokens = memoryTokens({ token: 'StoredToken', expiresAt: NOW + DAY });
    const clients = [startClient(platform.url, { tokens }), startClient(platform.url, { tokens })];
    await Promise.all(clients.map((client) => client.download(REQUEST, never).then(read)));
    const renewals = platform.requests.filter((url) => url.pathname.endsWith('getToken'));
    expect(renewals).toHaveLength(1);
  });

  it('is asked for with appId and a sign by the base key, and kept until ahead of its expiry', async () => {
    const platform = await startPlatform();
    const tokens = memoryTokens();
    expect(await startClient(platform.url, { tokens }).getToken(never)).toBe('TokenNumber1');
    const query = Object.fromEntries(platform.requests[0]?.searchParams ?? []);
    expect(query.seq).toMatch(/^1002/);
    expect(query).toEqual({ seq: query.seq, appId: 'vccdemo01', sign: sign(query, BASE_KEY) });
    expect(tokens.stored).toEqual({ token: 'TokenNumber1', expiresAt: NOW + 7_140_000 });
  });

  it.each([
    ['a result code', sendJson({ resultCode: '20001', resultMsg: 'bad sign' }), 'CREDENTIALS'],
    ['HTTP 401', sendStatus(401), 'CREDENTIALS'],
    ['HTTP 403', sendStatus(403), 'CREDENTIALS'],
    ['HTTP 302', sendStatus(302), 'REQUEST_REFUSED'],
    ['HTTP 408', sendStatus(408), 'SOURCE_UNAVAILABLE'],
    ['HTTP 429', sendStatus(429), 'RATE_LIMITED'],
    ['HTTP 503', sendStatus(503), 'SOURCE_UNAVAILABLE'],
    ['an HTML page', sendStatus(200), 'NOT_A_TABLE'],
    ['nothing', (_req, res) => void res.end(), 'NOT_A_TABLE'],
    ['no token', sendJson({ expireTime: 7200 }), 'PLATFORM_ERROR'],
    ['an odd token', sendJson({ token: 'a b' }), 'PLATFORM_ERROR'],
    [
      'a cut body',
      (_req, res) => void res.writeHead(200, { 'content-length': '99' }).destroy(),
      'SOURCE_UNAVAILABLE',
    ],
    ['silence', () => {}, 'SOURCE_UNAVAILABLE'],
  ] as [string, Handler, string][])('answered by %s is classed', async (_, handler, code) => {
    const platform = await startPlatform();
    platform.token = handler;
    const settings = {
      tokens: memoryTokens(),
      idleTimeout: code === 'SOURCE_UNAVAILABLE' ? 100 : 5000,
    };
    const error = await failure(startClient(platform.url, settings));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(/^getToken/);
    expect(platform.requests).toHaveLength(1);
  });

  it('that is signed wrongly is a warning once, and refused where a sign is required', async () => {
    const lines: string[] = [];
    const log: Log = (level, message) => void (level === 'warn' && lines.push(message));
    const platform = await startPlatform(sendJson({ resultCode: '77', sign: 'AB' }));
    platform.token = sendJson({ token: 'TokenNumber1', expireTime: 7200, sign: 'AB' });
    const warned = startClient(platform.url, { tokens: memoryTokens(), log });
    expect((await failure(warned)).code).toBe('PLATFORM_ERROR');
    expect(warned.counters.answerSignMismatches).toBe(2);
    expect(lines).toHaveLength(1);
    const strict = { tokens: memoryTokens(), responseSign: 'require' as const };
    const error = await failure(startClient(platform.url, strict));
    expect(error).toMatchObject({ code: 'PLATFORM_ERROR' });
    expect(error.message).toContain('sign');
  });

  it('that is signed by the base key or by itself is accepted where a sign is required', async () => {
    for (const secret of [BASE_KEY, 'TokenNumber1']) {
      const platform = await startPlatform();
      const fields = { token: 'TokenNumber1', expireTime: '7200.50' };
      platform.token = (_req, res) =>
        void res.end(
          `{"token":"TokenNumber1","expireTime":7200.50,"sign":"${sign(fields, secret)}"}`,
        );
      const strict = { tokens: memoryTokens(), responseSign: 'require' as const };
      const client = startClient(platform.url, strict);
      expect(await client.getToken(never)).toBe('TokenNumber1');
      expect(client.counters.answerSignMismatches).toBe(0);
    }
  });
});
