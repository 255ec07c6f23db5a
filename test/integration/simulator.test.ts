import { request as httpRequest, type IncomingMessage } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import {
  chinaMidnight,
  DAY,
  formatChinaTime,
  HOUR,
  MINUTE,
  parseChinaTime,
  SECOND,
} from '../../src/core/china-time.ts';
import { DATASET_NAMES } from '../../src/core/dataset.ts';
import { formatSeq } from '../../src/core/seq.ts';
import { sign } from '../../src/core/sign.ts';
import { reach } from '../../src/core/window.ts';
import { CATALOGUE } from '../../src/datasets/catalogue.ts';
import type { RequestRecord } from '../../src/simulator/call.ts';
import { RESULT_CODES } from '../../src/simulator/result-codes.ts';
import {
  type Simulator,
  type SimulatorOptions,
  startSimulator,
} from '../../src/simulator/simulator.ts';
import { createWorld, type World, type WorldOptions } from '../../src/simulator/world.ts';

const NOW = chinaMidnight(2026, 10, 20) + 10 * HOUR;
const ORG = 'WJ0105';
const APP = 'vccdemo01';
const KEY = '0123456789abcdef0123456789abcdef';

const open: Simulator[] = [];
let counter = 0;

afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
});

/** A simulator with its world and a clock that the test moves. */
interface Stage {
  readonly simulator: Simulator;
  readonly world: World;
  readonly time: { now: number };
}

async function stage(
  options: Partial<SimulatorOptions> = {},
  worldOptions: Partial<WorldOptions> = {},
): Promise<Stage> {
  const time = { now: NOW };
  const world = createWorld({
    seed: 3,
    orgs: [ORG, 'NJ0101'].map((code) => ({ code, name: code })),
    bornAt: NOW - 20 * DAY,
    until: NOW,
    subscribersPerOrg: 40,
    changesPerDay: 20,
    ...worldOptions,
  });
  const simulator = await startSimulator({
    world,
    clock: () => time.now,
    appId: APP,
    baseKey: KEY,
    reading: 'then',
    ...options,
  });
  open.push(simulator);
  return { simulator, world, time };
}

type Parameters = Record<string, string>;

interface Answered {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly bytes: Buffer;
  readonly text: string;
}

/** One GET on a connection of its own, with nothing done to headers or body. */
function get(address: string, headers: Record<string, string> = {}, method = 'GET') {
  return new Promise<Answered>((resolve, reject) => {
    const sent = httpRequest(address, { headers, method, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () => {
        const bytes = Buffer.concat(chunks);
        const { statusCode = 0, headers } = answer;
        resolve({ status: statusCode, headers, bytes, text: bytes.toString('utf8') });
      });
    });
    sent.on('error', reject).end();
  });
}

function seq(code: string, at = NOW): string {
  counter += 1;
  return formatSeq(code, at, counter);
}

function address({ simulator }: Stage, path: string, parameters: Parameters): string {
  return `${simulator.url}${path}?${new URLSearchParams(parameters)}`;
}

function signed(parameters: Parameters, secret: string): Parameters {
  return { ...parameters, sign: sign(parameters, secret) };
}

async function json(on: Stage, path: string, parameters: Parameters) {
  return JSON.parse((await get(address(on, path, parameters))).text) as Record<string, unknown>;
}

function requestToken(on: Stage) {
  const parameters = { seq: seq('1002', on.time.now), appId: APP };
  return json(on, '/oauth2/getToken', signed(parameters, KEY));
}

async function token(on: Stage): Promise<string> {
  return (await requestToken(on)).token as string;
}

/** The parameters of a download of addresses, of the last day unless told otherwise. */
function window(token: string, over: Parameters = {}): Parameters {
  return {
    seq: seq('3001'),
    token,
    orgCode: ORG,
    lastTimestamp: formatChinaTime(NOW - DAY),
    timestamp: formatChinaTime(NOW),
    ...over,
  };
}

