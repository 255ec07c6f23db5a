import type { FastifyInstance, InjectOptions } from 'fastify';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { parseUser, type User } from '../../src/core/user.ts';
import { openBackend, type QueueBackend } from '../../src/queue/backend.ts';
import { type Database, openDatabase, openPool } from '../../src/store/pool.ts';
import { hashPassword } from '../../src/web/password.ts';
import { buildApp } from '../../src/web/server.ts';
import { SESSION_LENGTH } from '../../src/web/session.ts';
import { type Harness, openHarness } from '../support/sync-harness.ts';
import { testUser } from '../support/users.ts';
import { WEB_SETTINGS } from '../support/web-settings.ts';

const HOST = 'vcc.example';
const PAGE = { accept: 'text/html,application/xhtml+xml', host: HOST };
const OWN = { ...PAGE, origin: `http://${HOST}`, 'sec-fetch-site': 'same-origin' };
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

let h: Harness;
let users: User[];

async function openApp(
  over: {
    users?: User[];
    open?: string[];
    secret?: string;
    proxies?: string[];
    backend?: QueueBackend;
    db?: Database;
  } = {},
): Promise<FastifyInstance> {
  return buildApp({
    world: h.sync,
    db: over.db ?? h.store.db,
    backend: () => over.backend ?? null,
    settings: {
      ...WEB_SETTINGS,
      WEB_USERS: over.users ?? users,
      WEB_PUBLIC: over.open ?? ['healthz', 'readyz'],
      WEB_TRUST_PROXY: over.proxies ?? [],
      ...(over.secret && { VCC_BASE_KEY: over.secret }),
    },
  });
}

beforeAll(async () => {
  h = await openHarness();
  users = [
    testUser('olga', 'operator', 'correct horse'),
    testUser('vera', 'viewer', 'battery staple'),
  ];
});
afterAll(() => h.close());

function logIn(
  app: FastifyInstance,
  name: string,
  password: string,
  over: Partial<InjectOptions> = {},
) {
  return app.inject({
    method: 'POST',
    url: '/login',
    headers: { ...OWN, ...FORM },
    payload: new URLSearchParams({ name, password, to: '/?x=1' }).toString(),
    ...over,
  });
}

async function cookieOf(app: FastifyInstance, name: string, password: string): Promise<string> {
  const { cookies } = await logIn(app, name, password);
  return cookies.map((one) => `${one.name}=${one.value}`).join('; ');
}

