import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DAY, HOUR } from '../../src/core/china-time.ts';
import type { User } from '../../src/core/user.ts';
import { reach } from '../../src/core/window.ts';
import { addMissingOrgs } from '../../src/store/orgs.ts';
import { buildApp } from '../../src/web/server.ts';
import { eventually } from '../support/eventually.ts';
import { type Harness, useHarness } from '../support/sync-harness.ts';
import { tableContents } from '../support/table-contents.ts';
import { testUser } from '../support/users.ts';
import { WEB_SETTINGS } from '../support/web-settings.ts';

const harness = useHarness({
  world: {
    orgs: [
      { code: 'WJ0105', name: '吴江' },
      { code: 'NJ0001', name: '南京' },
    ],
  },
});
const HOST = 'localhost';
const PAGE = { accept: 'text/html', host: HOST };
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
const OWN = { ...PAGE, ...FORM, origin: `http://${HOST}` };

let h: Harness;
let app: FastifyInstance;

async function openApp(users: User[] = []): Promise<FastifyInstance> {
  return buildApp({
    world: h.sync,
    db: h.store.db,
    backend: () => null,
    settings: { ...WEB_SETTINGS, WEB_USERS: users },
  });
}

beforeEach(async () => {
  h = harness.current;
  await h.addOrgs(['WJ0105', 'NJ0001']);
  app = await openApp();
});
afterEach(() => app.close());

const iso = (at: number) => new Date(at).toISOString();

type Fields = Record<string, string | readonly string[]>;

function encode(fields: Fields): string {
  return new URLSearchParams(
    Object.entries(fields).flatMap(([name, value]) =>
      [value].flat().map((one): [string, string] => [name, one]),
    ),
  ).toString();
}

const good = (): Fields => ({
  org: ['WJ0105', 'NJ0001'],
  dataset: ['meters', 'subscribers'],
  from: iso(h.now - DAY),
  to: iso(h.now - HOUR),
});

function look(fields: Fields, headers: Record<string, string> = {}) {
  return app.inject({ url: `/resync?${encode(fields)}`, headers: { ...PAGE, ...headers } });
}

function send(url: string, fields: Fields, headers: Record<string, string> = OWN) {
  return app.inject({ method: 'POST', url, headers, payload: encode(fields) });
}

