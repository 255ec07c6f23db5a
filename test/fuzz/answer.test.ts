import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { DAY } from '../../src/core/china-time.ts';
import { RetryableError, SyncError } from '../../src/core/errors.ts';
import { sign } from '../../src/core/sign.ts';
import { readTable } from '../../src/core/table/table-reader.ts';
import { meters } from '../../src/datasets/meters.ts';
import type { SessionToken, TokenStore } from '../../src/sync/ports.ts';
import {
  judge,
  readCharset,
  readHttpDate,
  readMediaType,
  readObject,
  readResult,
  readRetryAfter,
} from '../../src/vcc/answer.ts';
import { checkAnswerSign } from '../../src/vcc/answer-sign.ts';
import { openBody } from '../../src/vcc/body.ts';
import { createClient, type VccClient } from '../../src/vcc/client.ts';
import { measure, sniff } from '../../src/vcc/download.ts';
import { maskOutside } from '../../src/vcc/mask.ts';
import { type Reply, startDeadline } from '../../src/vcc/transport.ts';
import { bytesOf, chunkSizes, cut, fuzz, joined, runsOf } from '../support/fuzz.ts';
import { tableOptions } from '../support/table-options.ts';

const NOW = Date.UTC(2026, 10, 1);
const BASE_KEY = '0123456789abcdef0123456789abcdef';
const TOKEN = 'Zq7Zq7Zq7Zq7Zq7Zq7Zq';
const PHONE = '13800138000';
const HEADER = meters.columns.map(({ header }) => header).join('|');
const ROW = 'M1|1|1|A|A||S1|||WJ0105';
const CODES = { successCodes: ['0'], tokenCodes: ['20001', '40058'] };

/** Values that a platform in disorder may put anywhere in a JSON answer. */
const odd = fc.oneof(
  fc.constantFrom<unknown>('0', 0, '20001', 40058, -0, 1e300, '', null, [], {}, true, ' 0 ', [0]),
  fc.constantFrom(
    PHONE,
    `token ${TOKEN}`,
    BASE_KEY,
    '张三',
    '\ud800',
    '\0\n\u001b[31m',
    '9'.repeat(40),
  ),
  fc.jsonValue({ maxDepth: 3 }),
);

const names = fc.constantFrom(
  ...['resultCode', 'resultMsg', 'token', 'expireTime', 'sign', '__proto__', 'constructor'],
  'toString',
);

const objects = fc
  .array(fc.tuple(names, odd), { maxLength: 6 })
  .map((entries) =>
    entries.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(','),
  )
  .map((inside) => Buffer.from(`{${inside}}`));

/** JSON of any depth and size, whole or cut. */
const deep = fc
  .tuple(
    fc.constantFrom('[', '{"a":', '{"resultCode":[', '"\\'),
    fc.integer({ min: 1, max: 30_000 }),
  )
  .map(([piece, times]) => Buffer.from(`{"resultCode":${piece.repeat(times)}`));

const numbers = fc
  .constantFrom('1e999', '-0', '0.10', '1'.repeat(400), '1e-400', '00', '+1', 'NaN', '0x0')
  .map((number) => Buffer.from(`{"resultCode":${number},"resultMsg":"${PHONE}"}`));

const tables = fc
  .array(
    fc.oneof(
      bytesOf(`${ROW}\n`, `${ROW}\n`, '\r\n', '\0', '\xff', '|', '"', ROW, `${PHONE}\n`),
      fc.uint8Array({ maxLength: 6 }),
    ),
    { maxLength: 12 },
  )
  .map((lines) => Buffer.concat([Buffer.from(`${HEADER}\n`), ...lines]));

/** What stands in a body: tables, JSON, pages, noise, long runs of one thing. */
const bodies: fc.Arbitrary<Buffer> = fc.oneof(
  { weight: 3, arbitrary: tables },
  { weight: 4, arbitrary: objects },
  { weight: 1, arbitrary: deep },
  { weight: 1, arbitrary: numbers },
  {
    weight: 1,
    arbitrary: fc.tuple(tables, fc.nat()).map(([all, at]) => all.subarray(0, at % 300)),
  },
  {
    weight: 1,
    arbitrary: bytesOf('', '{}', '{', '<html>', `<a>${HEADER}`, '{"表具编号|":', '\n', 'null'),
  },
  { weight: 1, arbitrary: joined(fc.oneof(objects, bytesOf('\ufeff', '\n', ' ', '{', HEADER)), 4) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map(Buffer.from) },
  {
    weight: 1,
    arbitrary: runsOf(
      bytesOf('\n', '\r', ' ', '|', '{', 'a', '\0'),
      fc.integer({ min: 1, max: 70_000 }),
    ),
  },
);