/** The result code with which a download of addresses is refused; `ok` for a table. */
async function result(on: Stage, parameters: Parameters): Promise<string> {
  const { status, headers, text } = await get(address(on, '/addr/download', parameters));
  expect(status).toBe(200);
  if (text.startsWith('地址代码|')) return 'ok';
  expect(headers['content-type']).toContain('application/json');
  const error = JSON.parse(text) as Record<string, string>;
  expect(Object.keys(error)).toEqual(['resultCode', 'resultMsg']);
  return error.resultCode ?? '';
}

/** A table's rows as the world has them. */
function parsed(text: string, columns: readonly string[]) {
  const lines = text.split('\n');
  expect(lines.at(-1)).toBe('');
  return lines.slice(1, -1).map((line) => {
    const fields = line.split('|');
    expect(fields).toHaveLength(columns.length);
    return Object.fromEntries(columns.map((name, index) => [name, fields[index] || null]));
  });
}

describe('getToken (1002)', () => {
  it('answers 20 letters and digits and the seconds they live', async () => {
    const on = await stage();
    const answer = await requestToken(on);
    expect(answer.token).toMatch(/^[A-Za-z0-9]{20}$/);
    expect(answer.expireTime).toBe(7200);
    expect(on.simulator.tokensIssued).toBe(1);
  });

  it('tells the end of the token in each form', async () => {
    const forms = { 'unix-seconds': (NOW + HOUR) / SECOND, 'unix-milliseconds': NOW + HOUR };
    for (const [expireTime, expected] of Object.entries(forms)) {
      const form = expireTime as keyof typeof forms;
      const on = await stage({ expireTime: form, tokenLifetime: 3600 });
      expect((await requestToken(on)).expireTime).toBe(expected);
    }
    expect(await requestToken(await stage({ expireTime: 'missing' }))).not.toHaveProperty(
      'expireTime',
    );
  });

  it('accepts the signature vector of P3', async () => {
    const on = await stage();
    on.time.now = parseChinaTime('20170420091030') as number;
    const answer = await json(on, '/oauth2/getToken', {
      seq: '10022017042009103000000000000001',
      appId: APP,
      sign: '07989367A75A5A0242F7B6ACEE91BD65',
    });
    expect(answer).toHaveProperty('token');
  });

  it('refuses a wrong key, no sign at all, and an unknown app', async () => {
    const on = await stage();
    const ask = async (parameters: Parameters) =>
      (await json(on, '/oauth2/getToken', parameters)).resultCode;
    const wrongKey = signed({ seq: seq('1002'), appId: APP }, KEY.replace('0', '1'));
    expect(await ask(wrongKey)).toBe(RESULT_CODES.BAD_SIGN);
    expect(await ask({ seq: seq('1002'), appId: APP })).toBe(RESULT_CODES.SIGN_MISSING);
    const other = signed({ seq: seq('1002'), appId: 'other' }, KEY);
    expect(await ask(other)).toBe(RESULT_CODES.UNKNOWN_APP);
    expect(on.simulator.tokensIssued).toBe(0);
  });
});