function ask(url: string, body: unknown, headers: Record<string, string> = {}) {
  return app.inject({
    method: 'POST',
    url,
    headers: { host: HOST, 'content-type': 'application/json', ...headers },
    payload: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

const requests = () =>
  h.query<Record<string, unknown>>(
    `select q.id, f.org_code, f.dataset, q.force, q.max_rejects, q.reason, q.requested_by,
        lower(q.during) as lower, upper(q.during) as upper
      from vcc.request q join vcc.feed f on f.id = q.feed_id order by q.id`,
  );

/** The faulty fields of a problem, which it must be. */
function faultsOf(answer: LightMyRequestResponse): string[] {
  expect(answer.statusCode).toBe(422);
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  return answer.json().errors.map(({ field }: { field: string }) => field);
}

describe('the page', () => {
  it('offers organisations and datasets, and the last day', async () => {
    const { statusCode, body } = await app.inject({ url: '/resync', headers: PAGE });
    expect(statusCode).toBe(200);
    expect(body).toContain('value="NJ0001"');
    expect(body).toContain('value="supply_points"');
    expect(body).toContain('value="2026-10-20T12:00:00"');
    expect(body).not.toContain('>Plan<');
  });

  it('shows the windows, the part that is gone and the part to come, and offers the rest', async () => {
    const earliest = reach(h.now);
    const { body } = await look({
      ...good(),
      from: iso(earliest - DAY),
      to: iso(h.now + DAY),
    });
    expect(body).toContain('can no longer be had');
    expect(body).toContain('still to come');
    expect(body).toContain('4 feeds, 8 windows');
    expect(body).toContain('name="from" value="2026-09-21T00:00:00+08:00"');
    expect(body).toContain('name="to" value="2026-10-20T12:00:00+08:00"');
    const words = await look(good(), { 'accept-language': 'zh-CN' });
    expect(words.body).toContain('4 个数据源，4 个窗口');
  });

  it('takes no reason from an address: it may name people', async () => {
    const { statusCode, body } = await look({ ...good(), reason: 'asked for by 张三丰' });
    expect(statusCode).toBe(200);
    const [field] = /<input[^>]*name="reason"[^>]*>/.exec(body)!;
    expect(field).not.toContain('张三丰');
  });

  it('takes all datasets for every feed there is', async () => {
    await h.query(`delete from vcc.feed where org_code = 'NJ0001' and dataset = 'meters'`);
    const dataset = ['addresses', 'supply_points', 'subscribers', 'meters'];
    const { body } = await look({ ...good(), dataset });
    expect(body).toContain('7 feeds, 7 windows');
    expect(body).toContain('type="hidden" name="dataset" value="all"');
    expect((await look(good())).body).toContain('There is no feed for meters NJ0001');
  });

  it('previews without changing anything, then records and leads to what was recorded', async () => {
    await h.runAll();
    await h.query(`update vcc.meter set location = 'elsewhere' where org_code = 'NJ0001'`);
    const before = await tableContents(h.store.pool);
    const preview = await send('/resync/preview', { ...good(), reason: 'a <b> reason' });
    expect(preview.statusCode).toBe(200);
    expect(preview.body).toContain('Nothing was recorded or changed');
    expect(preview.body).toContain('value="a &lt;b> reason"');
    expect(await tableContents(h.store.pool)).toEqual(before);
    const [, action] = /formaction="([^"]+)"/.exec(preview.body) ?? [];
    const back = await app.inject({ url: action!.replaceAll('&amp;', '&'), headers: PAGE });
    expect(back.headers.location).toMatch(/^\/resync\?org=WJ0105&org=NJ0001&dataset=meters&/);
    const done = await send('/resync', {
      ...good(),
      reason: ' mended\r\nat the source ',
      force: 'true',
      max_rejects: '20 %',
    });
    expect(done.statusCode).toBe(303);
    expect(await requests()).toMatchObject(
      ['WJ0105 subscribers', 'WJ0105 meters', 'NJ0001 subscribers', 'NJ0001 meters'].map(
        (feed) => ({
          org_code: feed.split(' ')[0],
          dataset: feed.split(' ')[1],
          force: true,
          max_rejects: 20,
          reason: 'mended at the source',
          requested_by: 'web',
          lower: new Date(h.now - DAY),
          upper: new Date(h.now - HOUR),
        }),
      ),
    );
    const recorded = await app.inject({ url: String(done.headers.location), headers: PAGE });
    expect(recorded.body).toContain('href="/feeds/NJ0001/meters"');
    expect(recorded.body).toContain('mended at the source');
    expect(recorded.body).toContain('open');
    await h.runAll();
    const later = await app.inject({ url: String(done.headers.location), headers: PAGE });
    expect(later.body).toContain('finished');
  });

  it('leads to what was recorded also where that is two thousand requests', async () => {
    const org = Array.from({ length: 500 }, (_, index) => `ZZ${1000 + index}`);
    await addMissingOrgs(h.store.db, org);
    const done = await send('/resync', { ...good(), org, dataset: 'all', reason: 'all of them' });
    expect(done.statusCode).toBe(303);
    const address = String(done.headers.location);
    expect(address.length).toBeLessThan(2_000);
    expect(await requests()).toHaveLength(2_000);
    const { body } = await app.inject({ url: address, headers: PAGE });
    expect(body.split('all of them')).toHaveLength(2_001);
  });

  it.each([
    ['org', { org: [] }, 'Choose at least one organisation'],
    ['org', { org: ['XX1'] }, 'Organisation XX1 is not known. Choose one that the page offers'],
    ['org', { org: ['\0'] }, 'is not known'],
    ['dataset', { dataset: [] }, 'Choose at least one dataset'],
    ['dataset', { dataset: 'rivers' }, 'There is no dataset rivers'],
    ['from', { from: '' }, 'Give a time'],
    ['to', { to: 'tomorrow' }, 'Give a time such as'],
    ['to', { to: '2026-02-30T00:00:00' }, 'Give a time such as'],
    ['to', { to: '2026-10-01T00:00:00Z', from: '2026-10-02T00:00:00Z' }, 'ends before it begins'],
    ['from', { from: '2026-09-01T00:00:00Z' }, 'serves nothing from before'],
    ['to', { to: '2026-10-20T04:00:01Z' }, 'must not reach beyond now'],
    ['reason', { reason: ' ' }, 'Say why'],
    ['max_rejects', { max_rejects: '101' }, 'a percentage from 0 to 100'],
  ])(
    'says beside the field %s what is wrong with %j, and records nothing',
    async (field, over, text) => {
      const { statusCode, body } = await send('/resync', { ...good(), reason: 'why', ...over });
      expect(statusCode).toBe(422);
      const [, said] = new RegExp(`id="${field}-fault"[^>]*>([^<]*)<`).exec(body) ?? [];
      expect(said).toContain(text);
      expect(body).toContain(`aria-describedby="${field}-fault"`);
      expect(await requests()).toEqual([]);
    },
  );

  it('lets a viewer see the plan, but neither preview nor record', async () => {
    const users: User[] = [
      testUser('olga', 'operator', 'correct horse'),
      testUser('vera', 'viewer', 'battery staple'),
    ];
    await app.close();
    app = await openApp(users);
    const basic = (text: string) => ({
      authorization: `Basic ${Buffer.from(text).toString('base64')}`,
    });
    const vera = basic('vera:battery staple');
    const plan = await look(good(), vera);
    expect(plan.body).toContain('4 feeds, 4 windows');
    expect(plan.body).not.toContain('formaction');
    const fields = { ...good(), reason: 'why' };
    for (const url of ['/resync', '/resync/preview']) {
      expect((await send(url, fields, { ...OWN, ...vera })).statusCode).toBe(403);
      const foreign = { ...OWN, ...basic('olga:correct horse'), origin: 'https://evil.example' };
      expect((await send(url, fields, foreign)).statusCode).toBe(403);
      expect((await send(url, fields)).statusCode).toBe(401);
    }
    for (const url of ['/api/resync', '/api/preview']) {
      expect((await ask(url, fields, vera)).statusCode).toBe(403);
      expect((await ask(url, fields)).statusCode).toBe(401);
    }
    expect(await requests()).toEqual([]);
    await send('/resync', fields, { ...OWN, ...basic('olga:correct horse') });
    expect(await requests()).toMatchObject(Array(4).fill({ requested_by: 'web:olga' }));
  });
});

describe('the API', () => {
  it('previews and records for scripts what was asked for', async () => {
    const wish = {
      org: 'WJ0105',
      dataset: 'all',
      from: '20261019120000',
      to: iso(h.now - HOUR),
      reason: 'asked for',
      force: true,
    };
    const preview = await ask('/api/preview', wish);
    expect(preview.statusCode).toBe(200);
    const { windows, ...rest } = preview.json();
    expect(rest).toEqual({
      during: { from: iso(h.now - DAY), to: iso(h.now - HOUR) },
      gone: null,
      future: null,
      at: iso(h.now),
    });
    expect(await requests()).toEqual([]);
    const recorded = await ask('/api/resync', wish);
    expect(recorded.statusCode).toBe(202);
    const ids = (await requests()).map(({ id }) => id);
    expect(recorded.json()).toEqual({ requests: ids });
    expect(ids).toHaveLength(4);
    await h.runAll();
    const runs = (await h.query(
      `select org_code, dataset, lines, accepted, rejected, inserted, updated, unchanged, stale, duplicate, flagged
        from vcc.run where request_id is not null order by request_id`,
    )) as object[];
    expect(windows).toEqual(
      runs.map((run) => ({
        ...run,
        feed_id: expect.any(Number),
        during: rest.during,
        state: 'counted',
        too_many_rejects: false,
        error_code: null,
        error_message: null,
      })),
    );
  });

  it('names every field that is wrong, and records nothing', async () => {
    const wish = { ...good(), reason: 'why' };
    const over = (fields: object) => ask('/api/resync', { ...wish, ...fields });
    expect(faultsOf(await over({ org: 'XX1', from: 'then', reason: '' }))).toEqual([
      'org',
      'from',
      'reason',
    ]);
    expect(faultsOf(await over({ dataset: ['meters', 'rivers'] }))).toEqual(['dataset']);
    expect(faultsOf(await over({ force: 'yes', forces: true }))).toEqual(['force', 'forces']);
    expect(faultsOf(await over({ org: 7, max_rejects: {} }))).toEqual(['org', 'max_rejects']);
    expect(faultsOf(await over({ max_rejects: 101 }))).toEqual(['max_rejects']);
    expect(faultsOf(await over({ from: iso(reach(h.now) - 1000) }))).toEqual(['from']);
    expect(faultsOf(await over({ to: iso(h.now + 1000) }))).toEqual(['to']);
    expect(faultsOf(await ask('/api/preview', { ...wish, to: good().from }))).toEqual(['to']);
    expect(faultsOf(await ask('/api/resync', '[]'))).toEqual(['body']);
    expect((await ask('/api/resync', '{')).statusCode).toBe(400);
    await h.query(`delete from vcc.feed where org_code = 'NJ0001' and dataset = 'meters'`);
    const lacking = await over({});
    expect(faultsOf(lacking)).toEqual(['dataset']);
    expect(lacking.json().errors[0].message).toContain('meters NJ0001');
    expect(await requests()).toEqual([]);
  });

  it('tells how the feeds stand, their runs and gaps, as the commands do', async () => {
    const since = reach(h.now) - 5 * DAY;
    await h.query('update vcc.feed set since = $1', [new Date(since)]);
    await h.runAll();
    const get = async (url: string) => {
      const answer = await app.inject({ url, headers: { host: HOST } });
      expect(answer.statusCode, url).toBe(200);
      return answer.json();
    };
    const feeds = await get('/api/feeds?org=NJ0001');
    expect(feeds).toHaveLength(4);
    expect(feeds[0]).toMatchObject({
      org_code: 'NJ0001',
      dataset: 'addresses',
      since: iso(since),
      lag: expect.any(Number),
      blocked_since: null,
    });
    expect(await get('/api/runs?org=WJ0105&dataset=meters&status=done&limit=1')).toMatchObject([
      { org_code: 'WJ0105', dataset: 'meters', status: 'done', heartbeat_at: expect.any(String) },
    ]);
    expect(await get('/api/runs?status=failed')).toEqual([]);
    expect(await get('/api/gaps?dataset=meters')).toMatchObject([
      { org_code: 'NJ0001', state: 'expired', during: { from: iso(since) }, length: 5 * 86_400 },
      { org_code: 'WJ0105', state: 'expired', recoverable_until: null },
    ]);
  });

  it('refuses filters that it does not know', async () => {
    const get = (url: string) => app.inject({ url, headers: { host: HOST } });
    expect(faultsOf(await get('/api/feeds?org=XX1'))).toEqual(['org']);
    expect(faultsOf(await get('/api/gaps?dataset=rivers&page=2'))).toEqual(['dataset', 'page']);
    expect(faultsOf(await get('/api/runs?limit=0&status=lost'))).toEqual(['status', 'limit']);
    expect(faultsOf(await get('/api/runs?org=a%00b'))).toEqual(['org']);
  });
});

it('a preview ends when whoever asked for it goes away', async () => {
  let asked = 0;
  let gone = 0;
  h.interfere = ({ url }, response) => {
    if (!url?.includes('/download')) return false;
    asked += 1;
    response.on('close', () => {
      gone += 1;
    });
    return true;
  };
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  const leaving = new AbortController();
  const answer = fetch(`${url}/api/preview`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(good()),
    signal: leaving.signal,
  }).catch((error: Error) => error.name);
  await eventually(() => expect(asked).toBe(1));
  leaving.abort();
  expect(await answer).toBe('AbortError');
  await eventually(() => expect(gone).toBe(1));
  await eventually(async () => {
    expect(
      await h.query(`select from pg_stat_activity
      where datname = current_database() and application_name = 'vcc-sync preview'
        and state like 'idle in transaction%'`),
    ).toEqual([]);
  });
  expect(asked).toBe(1);
});