describe('log-in', () => {
  it('lets nobody see a page without it, and goes on to the page that was asked for', async () => {
    const app = await openApp();
    const refused = await app.inject({ url: '/?x=1', headers: PAGE });
    expect(refused.statusCode).toBe(302);
    expect(refused.headers.location).toBe('/login?to=%2F%3Fx%3D1');
    const done = await logIn(app, 'olga', 'correct horse');
    expect(done.statusCode).toBe(303);
    expect(done.headers.location).toBe('/?x=1');
    const [cookie] = done.cookies;
    expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict', path: '/' });
    const page = await app.inject({
      url: '/',
      headers: { ...PAGE, cookie: `${cookie!.name}=${cookie!.value}` },
    });
    expect(page.statusCode).toBe(200);
    expect(page.body).toContain('olga');
    await app.close();
  });

  it('does not tell a wrong name from a wrong password', async () => {
    const app = await openApp();
    const [name, password] = await Promise.all([
      logIn(app, 'nobody', 'correct horse'),
      logIn(app, 'olga', 'wrong'),
    ]);
    expect(name.statusCode).toBe(401);
    expect(password.statusCode).toBe(401);
    expect(name.body).toBe(password.body);
    expect(name.cookies).toEqual([]);
    await app.close();
  });

  it('takes as long for a name that is not there as for the one whose hash costs most', async () => {
    const dear = { ...users[0]!, password: await hashPassword('correct horse') };
    const app = await openApp({ users: [users[1]!, dear] });
    const took = async (name: string) => {
      const before = performance.now();
      await logIn(app, name, 'wrong');
      return performance.now() - before;
    };
    // Whatever else the machine does only makes a try longer: the shortest tells what it costs.
    const shortest = async (name: string) =>
      Math.min(await took(name), await took(name), await took(name));
    await took('vera');
    expect(await shortest('nobody')).toBeGreaterThan(2 * (await shortest('vera')));
    await app.close();
  });

  it('is throttled, for right passwords too, until a minute has passed', async () => {
    const app = await openApp();
    const start = Date.now();
    vi.useFakeTimers({ toFake: ['Date'], now: start });
    onTestFinished(() => void vi.useRealTimers());
    const codes: number[] = [];
    for (let count = 0; count < 11; count += 1) {
      codes.push((await logIn(app, 'olga', `guess ${count}`)).statusCode);
    }
    expect(codes.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => 401));
    expect(codes[10]).toBe(429);
    const attempt = async () => (await logIn(app, 'olga', 'correct horse')).statusCode;
    expect(await attempt()).toBe(429);
    vi.setSystemTime(start + 59_999);
    expect(await attempt()).toBe(429);
    vi.setSystemTime(start + 60_001);
    expect(await attempt()).toBe(303);
    await app.close();
  });

  it('ends by itself, on log-out, and when a password is changed; a forged cookie is none', async () => {
    const app = await openApp();
    const cookie = await cookieOf(app, 'olga', 'correct horse');
    const ask = (one: FastifyInstance, with_: string) =>
      one.inject({ url: '/', headers: { ...PAGE, cookie: with_ } });
    expect((await ask(app, cookie)).statusCode).toBe(200);
    const forged = cookie.replace(/=([\w-]+)\./, (_all, payload: string) => {
      const session = JSON.parse(Buffer.from(payload, 'base64url').toString());
      return `=${Buffer.from(JSON.stringify({ ...session, name: 'vera' })).toString('base64url')}.`;
    });
    expect((await ask(app, forged)).statusCode).toBe(302);
    expect((await ask(app, 'vcc_sync_session=rubbish')).statusCode).toBe(302);
    const out = await app.inject({ method: 'POST', url: '/logout', headers: { ...OWN, cookie } });
    expect(out.cookies[0]).toMatchObject({ value: '' });
    const changed = await openApp({ users: [testUser('olga', 'operator', 'another one')] });
    expect((await ask(changed, cookie)).statusCode).toBe(302);
    const stranger = await openApp({ secret: 'f'.repeat(32) });
    expect((await ask(stranger, cookie)).statusCode).toBe(302);
    h.now += SESSION_LENGTH;
    expect((await ask(app, cookie)).statusCode).toBe(302);
    await Promise.all([app.close(), changed.close(), stranger.close()]);
  });

  it('takes Basic from scripts, and tells them when it is wrong without a page', async () => {
    const app = await openApp();
    const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;
    const ask = (authorization?: string) =>
      app.inject({ url: '/', headers: { host: HOST, ...(authorization && { authorization }) } });
    expect((await ask(basic('vera:battery staple'))).statusCode).toBe(200);
    const wrong = await ask(basic('vera:wrong'));
    expect(wrong.statusCode).toBe(401);
    expect(wrong.headers['www-authenticate']).toMatch(/^Basic /);
    expect(wrong.json()).toMatchObject({ status: 401 });
    expect((await ask()).statusCode).toBe(401);
    await app.close();
  });

  it.each(['//evil.example/', 'https://evil.example/', '/\\evil.example', '/..//evil.example'])(
    'never sends anyone on to another site: %s',
    async (to) => {
      const app = await openApp();
      const payload = new URLSearchParams({ name: 'vera', password: 'battery staple', to });
      const { headers } = await logIn(app, '', '', { payload: payload.toString() });
      expect(new URL(String(headers.location), `https://${HOST}`).host).toBe(HOST);
      await app.close();
    },
  );
});

describe('writes', () => {
  it('are refused when they come from another site or from who knows where with a cookie', async () => {
    const app = await openApp();
    const cookie = await cookieOf(app, 'olga', 'correct horse');
    const write = (headers: Record<string, string>) =>
      app.inject({ method: 'POST', url: '/logout', headers: { host: HOST, cookie, ...headers } });
    expect((await write({ origin: 'https://evil.example' })).statusCode).toBe(403);
    expect((await write({ origin: 'null' })).statusCode).toBe(403);
    expect((await write({ 'sec-fetch-site': 'cross-site' })).statusCode).toBe(403);
    expect((await write({})).statusCode).toBe(403);
    expect((await write({ origin: `http://${HOST}` })).statusCode).toBe(303);
    await app.close();
  });

  it('come over the same scheme as their page, of which a trusted proxy tells', async () => {
    const app = await openApp();
    const write = (one: FastifyInstance, headers: Record<string, string>) =>
      one.inject({ method: 'POST', url: '/logout', headers: { host: HOST, ...headers } });
    const tls = { origin: `https://${HOST}`, 'x-forwarded-proto': 'https' };
    const refused = await write(app, { ...tls, accept: 'text/html' });
    expect(refused.statusCode).toBe(403);
    expect(refused.body).toContain('WEB_TRUST_PROXY');
    const behind = await openApp({ proxies: ['127.0.0.1'] });
    expect((await write(behind, tls)).statusCode).toBe(303);
    expect((await write(behind, { ...tls, origin: `http://${HOST}` })).statusCode).toBe(403);
    await Promise.all([app.close(), behind.close()]);
  });
});