describe('the message number', () => {
  it('is refused when it was used before, even by a call that was refused', async () => {
    const on = await stage();
    const parameters = window(await token(on));
    expect(await result(on, parameters)).toBe('ok');
    expect(await result(on, parameters)).toBe(RESULT_CODES.SEQ_USED);
    const failed = window('unknown');
    expect(await result(on, failed)).toBe(RESULT_CODES.TOKEN_UNKNOWN);
    expect(await result(on, failed)).toBe(RESULT_CODES.SEQ_USED);
  });

  it('is refused with the code of another interface, and the one set code is accepted', async () => {
    const on = await stage();
    const valid = await token(on);
    for (const code of ['1001', '3002']) {
      const parameters = window(valid, { seq: seq(code) });
      expect(await result(on, parameters)).toBe(RESULT_CODES.WRONG_INTERFACE);
    }
    const forced = await stage({ seqCode: '1001' });
    const parameters = signed({ seq: seq('1001'), appId: APP }, KEY);
    expect(await json(forced, '/oauth2/getToken', parameters)).toHaveProperty('token');
  });

  it('is refused when malformed or more than 15 minutes off the clock', async () => {
    const on = await stage();
    const valid = await token(on);
    const malformed = ['', '3001', seq('3001').replace(/\d$/, 'x'), formatSeq('3001', NOW, 0)];
    for (const bad of [...malformed, '30012026139900000000000000000001']) {
      expect(await result(on, window(valid, { seq: bad }))).toBe(RESULT_CODES.BAD_SEQ);
    }
    const edges = [-15 * MINUTE, 15 * MINUTE];
    for (const edge of edges) {
      expect(await result(on, window(valid, { seq: seq('3001', NOW + edge) }))).toBe('ok');
      const beyond = NOW + edge + Math.sign(edge) * SECOND;
      expect(await result(on, window(valid, { seq: seq('3001', beyond) }))).toBe(
        RESULT_CODES.SEQ_OUT_OF_TIME,
      );
    }
  });
});

describe('the session', () => {
  it('is ended by a newer token, unless told to let it live', async () => {
    const on = await stage();
    const old = await token(on);
    const fresh = await token(on);
    expect(await result(on, window(old))).toBe('40058');
    expect(await result(on, window(fresh))).toBe('ok');
    const lenient = await stage({ newTokenKillsOld: false });
    const first = await token(lenient);
    await token(lenient);
    expect(await result(lenient, window(first))).toBe('ok');
  });

  it('ends after its time, and at once when told to', async () => {
    const on = await stage({ tokenLifetime: 600 });
    const valid = await token(on);
    on.time.now = NOW + 600 * SECOND - 1;
    expect(await result(on, window(valid))).toBe('ok');
    on.time.now = NOW + 600 * SECOND;
    expect(await result(on, window(valid))).toBe('40058');
    const again = await token(on);
    on.simulator.expireToken();
    expect(await result(on, window(again))).toBe('40058');
    expect(await result(on, window('12345678901234567890'))).toBe('20001');
  });

  it('checks a sign that is given, and asks for one where it must be', async () => {
    const on = await stage();
    const valid = await token(on);
    expect(await result(on, signed(window(valid), valid))).toBe('ok');
    expect(await result(on, signed(window(valid), KEY))).toBe(RESULT_CODES.BAD_SIGN);
    const strict = await stage({ requireSign: true, signSecret: 'base' });
    const other = await token(strict);
    expect(await result(strict, window(other))).toBe(RESULT_CODES.SIGN_MISSING);
    expect(await result(strict, signed(window(other), KEY))).toBe('ok');
  });
});