/** Encodings, true ones and pretended ones. */
const encodings = {
  identity: (bytes: Buffer) => bytes,
  gzip: gzipSync,
  'x-gzip': gzipSync,
  deflate: deflateSync,
  ' DEFLATE ': deflateRawSync,
  br: brotliCompressSync,
  zstd: (bytes: Buffer) => bytes,
  'gzip, br': gzipSync,
  '': (bytes: Buffer) => bytes,
} as const;

interface Encoded {
  readonly encoding: string;
  readonly bytes: Buffer;
}

/** A body as it is sent: encoded rightly, or garbage under a name; cut, or with more behind it. */
const encoded: fc.Arbitrary<Encoded> = fc
  .tuple(
    fc.constantFrom(...(Object.keys(encodings) as (keyof typeof encodings)[])),
    bodies,
    fc.constantFrom('whole', 'whole', 'whole', 'garbage', 'cut', 'more', 'spoilt'),
    fc.nat(),
    fc.uint8Array({ maxLength: 20 }),
  )
  .map(([encoding, body, how, at, some]) => {
    if (how === 'garbage') return { encoding, bytes: body };
    const bytes = Buffer.from(encodings[encoding](body));
    const middle = at % (bytes.length + 1);
    if (how === 'cut') return { encoding, bytes: bytes.subarray(0, middle) };
    if (how === 'more') return { encoding, bytes: Buffer.concat([bytes, some]) };
    if (how === 'spoilt') bytes.fill(some[0] ?? 0, middle, Math.min(middle + 2, bytes.length));
    return { encoding, bytes };
  });

const headerText = fc.oneof(
  fc.constantFrom(
    '0',
    '120',
    '-1',
    '1.5',
    '9'.repeat(300),
    'soon',
    '',
    ' ',
    ',',
    ';',
    '"',
    'gbk',
    '\t',
  ),
  fc.constantFrom(
    'Sun, 01 Nov 2026 00:00:00 GMT',
    'Sat, 13 Sep 275760 00:00:00 GMT',
    'Foo 1',
    '2026',
  ),
  fc.constantFrom(
    'text/plain; charset=gbk',
    'application/json;charset="',
    '; charset=constructor',
    PHONE,
  ),
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc
    .constantFrom(';', ' ', ',', 'a')
    .chain((one) => fc.nat({ max: 4000 }).map((times) => one.repeat(times))),
);

const statuses = fc.oneof(
  { weight: 4, arbitrary: fc.constant(200) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(204, 205, 206, 301, 401, 403, 404, 408, 425, 429, 500, 503),
  },
  { weight: 1, arbitrary: fc.integer({ min: 100, max: 999 }) },
);

/** An error of ours that says nothing it must not, and asks for a wait that can be kept. */
function expectOurs(error: unknown, secrets = [TOKEN, BASE_KEY]): void {
  if (!(error instanceof SyncError)) throw error;
  expect(error.code).not.toBe('INTERNAL');
  expect(error.message).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}]/u);
  expect([...error.message].length).toBeLessThan(500);
  const text = error.message.replace(/sha256 [0-9a-f]{64}/, '');
  for (const secret of [...secrets, PHONE]) expect(text).not.toContain(secret);
  if (!(error instanceof RetryableError) || error.retryAfter === undefined) return;
  expect(error.retryAfter).toBeGreaterThanOrEqual(0);
  expect(error.retryAfter).toBeLessThanOrEqual(DAY);
}

/** Reads a table to its end, the way a run does. */
async function readAll(body: AsyncIterable<Buffer>, charset: string | null): Promise<void> {
  const { batches } = await readTable(body, tableOptions(meters, 'WJ0105', charset));
  for await (const _ of batches);
}

describe('the parts of an answer', () => {
  fuzz(
    'any bytes are a JSON object with a result fit to be shown, or none',
    fc.property(bodies, fc.constantFrom('auto', 'utf-8', 'gb18030'), (body, charset) => {
      const object = readObject(body, charset);
      if (object === null) return;
      const result = readResult(object.fields, [TOKEN, BASE_KEY]);
      if (result) expectOurs(new RetryableError('PLATFORM_ERROR', result.text));
      expect(checkAnswerSign(object.text, [TOKEN])).not.toBe('right');
    }),
  );

  fuzz(
    'a sign is right only over what was signed',
    fc.property(fc.dictionary(names, fc.string()), fc.string({ minLength: 1 }), (given, secret) => {
      const fields = { ...given, sign: sign(given, secret) };
      expect(checkAnswerSign(JSON.stringify(fields), [secret])).toBe('right');
      const other = { ...fields, other: 'x' };
      expect(checkAnswerSign(JSON.stringify(other), [secret])).toBe('wrong');
    }),
  );

  fuzz(
    'any header is read, or passed over',
    fc.property(headerText, (text) => {
      const wait = readRetryAfter(text, NOW);
      expect(wait === undefined || (wait >= 0 && wait <= DAY)).toBe(true);
      const date = readHttpDate(text);
      expect(date === null || /^(19[7-9]|20)/.test(new Date(date).toISOString())).toBe(true);
      expect(readMediaType(text) ?? 'a/b').toMatch(/^[a-z]+\/[a-z.+-]+$/);
      expect((readCharset(text) ?? '').length).toBeLessThanOrEqual(40);
    }),
  );

  fuzz(
    'any text from outside is masked',
    fc.property(
      fc.array(fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom(TOKEN, PHONE, BASE_KEY))),
      (parts) => {
        expectOurs(
          new RetryableError('PLATFORM_ERROR', maskOutside(parts.join(' '), [TOKEN, BASE_KEY])),
        );
      },
    ),
  );
});

