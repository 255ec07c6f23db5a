import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DAY, HOUR } from '../../src/core/china-time.ts';
import type { User } from '../../src/core/user.ts';
import { openRequestStore } from '../../src/store/requests.ts';
import { importTable } from '../../src/sync/import.ts';
import type { SyncSettings } from '../../src/sync/sync-window.ts';
import { buildApp } from '../../src/web/server.ts';
import { eventually } from '../support/eventually.ts';
import { type Harness, storedRows, useHarness } from '../support/sync-harness.ts';
import { METER_HEADER, meterLine, meterTable, tableBytes } from '../support/table-bytes.ts';
import { testUser } from '../support/users.ts';
import { WEB_SETTINGS } from '../support/web-settings.ts';

const harness = useHarness({
  world: {
    orgs: [
      { code: 'WJ0105', name: '吴江' },
      { code: 'NJ0001', name: '南京' },
    ],
    subscribersPerOrg: 0,
    changesPerDay: 0,
  },
});
const HOST = 'localhost';
const PAGE = { accept: 'text/html', host: HOST };
const OWN = {
  ...PAGE,
  'content-type': 'application/x-www-form-urlencoded',
  origin: `http://${HOST}`,
};
const PERSON = { name: '欧阳锋七', mobile: '13912345678', latin: 'Zhangsanfeng' } as const;

let h: Harness;
let app: FastifyInstance;
let answers: string[];

async function openApp(users: User[] = [], settings: Partial<SyncSettings> = {}): Promise<void> {
  app = await buildApp({
    world: { ...h.sync, settings: { ...h.sync.settings, ...settings } },
    db: h.store.db,
    backend: () => null,
    settings: { ...WEB_SETTINGS, WEB_USERS: users },
  });
  answers = [];
  app.addHook('onSend', async (_, reply, payload) => {
    answers.push(`${JSON.stringify(reply.getHeaders())} ${payload}`);
  });
}

async function load(lines: readonly string[], orgCode = 'WJ0105', header = METER_HEADER) {
  await importTable(
    { ...h.sync, feedsOf: openRequestStore(h.store.db).feedsOf },
    {
      orgCode,
      dataset: 'meters',
      span: { kind: 'interval', during: { from: h.now - DAY - HOUR, to: h.now - DAY } },
      maxRejects: 100,
      reason: 'test',
      requestedBy: 'test',
    },
    { open: async () => tableBytes(meterTable(lines, header)) },
    new AbortController().signal,
  );
}

beforeEach(async () => {
  h = harness.current;
  await h.addOrgs(['WJ0105', 'NJ0001']);
  await openApp();
});

afterEach(async () => {
  await app.close();
  const everything = answers.join('\n');
  const log = JSON.stringify(h.log);
  for (const secret of Object.values(PERSON)) {
    expect(everything).not.toContain(secret);
    expect(everything).not.toContain(encodeURIComponent(secret));
    expect(log).not.toContain(secret);
  }
});

const look = (url: string, headers: Record<string, string> = {}) =>
  app.inject({ url, headers: { ...PAGE, ...headers } });

const send = (
  url: string,
  fields: Record<string, string>,
  headers: Record<string, string> = OWN,
): Promise<LightMyRequestResponse> =>
  app.inject({ method: 'POST', url, headers, payload: new URLSearchParams(fields).toString() });

const ask = (body: unknown, headers: Record<string, string> = {}) =>
  app.inject({
    method: 'POST',
    url: '/api/rejects/replay',
    headers: { host: HOST, 'content-type': 'application/json', ...headers },
    payload: JSON.stringify(body),
  });

/** The page that a write leads to. */
async function follow(answer: LightMyRequestResponse, headers = {}): Promise<string> {
  expect(answer.statusCode, answer.body).toBe(303);
  return textOf((await look(String(answer.headers.location), headers)).body);
}

const textOf = (page: string) => page.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ');