describe('a download', () => {
  it('gives each table with the headers of the document and the rows of the world', async () => {
    const on = await stage();
    const valid = await token(on);
    const first = {
      addresses: '地址代码|父地址代码|地址类型|地址名称|地址全称|组织机构编码|状态',
      supply_points: '供气点编码|供气点类型|气源类型|楼栋编码|地址明细|是否穿层户|机构编码',
      subscribers:
        '气户户号|气户名称|地址编码|地址明细|气户类型|气户状态|联系电话|手机号码|组织机构编码',
      meters: '表具编号|表具类型|型号|表向|状态|位置|气户编号|管理模式|厂商代码|组织机构编码',
    };
    const from = NOW - 20 * DAY;
    for (const name of DATASET_NAMES) {
      const { path, interfaceCode, columns } = CATALOGUE[name];
      const over = { seq: seq(interfaceCode), lastTimestamp: formatChinaTime(from) };
      const { text, headers } = await get(address(on, path, window(valid, over)));
      expect(text.slice(0, text.indexOf('\n'))).toBe(first[name]);
      expect(headers['content-type']).toBe('text/plain;charset=UTF-8');
      const rows = parsed(
        text,
        columns.map((column) => column.name),
      );
      const whole = { from, to: NOW };
      expect(rows).toEqual(on.world.changes(name, ORG, whole, { reading: 'then', now: NOW }));
      expect(rows).toHaveLength(on.world.rows(name, ORG, NOW).size);
    }
  });

  it('is the header alone when nothing changed', async () => {
    const on = await stage({}, { changesPerDay: 0, until: NOW - 2 * DAY });
    const { text } = await get(address(on, '/addr/download', window(await token(on))));
    expect(text.split('\n')).toHaveLength(2);
  });

  it('is refused for 28 days and a second, and given for 28 days', async () => {
    const on = await stage();
    const valid = await token(on);
    const from = NOW - 20 * DAY;
    const ask = (to: number) =>
      result(
        on,
        window(valid, {
          lastTimestamp: formatChinaTime(from),
          timestamp: formatChinaTime(to),
        }),
      );
    expect(await ask(from + 28 * DAY)).toBe('ok');
    expect(await ask(from + 28 * DAY + SECOND)).toBe(RESULT_CODES.WINDOW_TOO_LONG);
    expect(await ask(from - SECOND)).toBe(RESULT_CODES.BAD_PARAMETER);
  });

  it('is refused for anything before reach', async () => {
    const on = await stage();
    const valid = await token(on);
    const ask = (from: number) =>
      result(
        on,
        window(valid, {
          lastTimestamp: formatChinaTime(from),
          timestamp: formatChinaTime(from + DAY),
        }),
      );
    expect(await ask(reach(NOW))).toBe('ok');
    expect(await ask(reach(NOW) - SECOND)).toBe(RESULT_CODES.BEFORE_REACH);
  });

  it('is refused with a parameter missing, malformed or given twice', async () => {
    const on = await stage();
    const valid = await token(on);
    const faults: Parameters[] = [
      { lastTimestamp: '' },
      { timestamp: '2026-11-20' },
      { timestamp: '20261131000000' },
      { orgCode: '' },
    ];
    for (const fault of faults) {
      expect(await result(on, window(valid, fault))).toBe(RESULT_CODES.BAD_PARAMETER);
    }
    const twice = `${address(on, '/addr/download', window(valid))}&orgCode=NJ0101`;
    expect(JSON.parse((await get(twice)).text).resultCode).toBe(RESULT_CODES.BAD_PARAMETER);
    const posted = await get(address(on, '/addr/download', window(valid)), {}, 'POST');
    expect(JSON.parse(posted.text).resultCode).toBe(RESULT_CODES.WRONG_METHOD);
    expect((await json(on, '/addr/upload', {})).resultCode).toBe(RESULT_CODES.UNKNOWN_PATH);
  });

  it('gives rows up to now when it is asked for a time to come', async () => {
    const on = await stage();
    on.world.put('addresses', ORG, { address_code: 'now' }, NOW);
    on.world.put('addresses', ORG, { address_code: 'to come' }, NOW + SECOND);
    const over = { timestamp: formatChinaTime(NOW + DAY) };
    const { text } = await get(address(on, '/addr/download', window(await token(on), over)));
    expect(text).toContain('\nnow|');
    expect(text).not.toContain('to come');
  });

  it('answers in the reading and with the bounds that are set', async () => {
    const ask = async (options: Partial<SimulatorOptions>) => {
      const on = await stage(options);
      for (const [hours, name] of [
        [-2, 'old'],
        [-1, 'new'],
      ] as const) {
        on.world.put('addresses', ORG, { address_code: 'k', name }, NOW + hours * HOUR);
      }
      const over = { timestamp: formatChinaTime(NOW - 2 * HOUR) };
      const { text } = await get(address(on, '/addr/download', window(await token(on), over)));
      return /\nk\|\|\|(\w*)\|/.exec(text)?.[1];
    };
    expect(await ask({ reading: 'then' })).toBe('old');
    expect(await ask({ reading: 'now' })).toBe('new');
    expect(await ask({ reading: 'now', bounds: 'half-open' })).toBeUndefined();
  });

  it('is refused for an organisation that is unknown or not granted, until it is allowed', async () => {
    const on = await stage();
    const valid = await token(on);
    expect(await result(on, window(valid, { orgCode: 'NOBODY' }))).toBe(RESULT_CODES.NOT_GRANTED);
    on.simulator.refuse(ORG, 'addresses');
    expect(await result(on, window(valid))).toBe(RESULT_CODES.NOT_GRANTED);
    expect(await result(on, window(valid, { orgCode: 'NJ0101' }))).toBe('ok');
    on.simulator.refuse(ORG, null);
    on.simulator.allow(ORG, 'addresses');
    expect(await result(on, window(valid))).toBe(RESULT_CODES.NOT_GRANTED);
    on.simulator.allow(ORG, null);
    expect(await result(on, window(valid))).toBe('ok');
  });

  it('is refused while the same feed is being downloaded, and other feeds are not', async () => {
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    let arrived = () => {};
    const arrival = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    let first = true;
    const on = await stage({
      interfere: async (_, __, { record }) => {
        if (record.dataset === null || !first) return false;
        first = false;
        arrived();
        await released;
        return false;
      },
    });
    const valid = await token(on);
    const slow = result(on, window(valid));
    await arrival;
    expect(await result(on, window(valid))).toBe(RESULT_CODES.DOWNLOAD_UNDER_WAY);
    expect(await result(on, window(valid, { orgCode: 'NJ0101' }))).toBe('ok');
    release();
    expect(await slow).toBe('ok');
    expect(await result(on, window(valid))).toBe('ok');
    expect(on.simulator.maxConcurrentPerFeed).toBe(2);
  });

  it('frees the feed at once when the client hangs up in the middle', async () => {
    const ended: RequestRecord[] = [];
    let heard = () => {};
    const hungUp = new Promise<void>((resolve) => {
      heard = resolve;
    });
    const log = (record: RequestRecord) => {
      ended.push(record);
      if (record.dataset) heard();
    };
    const on = await stage({ log });
    // More than any socket buffers, so that it can not be sent whole before the client is gone.
    for (let number = 0; number < 40; number += 1) {
      const row = { subscriber_code: `big ${number}`, name: 'x'.repeat(1_000_000) };
      on.world.put('subscribers', ORG, row, NOW);
    }
    const valid = await token(on);
    const over = { seq: seq('3003'), lastTimestamp: formatChinaTime(NOW - 20 * DAY) };
    const sent = httpRequest(address(on, '/subs/download', window(valid, over)), { agent: false });
    sent.on('error', () => {});
    sent.on('response', (answer: IncomingMessage) => {
      answer.on('error', () => {});
      answer.once('data', () => sent.destroy());
    });
    sent.end();
    await hungUp;
    expect(ended.at(-1)).toMatchObject({ dataset: 'subscribers', result: 'aborted' });
    const earlier = { seq: seq('3003'), timestamp: formatChinaTime(NOW - HOUR) };
    const retry = await get(address(on, '/subs/download', window(valid, earlier)));
    expect(retry.text).toMatch(/^气户户号\|/);
    expect(on.simulator.maxConcurrentPerFeed).toBe(1);
  });

  it('is framed by its length when short, else chunked, and packed for who accepts gzip', async () => {
    const on = await stage({}, { subscribersPerOrg: 2_000 });
    const valid = await token(on);
    const long = { lastTimestamp: formatChinaTime(NOW - 20 * DAY) };
    const ask = (over: Parameters, headers: Record<string, string> = {}) =>
      get(address(on, '/subs/download', window(valid, { seq: seq('3003'), ...over })), headers);
    const soon = { lastTimestamp: formatChinaTime(NOW) };
    const short = await ask(soon);
    expect(short.headers['content-length']).toBe(String(short.bytes.length));
    const plain = await ask(long);
    expect(plain.headers['transfer-encoding']).toBe('chunked');
    const packed = await ask(long, { 'accept-encoding': 'br, gzip' });
    expect(packed.headers['content-encoding']).toBe('gzip');
    expect(packed.bytes.length).toBeLessThan(plain.bytes.length / 2);
    expect(gunzipSync(packed.bytes).equals(plain.bytes)).toBe(true);
    expect((await ask(long, { 'accept-encoding': 'gzip;q=0' })).bytes).toEqual(plain.bytes);
  });

  it('is dated by its clock, beside it, or not at all', async () => {
    const date = async (options: Partial<SimulatorOptions>) => {
      const on = await stage({ ...options, clock: () => NOW + 700 });
      return (await get(address(on, '/addr/download', window('none')))).headers.date;
    };
    expect(await date({})).toBe(new Date(NOW).toUTCString());
    expect(await date({ dateSkew: -10 * MINUTE })).toBe(new Date(NOW - 10 * MINUTE).toUTCString());
    expect(await date({ dateHeader: 'none' })).toBeUndefined();
  });
});