describe('without users', () => {
  it('everything is served, on loopback names only', async () => {
    const app = await openApp({ users: [] });
    const ask = (host: string) => app.inject({ url: '/', headers: { ...PAGE, host } });
    expect((await ask('127.0.0.1:8080')).statusCode).toBe(200);
    expect((await ask('localhost')).body).toMatch(/No users are set/);
    expect((await ask('evil.example')).statusCode).toBe(421);
    expect((await ask('[::1]:8080')).statusCode).toBe(200);
    await app.close();
  });

  it('no forwarded name makes a stranger’s name one of loopback, nor the other way round', async () => {
    const app = await openApp({ users: [], proxies: ['127.0.0.1'] });
    const ask = async (host: string, forwarded: string) => {
      const headers = { ...PAGE, host, 'x-forwarded-host': forwarded };
      return (await app.inject({ url: '/', headers })).statusCode;
    };
    expect(await ask('evil.example', 'localhost')).toBe(421);
    expect(await ask('localhost', 'evil.example')).toBe(421);
    expect(await ask('127.0.0.1:8080', 'localhost')).toBe(200);
    await app.close();
  });
});

describe('every answer', () => {
  it('forbids frames, inline scripts and strangers’ content', async () => {
    const app = await openApp({ users: [] });
    for (const url of ['/', '/nowhere', '/healthz', '/login']) {
      const { headers } = await app.inject({ url, headers: { ...PAGE, host: 'localhost' } });
      const policy = String(headers['content-security-policy']);
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toContain('unsafe');
      expect(headers['x-content-type-options']).toBe('nosniff');
      expect(headers['cache-control']).toBe('no-store');
    }
    await app.close();
  });

  it('is in the language that was chosen, else in that of the browser', async () => {
    const app = await openApp({ users: [] });
    const ask = (headers: Record<string, string>) =>
      app.inject({ url: '/', headers: { ...PAGE, host: 'localhost', ...headers } });
    expect((await ask({})).body).toContain('lang="en"');
    const chinese = await ask({ 'accept-language': 'fr;q=0.9, zh-CN;q=0.8, en;q=0.5' });
    expect(chinese.body).toContain('lang="zh-CN"');
    const chosen = await app.inject({
      method: 'POST',
      url: '/language',
      headers: { ...OWN, ...FORM, host: 'localhost', origin: 'http://localhost' },
      payload: 'locale=zh&to=%2F',
    });
    const cookie = chosen.cookies.map((one) => `${one.name}=${one.value}`).join('; ');
    expect((await ask({ cookie, 'accept-language': 'en' })).body).toContain('lang="zh-CN"');
    await app.close();
  });

  it('shows a failure as a page to people and as a problem to scripts, never a stack', async () => {
    const app = await openApp({ users: [] });
    const page = await app.inject({ url: '/nowhere', headers: { ...PAGE, host: 'localhost' } });
    expect(page.statusCode).toBe(404);
    expect(page.body).toContain('There is no such page.');
    const problem = await app.inject({ url: '/api/nowhere', headers: { host: 'localhost' } });
    expect(problem.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(problem.json()).toEqual({
      type: 'about:blank',
      title: 'There is no such page.',
      status: 404,
    });
    await app.close();
  });

  it.each(['/%zz', '/feeds/%ff/meters?x=1', '/%'])(
    'is a page also for an address that can not be read: %s',
    async (url) => {
      const app = await openApp({ users: [] });
      const headers = { ...PAGE, host: 'localhost', 'accept-language': 'zh' };
      const page = await app.inject({ url, headers });
      expect(page.statusCode).toBe(404);
      expect(page.body).toContain('没有这个页面');
      expect(page.headers['content-security-policy']).toContain("default-src 'none'");
      await app.close();
    },
  );

  it('comes in time, or Postgres ends what takes long and the answer says so', async () => {
    const pool = openPool(h.databaseUrl, {
      max: 2,
      name: 'vcc-sync test',
      settings: { statement_timeout: '50' },
    });
    const app = await openApp({ users: [], db: openDatabase(pool) });
    const holder = await h.store.pool.connect();
    try {
      await holder.query('begin; lock table vcc.run, vcc.reject in access exclusive mode');
      const page = await app.inject({ url: '/', headers: { ...PAGE, host: 'localhost' } });
      expect(page.statusCode).toBe(503);
      expect(page.body).toContain('The database did not answer in time');
      const script = await app.inject({ url: '/api/runs', headers: { host: 'localhost' } });
      expect(script.headers['content-type']).toMatch(/^application\/problem\+json/);
      expect(script.json().title).toContain('did not answer in time');
    } finally {
      await holder.query('rollback');
      holder.release();
      await app.close();
      await pool.end();
    }
    const { rows } = await sql<{ limit: string }>`select current_setting('statement_timeout')
      as limit`.execute(h.store.looks);
    expect(rows).toEqual([{ limit: '10s' }]);
  });
});

describe('a failure that nobody has foreseen', () => {
  it('is logged by its kind and place, and shown without either', async () => {
    const app = await openApp({ users: [] });
    app.get('/broken', () => {
      throw new TypeError('said of 13812345678');
    });
    const page = await app.inject({ url: '/broken', headers: { ...PAGE, host: 'localhost' } });
    expect(page.statusCode).toBe(503);
    expect(page.body).not.toMatch(/TypeError|13812345678/);
    const line = h.log.lines.findLast(({ message }) => message === 'a page could not be shown');
    expect(line?.facts).toMatchObject({ route: '/broken', name: 'TypeError' });
    expect(JSON.stringify(line?.facts)).toContain('at ');
    expect(JSON.stringify(line?.facts)).not.toContain('13812345678');
    expect(page.body).toContain('INTERNAL');
    await app.close();
  });
});

describe('readiness', () => {
  it('is looked for once for all who ask at the same time', async () => {
    let pings = 0;
    const backend = openBackend({
      redisUrl: null,
      databaseUrl: h.databaseUrl,
      namespace: 'test',
      onError: () => {},
    });
    const ping = () => {
      pings += 1;
      return backend.ping();
    };
    const counted = { ...backend, ping };
    const app = await openApp({ backend: counted });
    const ask = () => app.inject({ url: '/readyz', headers: { host: HOST } });
    const answers = await Promise.all(Array.from({ length: 20 }, ask));
    expect(answers.map(({ statusCode }) => statusCode)).toEqual(answers.map(() => 200));
    expect(pings).toBe(1);
    await app.close();
    await backend.close();
  });
});

describe('what is public', () => {
  it('is a setting of its own', async () => {
    const app = await openApp();
    expect((await app.inject({ url: '/healthz', headers: { host: HOST } })).statusCode).toBe(200);
    const closed = await openApp({ open: [] });
    expect((await closed.inject({ url: '/healthz', headers: { host: HOST } })).statusCode).toBe(
      401,
    );
    await Promise.all([app.close(), closed.close()]);
  });
});

it('an entry of WEB_USERS that a slip has spoilt is none', () => {
  for (const text of ['', 'olga', 'olga:boss:scrypt:32768:8:1:AAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAA']) {
    expect(parseUser(text)).toBeNull();
  }
  expect(
    parseUser('olga:viewer:scrypt:1073741824:8:1:AAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAA'),
  ).toBeNull();
});

describe('scripts', () => {
  const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

  it('that ask many times at once with the right password are all let in', async () => {
    const app = await openApp();
    const headers = { host: HOST, authorization: basic('vera:battery staple') };
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => app.inject({ url: '/', headers })),
    );
    expect(new Set(answers.map(({ statusCode }) => statusCode))).toEqual(new Set([200]));
    await app.close();
  });

  it('that guess are told that they are throttled', async () => {
    const app = await openApp();
    const codes: number[] = [];
    for (let count = 0; count < 11; count += 1) {
      const headers = { host: HOST, authorization: basic(`vera:guess ${count}`) };
      codes.push((await app.inject({ url: '/', headers })).statusCode);
    }
    expect(codes.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => 401));
    expect(codes[10]).toBe(429);
    await app.close();
  });

  it('that send something else than a log-in are told what is wrong with it', async () => {
    const app = await openApp();
    for (const url of ['/login', '/language']) {
      const answer = await app.inject({
        method: 'POST',
        url,
        headers: { host: HOST },
        payload: {},
      });
      expect(answer.statusCode).toBe(422);
      expect(answer.json()).toMatchObject({ status: 422 });
    }
    await app.close();
  });
});