interface Stored {
  readonly id: number;
  readonly run_id: number;
  readonly resolved_by_run: number | null;
}

const rejects = () => h.query<Stored>('select * from vcc.reject order by id');
const replays = () =>
  h.query(`select reason, requested_by from vcc.request where kind = 'replay' order by id`);
const meters = async (orgCode = 'WJ0105') =>
  (await storedRows(h.store, 'meters', orgCode)).map((row) => row.meter_code);

/** A line of a person that has a field too many. */
const slipped = (key: string) =>
  `${meterLine(key, { location: `${PERSON.name}${PERSON.mobile}` })}|${PERSON.latin}`;

describe('the list', () => {
  it('counts by feed, reason and column and shows the newest lines masked, as they are chosen', async () => {
    await load([slipped('A1'), meterLine(''), meterLine('C3', { org: 'ELSE1' })]);
    await load([slipped('D4')], 'NJ0001');
    await h.query(`update vcc.reject set line = null where reason = 'no_key'`);
    const { statusCode, body } = await look('/rejects');
    expect(statusCode).toBe(200);
    const text = textOf(body);
    expect(text).toContain('The newest 4 of 4');
    expect(text).toContain('NJ0001 Meters 1 1');
    expect(text).toContain('WJ0105 Meters 1 1 meter_code 1 org_code 3');
    expect(text).toContain('open wrong number of fields A1|01|01|1|A|***|S1|||WJ0105|***');
    expect(text).toContain('open no key meter_code text gone');
    expect(text).toContain(
      'another organisation org_code C3|01|01|1|A||S1|||ELSE1 C3 run 1, line 4',
    );
    expect(text).toContain('every open line that matches (4)');
    const chosen = async (query: string) => {
      const [, , all] = /newest (\d+) of (\d+)/.exec(textOf((await look(query)).body)) ?? [];
      return Number(all ?? 0);
    };
    expect(await chosen('/rejects?org=NJ0001')).toBe(1);
    expect(await chosen('/rejects?reason=no_key&dataset=meters')).toBe(1);
    expect(await chosen('/rejects?dataset=addresses')).toBe(0);
    expect(await chosen('/rejects?run=1')).toBe(3);
    expect(await chosen('/rejects?state=resolved')).toBe(0);
    await h.query(`update vcc.reject set resolved_at = now() where reason = 'no_key'`);
    expect(await chosen('/rejects?state=resolved')).toBe(1);
    expect(await chosen('/rejects?state=all')).toBe(4);
    expect(await chosen('/rejects')).toBe(3);
    expect(textOf((await look('/rejects?state=all')).body)).toContain(
      'every open line that matches (3)',
    );
  });

  it('is in Chinese for those who want it', async () => {
    await load([slipped('A1')]);
    const zh = { 'accept-language': 'zh-CN' };
    const page = textOf((await look('/rejects', zh)).body);
    expect(page).toContain('共 1 行，显示最新 1 行');
    expect(page).toContain('字段数不符');
    const one = textOf((await look('/rejects/1', zh)).body);
    expect(one).toContain('重放此行');
    expect(await follow(await send('/rejects/replay', { why: '再试' }), zh)).toContain(
      '再次拒收，仍未解决 字段数不符: 1',
    );
    const bad = await send('/rejects/replay', { why: '' }, { ...OWN, ...zh });
    expect(bad.body).toContain('请说明原因');
  });

  it('shows a hundred lines at most, and says of how many', async () => {
    await load(Array.from({ length: 130 }, (_, index) => `bad ${index}`));
    expect(textOf((await look('/rejects')).body)).toContain('The newest 100 of 130');
  });

  it.each([
    ['org', 'XX1', 'Organisation XX1 is not known'],
    ['org', '\0', 'is not known'],
    ['dataset', 'rivers', 'There is no dataset rivers'],
    ['reason', '__proto__', 'No line is refused for __proto__'],
    ['run', '-1', 'Give the number of a run'],
    ['state', 'lost', 'Choose open'],
  ])(
    'says beside the field %s what is wrong with %j, and replays nothing',
    async (field, value, text) => {
      await load(['bad']);
      const url = `/rejects?${new URLSearchParams({ [field]: value })}`;
      const { statusCode, body } = await look(url);
      expect(statusCode).toBe(422);
      const [, said] = new RegExp(`id="${field}-fault"[^>]*>([^<]*)<`).exec(body) ?? [];
      expect(said).toContain(text);
      if (field === 'state') return;
      expect((await send('/rejects/replay', { [field]: value, why: 'x' })).statusCode).toBe(422);
      expect(await replays()).toEqual([]);
      const api = await app.inject({ url: `/api${url}`, headers: { host: HOST } });
      expect(api.statusCode).toBe(422);
      expect(api.json().errors[0].field).toBe(field);
    },
  );
});