describe('the query of one subscriber (3005)', () => {
  it('answers masked, under both paths', async () => {
    const on = await stage();
    const valid = await token(on);
    const name = '张三丰';
    const row = {
      subscriber_code: '42',
      name,
      address_detail: '木岭小区12幢',
      mobile: '12012345678',
    };
    on.world.put('subscribers', ORG, { ...row, state: 'A' }, NOW);
    for (const path of ['/subs/getSubsByCode', '/user/getSubsByCode']) {
      const parameters = { seq: seq('3005'), token: valid, subsCode: '42', orgCode: ORG };
      expect(await json(on, path, parameters)).toEqual({
        subsCode: '42',
        name: '张**',
        addrDetail: '木岭小******',
        phone: '120********',
        state: 'A',
        orgCode: ORG,
      });
    }
    const unknown = { seq: seq('3005'), token: valid, subsCode: 'none', orgCode: ORG };
    expect((await json(on, '/subs/getSubsByCode', unknown)).resultCode).toBe(
      RESULT_CODES.UNKNOWN_SUBSCRIBER,
    );
  });
});

describe('interference', () => {
  it('may answer with an HTML page of status 200 in place of the table', async () => {
    const on = await stage({
      interfere: (_, response, { record }) => {
        if (record.dataset === null) return false;
        response.setHeader('content-type', 'text/html');
        response.end('<html>maintenance</html>');
        return true;
      },
    });
    const { status, text } = await get(address(on, '/addr/download', window(await token(on))));
    expect([status, text]).toEqual([200, '<html>maintenance</html>']);
    expect(on.simulator.requests.at(-1)).toMatchObject({ result: 'interfered', rows: 0 });
  });

  it('may cut the prepared table in the middle', async () => {
    const on = await stage({
      interfere: (_, response, { record, answer }) => {
        if (record.dataset === null) return false;
        const { value = '' } = answer.chunks().next() as { value?: string };
        response.setHeader('content-length', Buffer.byteLength(value));
        response.write(value.slice(0, value.length / 2), () => response.destroy());
        return true;
      },
    });
    const valid = await token(on);
    await expect(get(address(on, '/addr/download', window(valid)))).rejects.toThrow(/aborted/);
  });
});