describe('an answer of any status, headers and body', () => {
  interface Given extends Encoded {
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
  }
  const given: fc.Arbitrary<Given> = fc
    .tuple(
      statuses,
      encoded,
      fc.dictionary(
        fc.constantFrom(
          'content-type',
          'retry-after',
          'date',
          'transfer-encoding',
          'content-length',
        ),
        headerText,
      ),
    )
    .map(([status, { encoding, bytes }, headers]) => ({
      status,
      encoding,
      bytes,
      headers: { 'transfer-encoding': 'chunked', ...headers, 'content-encoding': encoding },
    }));

  /** What is thought of it: a table, or the verdict or failure by its code and message. */
  async function classify({ status, headers, bytes }: Given, sizes: readonly number[]) {
    const reply: Reply = {
      status,
      header: (name) => headers[name] ?? null,
      body: Readable.from(cut(bytes, sizes), { objectMode: true }),
      deadline: startDeadline([], 60_000),
    };
    const reader = openBody(reply, { maxBody: 1 << 20, idleTimeout: 1000 });
    try {
      const { form, head } = await sniff(reply, reader, { allowUnframed: false });
      if (form === 'table') {
        // A damaged body may show its first line before it shows that it is damaged.
        while ((await reader.next()) !== null);
        return 'table';
      }
      const { facts } = await measure(reply, reader, head, {
        clock: () => NOW,
        charset: 'auto',
        secrets: [TOKEN, BASE_KEY],
      });
      const verdict = judge(facts, CODES);
      if (verdict.kind === 'token') return 'token';
      throw verdict.error;
    } catch (error) {
      expectOurs(error);
      return (error as SyncError).code;
    } finally {
      reader.stop();
    }
  }

  fuzz(
    'is a table, a refused token or an error of ours, the same whatever the chunks',
    fc.asyncProperty(given, chunkSizes, async (one, sizes) => {
      expect(await classify(one, sizes)).toBe(await classify(one, [1 << 22]));
    }),
  );
});

/** One answer as it goes over the wire, and how the connection ends. */
interface Wire {
  readonly bytes: Buffer;
  readonly end: 'end' | 'destroy' | 'stall';
}

const statusLine = fc.oneof(
  {
    weight: 8,
    arbitrary: statuses.map((status) => `HTTP/1.1 ${status} X\r\n`),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...[
        '',
        'HTTP/1.0 200 OK\r\n',
        'HTTP/1.1 200\r\n',
        'HTTP/9.9 200 OK\r\n',
        'HTTP/1.1 2000 X\r\n',
      ],
      ...[
        'ICY 200 OK\r\n',
        'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n',
        '\r\n\r\n',
        'GET / HTTP/1.1\r\n',
      ],
    ),
  },
);

const headerLine = fc.oneof(
  fc
    .tuple(
      fc.constantFrom(
        'Content-Type',
        'Retry-After',
        'Date',
        'X-Odd',
        'Set-Cookie',
        'Connection',
        'Location',
        'Upgrade',
        'Trailer',
      ),
      headerText,
    )
    .map(([name, text]) => Buffer.from(`${name}: ${text}\r\n`, 'latin1')),
  bytesOf(
    'Connection: keep-alive\r\n',
    'Keep-Alive: timeout=0\r\n',
    ': x\r\n',
    'x\r\n',
    ' folded\r\n',
    'A:\0\r\n',
    '\n',
  ),
);

const framing = fc.constantFrom(
  'length',
  'length',
  'chunked',
  'chunked',
  'none',
  'both',
  'short',
  'long',
  'twice',
  'bad',
);