describe('one line', () => {
  it('is shown masked, with the columns of its file that the document names', async () => {
    const header = `${METER_HEADER}|${PERSON.latin}`;
    await load([`${slipped('A1')}|more`], 'WJ0105', header);
    const text = textOf((await look('/rejects/1')).body);
    expect(text).toContain('表具编号');
    expect(text).toContain('(not in the document)');
    expect(text).toContain('Text kept');
    expect((await look('/rejects/2')).statusCode).toBe(404);
    expect((await look('/rejects/x')).statusCode).toBe(404);
    expect((await send('/rejects/2/replay', { why: 'x' })).statusCode).toBe(404);
  });

  it('goes in repaired, leaving who, when and why, and the page says so', async () => {
    await load([slipped('A1'), slipped('B2')]);
    const repaired = meterLine('A1', { location: PERSON.name });
    const done = await send('/rejects/1/replay', {
      why: ' one field\r\ntoo many ',
      line: `${repaired}\r\n`,
    });
    expect(await follow(done)).toContain('Went in inserted: 1');
    expect(await meters()).toEqual(['A1']);
    const [first, second] = await rejects();
    expect(first!.resolved_by_run).not.toBeNull();
    expect(second!.resolved_by_run).toBeNull();
    expect(await replays()).toEqual([{ reason: 'one field too many', requested_by: 'web' }]);
    const again = await send('/rejects/1/replay', { why: 'again', line: repaired });
    expect(again.statusCode).toBe(422);
    expect(again.body).toContain('resolved already');
    expect(textOf((await look('/rejects/1')).body)).toContain(`by run ${first!.resolved_by_run}`);
  });

  it('that is still bad stays open, and of its text nothing is kept but what was there', async () => {
    await load([slipped('A1')]);
    const before = await rejects();
    const done = await send('/rejects/1/replay', { why: 'try', line: `${PERSON.name}|x` });
    expect(await follow(done)).toContain('Refused again, and still open wrong number of fields: 1');
    expect(await rejects()).toEqual(before);
  });

  it('without its text needs a repaired one, of one line, and a reason', async () => {
    await load([slipped('A1')]);
    await h.query('update vcc.reject set line = null');
    const fault = async (fields: Record<string, string>) => {
      const { statusCode, body } = await send('/rejects/1/replay', fields);
      expect(statusCode).toBe(422);
      return textOf(body);
    };
    expect(await fault({ why: 'x' })).toContain('The stored text is gone: give the repaired line');
    expect(await fault({ why: 'x', line: `${PERSON.name}\n${PERSON.mobile}` })).toContain(
      'Give one line',
    );
    expect(await fault({ why: ' ', line: slipped('A1') })).toContain('Say why');
    expect(await fault({ why: 'y'.repeat(501), line: 'x' })).toContain('At most 500');
    expect(await replays()).toEqual([]);
    const done = await send('/rejects/1/replay', { why: 'asked them', line: meterLine('A1') });
    expect(await follow(done)).toContain('inserted: 1');
  });
});