describe('the record of requests', () => {
  it('tells what was asked and how it ended, without token or rows', async () => {
    const logged: RequestRecord[] = [];
    const on = await stage({ log: (record) => logged.push(record) });
    const valid = await token(on);
    const parameters = window(valid);
    await result(on, parameters);
    await result(on, window('unknown'));
    expect(logged).toEqual(on.simulator.requests);
    const [issued, loaded, refused] = on.simulator.requests;
    expect(issued).toMatchObject({ interface: '1002', dataset: null, token: null, result: 'ok' });
    expect(loaded).toMatchObject({
      at: NOW,
      interface: '3001',
      path: '/addr/download',
      orgCode: ORG,
      dataset: 'addresses',
      from: parameters.lastTimestamp,
      to: parameters.timestamp,
      seq: parameters.seq,
      result: 'ok',
    });
    expect(loaded?.endedAt).toBeGreaterThanOrEqual(loaded?.startedAt ?? Number.NaN);
    expect(refused?.result).toBe('20001');
    expect(refused?.token).not.toBe(loaded?.token);
    expect(JSON.stringify(on.simulator.requests)).not.toContain(valid);
  });
});

describe('control', () => {
  it('holds the newest alone where it runs for long, and of faults too', async () => {
    const on = await stage({ keep: 3 });
    on.simulator.faults.during({}, { kind: 'unavailable' });
    for (let turn = 0; turn < 5; turn += 1) {
      await fetch(`${on.simulator.url}/turn/${turn}`);
    }
    expect(on.simulator.requests.map(({ path }) => path)).toEqual([
      '/turn/2',
      '/turn/3',
      '/turn/4',
    ]);
    expect(on.simulator.injected).toHaveLength(3);
    const shown = await (await fetch(`${on.simulator.origin}/control/requests`)).text();
    expect(shown.trimEnd().split('\n')).toHaveLength(3);
  });

  it('shows requests and rows, makes changes and ends tokens for other processes', async () => {
    const on = await stage({ dateHeader: 'none' });
    const control = (path: string, method = 'GET') =>
      get(`${on.simulator.origin}/control/${path}`, {}, method);
    const valid = await token(on);
    const made = JSON.parse((await control('change?count=5', 'POST')).text);
    expect(made).toHaveLength(5);
    expect(made[0]).toMatchObject({ at: NOW, orgCode: expect.any(String) });
    const rows = JSON.parse((await control(`rows?dataset=meters&orgCode=${ORG}`)).text);
    expect(rows).toEqual([...on.world.rows('meters', ORG, NOW).values()]);
    expect((await control('expire-token', 'POST')).status).toBe(200);
    expect(await result(on, window(valid))).toBe('40058');
    const lines = (await control('requests')).text.trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line).result)).toEqual(['ok', '40058']);
  });

  it('names what is wrong with a call', async () => {
    const on = await stage();
    const status = async (path: string, method: string) =>
      (await get(`${on.simulator.origin}${path}`, {}, method)).status;
    expect(await status('/control/change?count=many', 'POST')).toBe(400);
    expect(await status('/control/rows?dataset=gas&orgCode=WJ0105', 'GET')).toBe(400);
    expect(await status('/control/rows?dataset=meters&orgCode=none', 'GET')).toBe(400);
    expect(await status('/control/change', 'GET')).toBe(405);
    expect(await status('/control/nothing', 'GET')).toBe(404);
    expect(await status('/elsewhere', 'GET')).toBe(404);
  });
});

describe('a simulator', () => {
  it('carries its world on to the clock when it is told to', async () => {
    const on = await stage({ evolve: true });
    on.time.now = NOW + DAY;
    const over = { seq: seq('3001', NOW + DAY), timestamp: formatChinaTime(NOW + DAY) };
    const parameters = window(await token(on), { ...over, lastTimestamp: formatChinaTime(NOW) });
    const { text } = await get(address(on, '/addr/download', parameters));
    expect(text.split('\n').length).toBeGreaterThan(2);
  });

  it('closes at once, with a request still waiting, and twice without harm', async () => {
    const on = await stage({ latency: 600_000 });
    const waiting = expect(requestToken(on)).rejects.toThrow();
    await expect.poll(() => on.simulator.requests.length).toBe(1);
    await on.simulator.close();
    await on.simulator.close();
    await waiting;
    expect(on.simulator.requests[0]?.result).toBe('aborted');
    expect(on.simulator.tokensIssued).toBe(0);
  });
});