function framed(body: Buffer, how: string): Buffer {
  const head = (length: number | string) => Buffer.from(`Content-Length: ${length}\r\n`);
  const gap = Buffer.from('\r\n');
  const chunked = Buffer.from('Transfer-Encoding: chunked\r\n');
  const chunks = Buffer.concat([
    ...(body.length > 0 ? [Buffer.from(`${body.length.toString(16)}\r\n`), body, gap] : []),
    Buffer.from('0\r\n\r\n'),
  ]);
  if (how === 'chunked') return Buffer.concat([chunked, gap, chunks]);
  if (how === 'none') return Buffer.concat([gap, body]);
  if (how === 'both') return Buffer.concat([head(body.length), chunked, gap, chunks]);
  if (how === 'short') return Buffer.concat([head(Math.floor(body.length / 2)), gap, body]);
  if (how === 'long') return Buffer.concat([head(body.length + 7), gap, body]);
  if (how === 'twice') return Buffer.concat([head(body.length), head(1), gap, body]);
  if (how === 'bad') return Buffer.concat([head('-5x'), gap, body]);
  return Buffer.concat([head(body.length), gap, body]);
}

const wires: fc.Arbitrary<Wire> = fc
  .tuple(
    statusLine,
    fc.array(headerLine, { maxLength: 4 }),
    encoded,
    framing,
    // A silent server costs a time-out each: one in a hundred is enough.
    fc.oneof(
      { weight: 85, arbitrary: fc.constant<Wire['end']>('end') },
      { weight: 14, arbitrary: fc.constant<Wire['end']>('destroy') },
      { weight: 1, arbitrary: fc.constant<Wire['end']>('stall') },
    ),
    fc.oneof(
      { weight: 6, arbitrary: fc.constant(null) },
      { weight: 1, arbitrary: fc.tuple(fc.nat(), fc.uint8Array({ maxLength: 3 })) },
    ),
  )
  .map(([status, headers, { encoding, bytes }, how, end, spoil]) => {
    const name = Buffer.from(`Content-Encoding: ${encoding}\r\n`);
    const all = Buffer.concat([Buffer.from(status), ...headers, name, framed(bytes, how)]);
    if (spoil === null) return { bytes: all, end };
    const [at, some] = spoil;
    const from = at % (all.length + 1);
    return { bytes: Buffer.concat([all.subarray(0, from), some, all.subarray(from + 2)]), end };
  })
  .map((wire) => ({
    ...wire,
    [fc.toStringMethod]: () => `${wire.end} ${JSON.stringify(wire.bytes.toString('latin1'))}`,
  }));

describe('a platform that sends anything at all', () => {
  let wire: Wire = { bytes: Buffer.alloc(0), end: 'end' };
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.once('data', () => {
      if (wire.end === 'end') socket.end(wire.bytes);
      else socket.write(wire.bytes, () => wire.end === 'destroy' && socket.destroy());
    });
  });
  let baseUrl = '';
  beforeAll(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/vcc-openapi`;
  });
  afterAll(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  /** A client without any past, whose token is known or has to be asked for. */
  async function withClient(token: string | null, work: (client: VccClient) => Promise<void>) {
    let stored: SessionToken | null = token === null ? null : { token, expiresAt: NOW + DAY };
    const tokens: TokenStore = {
      read: async () => stored,
      replace: async (_appId, _fingerprint, renew) => {
        stored = await renew(stored);
        return stored;
      },
    };
    const settings = {
      ...{ baseUrl, appId: 'fuzz', baseKey: BASE_KEY, seqCode: null, signRequests: false },
      ...({ signSecret: 'token', responseSign: 'warn', ...CODES, charset: 'auto' } as const),
      ...{ allowUnframed: false, connectTimeout: 1000, idleTimeout: 100, totalTimeout: 300 },
      maxBody: 1 << 20,
    };
    const client = createClient(settings, { tokens, pacer: null, clock: () => NOW, log: () => {} });
    try {
      await work(client);
    } finally {
      await client.close();
    }
  }

  fuzz(
    'gives a table that can be read, or an error of ours, in good time',
    fc.asyncProperty(wires, async (given) => {
      wire = given;
      await withClient(TOKEN, async (client) => {
        const { signal } = new AbortController();
        const request = {
          ...{ dataset: meters, orgCode: 'WJ0105', areaCode: null },
          requested: { from: NOW - DAY, to: NOW },
        };
        try {
          const download = await client.download(request, signal);
          await readAll(download.body, download.charset);
          expect(download.httpStatus).toBeGreaterThanOrEqual(200);
          expect(download.httpStatus).toBeLessThan(300);
        } catch (error) {
          expectOurs(error);
        }
      });
    }),
  );

  fuzz(
    'gives a token that can be used, or an error of ours, in good time',
    fc.asyncProperty(wires, async (given) => {
      wire = given;
      await withClient(null, async (client) => {
        try {
          const token = await client.getToken(new AbortController().signal);
          expect(token).toMatch(/^[A-Za-z0-9]{1,200}$/);
        } catch (error) {
          // A token that was never issued to us is a text like any other.
          expectOurs(error, [BASE_KEY]);
        }
      });
    }),
  );
});