describe('all that match', () => {
  it('are tried as they are, and the page says what went in, was refused again and was left', async () => {
    await load([meterLine('A1', { org: 'ELSE1' }), 'bad', meterLine('N0', { location: 'a\0b' })]);
    await load([meterLine('B2', { org: 'ELSE2' }), 'gone'], 'NJ0001');
    await h.query(`update vcc.reject set line = null where line = 'gone'`);
    await app.close();
    await openApp([], { otherOrgs: 'accept' });
    const only = await send('/rejects/replay', {
      org: 'NJ0001',
      reason: 'other_org',
      why: 'first',
    });
    expect(await follow(only)).toContain('Went in inserted: 1');
    expect(await meters('ELSE2')).toEqual(['B2']);
    expect(await meters('ELSE1')).toEqual([]);
    const done = await follow(await send('/rejects/replay', { why: 'then all' }));
    expect(done).toContain('Went in inserted: 1');
    expect(done).toContain('still open wrong number of fields: 1');
    expect(done).toContain('text gone: 1');
    expect(done).toContain('text was altered to be stored: 1');
    expect(await meters('ELSE1')).toEqual(['A1']);
    expect(await replays()).toMatchObject([{ reason: 'first' }, { reason: 'then all' }]);
    const none = await send('/rejects/replay', { reason: 'too_long', why: 'none' });
    expect(await follow(none)).toContain('nothing was done');
  });

  it('are found by whoever comes back to the address of a replay, after a log-in say', async () => {
    const back = await app.inject({ url: '/rejects/replay?org=WJ0105', headers: OWN });
    expect(back.statusCode).toBe(303);
    expect(back.headers.location).toBe('/rejects?org=WJ0105');
  });

  it('of a feed that can not be loaded stay open, and the page names feed and code', async () => {
    await load(['bad']);
    await h.query(
      `alter table vcc.request add constraint closed check (kind <> 'replay') not valid`,
    );
    const done = await follow(await send('/rejects/replay', { why: 'x' }));
    expect(done).toMatch(/Not finished: what is left is still open WJ0105 Meters: [A-Z_]+ /);
    expect((await rejects())[0]!.resolved_by_run).toBeNull();
  });

  it('makes nothing of an address that it has not written', async () => {
    const { body } = await look(
      '/rejects/replayed?inserted=many&refused.rivers=3&failed=%3Cb%3E.meters.TRUNCATED&failed=a.meters.constructor',
    );
    expect(textOf(body)).toContain('nothing was done');
  });
});

describe('who may replay', () => {
  const basic = (text: string) => ({
    authorization: `Basic ${Buffer.from(text).toString('base64')}`,
  });

  it('is an operator, from our own pages; a viewer looks', async () => {
    await load([slipped('A1')]);
    await app.close();
    await openApp([
      testUser('olga', 'operator', 'correct horse'),
      testUser('vera', 'viewer', 'battery staple'),
    ]);
    const [olga, vera] = [basic('olga:correct horse'), basic('vera:battery staple')];
    for (const url of ['/rejects', '/rejects/1']) {
      const page = await look(url, vera);
      expect(page.body).toContain('Replaying them needs an operator');
      expect(page.body).not.toMatch(/action="\/rejects[^"]*replay"/);
      expect((await look(url)).statusCode).toBe(302);
    }
    const foreign = { ...OWN, ...olga, origin: 'https://evil.example' };
    const fields = { why: 'x', line: meterLine('A1') };
    for (const url of ['/rejects/replay', '/rejects/1/replay']) {
      expect((await send(url, fields, { ...OWN, ...vera })).statusCode).toBe(403);
      expect((await send(url, fields, foreign)).statusCode).toBe(403);
      expect((await send(url, fields)).statusCode).toBe(401);
    }
    expect((await ask({ why: 'x' }, vera)).statusCode).toBe(403);
    expect((await ask({ why: 'x' })).statusCode).toBe(401);
    expect(await replays()).toEqual([]);
    await send('/rejects/1/replay', fields, { ...OWN, ...olga });
    expect(await replays()).toEqual([{ reason: 'x', requested_by: 'web:olga' }]);
  });
});

describe('the API', () => {
  it('lists lines masked, as the command does', async () => {
    await load([slipped('A1'), 'bad']);
    const get = async (query: string) =>
      (await app.inject({ url: `/api/rejects${query}`, headers: { host: HOST } })).json();
    const all = await get('');
    expect(all).toHaveLength(2);
    expect(all[1]).toEqual({
      id: 1,
      feed_id: expect.any(Number),
      org_code: 'WJ0105',
      dataset: 'meters',
      run_id: 1,
      line_no: 2,
      reason: 'field_count',
      column: null,
      row_key: null,
      line_hash: expect.stringMatching(/^[0-9a-f]{64}$/),
      line: 'A1|01|01|1|A|***|S1|||WJ0105|***',
      window_to: new Date(h.now - DAY).toISOString(),
      first_seen: expect.any(String),
      last_seen: expect.any(String),
      resolved_at: null,
      resolved_by_run: null,
    });
    expect(await get('?limit=1')).toHaveLength(1);
    expect(await get('?state=resolved')).toEqual([]);
    expect((await get('?limit=0')).errors[0].field).toBe('limit');
  });

  it('replays one or all, and names every field that is wrong', async () => {
    await load([slipped('A1'), 'bad']);
    const faults = async (body: object) => {
      const answer = await ask(body);
      expect(answer.statusCode).toBe(422);
      return answer.json().errors.map(({ field }: { field: string }) => field);
    };
    expect(await faults({})).toEqual(['why']);
    expect(await faults({ org: 'XX1', run: 'x', why: '', line: 'a\nb' })).toEqual([
      'org',
      'run',
      'why',
      'line',
      'id',
    ]);
    expect(await faults({ id: 'one', lines: 1 })).toEqual(['id', 'lines']);
    expect(await replays()).toEqual([]);
    const [bad] = (await ask({ dataset: 'meters', why: 'all' })).json();
    expect(bad).toMatchObject({
      org_code: 'WJ0105',
      dataset: 'meters',
      runs: [expect.any(Number)],
      lines: 2,
      refused: { field_count: 2 },
      left: {},
      error_code: null,
    });
    const [good] = (await ask({ id: 1, line: meterLine('A1'), why: 'one' })).json();
    expect(good).toMatchObject({ lines: 1, inserted: 1, refused: {} });
    const gone = await ask({ id: 1, line: meterLine('A1'), why: 'again' });
    expect(gone.statusCode).toBe(422);
    expect(await replays()).toMatchObject([{ reason: 'all' }, { reason: 'one' }]);
  });
});

it('a replay ends when whoever asked for it goes away, and what is left stays open', async () => {
  await load(['bad']);
  const [{ feed_id }] = (await h.query<{ feed_id: number }>('select feed_id from vcc.reject')) as [
    { feed_id: number },
  ];
  const claim = await h.store.feeds.claim(feed_id, new AbortController().signal);
  try {
    await app.close();
    await openApp();
    let asked = 0;
    app.addHook('preHandler', async () => {
      asked += 1;
    });
    const url = await app.listen({ host: '127.0.0.1', port: 0 });
    const leaving = new AbortController();
    const answer = fetch(`${url}/api/rejects/replay`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ why: 'x' }),
      signal: leaving.signal,
    }).catch((error: Error) => error.name);
    await eventually(() => expect(asked).toBe(1));
    leaving.abort();
    expect(await answer).toBe('AbortError');
    await eventually(() => expect(answers.join()).toContain('"error_code":"INTERRUPTED"'));
  } finally {
    await claim!.release();
  }
  expect(await replays()).toEqual([]);
  expect(await rejects()).toMatchObject([{ resolved_by_run: null }]);
});
