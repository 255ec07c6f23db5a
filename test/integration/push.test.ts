import type { FastifyInstance } from 'fastify';
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/core/china-time.ts';
import { InterruptedError } from '../../src/core/errors.ts';
import { formatSeq } from '../../src/core/seq.ts';
import { sign } from '../../src/core/sign.ts';
import { openKeeping } from '../../src/store/keeping.ts';
import { addMissingOrgs, addOrg, pauseFeeds, setOrgEnabled } from '../../src/store/orgs.ts';
import { openDatabase, openPool } from '../../src/store/pool.ts';
import { recordRequests } from '../../src/store/requests.ts';
import { Store } from '../../src/store/store.ts';
import { catchUp } from '../../src/sync/catch-up.ts';
import { keepTick } from '../../src/sync/keep.ts';
import { openEventMetrics } from '../../src/web/event-metrics.ts';
import { buildApp, type WebSettings } from '../../src/web/server.ts';
import { eventually } from '../support/eventually.ts';
import { BASE_KEY, type Harness, openHarness } from '../support/sync-harness.ts';
import { testUser } from '../support/users.ts';
import { WEB_SETTINGS } from '../support/web-settings.ts';

const SECRET = 'push secret of ours';
const SETTLE = 30 * SECOND;
const ORGS = ['NJ0101', 'WJ0105'];

let h: Harness;
let counter = 0;
const apps: FastifyInstance[] = [];

beforeAll(async () => {
  h = await openHarness({ world: { orgs: ORGS.map((code) => ({ code, name: code })) } });
  await h.addOrgs(ORGS);
});
afterAll(() => h.close());
beforeEach(async () => {
  // Every feed is caught up and sleeps until its next slot.
  await h.query('truncate vcc.push_notice');
  await h.query(
    `update vcc.feed set next_due_at = $1, notified_at = null, consecutive_failures = 0`,
    [new Date(h.now + HOUR)],
  );
});
afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
});

const LOCAL = { host: '127.0.0.1' };

async function open(settings: Partial<WebSettings> = {}, db = h.store.db, noticeDb = db) {
  const events = openEventMetrics();
  const app = await buildApp({
    world: h.sync,
    db,
    noticeDb,
    backend: () => null,
    noticed: events.noticed,
    settings: { ...WEB_SETTINGS, PUSH_ENABLED: true, PUSH_SECRET: SECRET, ...settings },
  });
  apps.push(app);
  return { app, metrics: () => events.registry.metrics() };
}

interface Sending {
  readonly code?: string;
  /** At which interface it is sent. */
  readonly to?: string;
  readonly orgCode?: string;
  readonly at?: number;
  readonly seq?: string;
  readonly secret?: string;
  readonly body?: string;
  readonly headers?: Record<string, string>;
  /** Alters the query once it is signed. */
  readonly alter?: (query: URLSearchParams) => void;
}

function send(app: FastifyInstance, sending: Sending = {}) {
  const { code = '7003', to = code, orgCode, at = h.now, secret = SECRET, body } = sending;
  counter += 1;
  const parameters = {
    seq: sending.seq ?? formatSeq(code, at, counter),
    ...(orgCode && { orgCode }),
  };
  const query = new URLSearchParams({ ...parameters, sign: sign(parameters, secret, body) });
  sending.alter?.(query);
  return app.inject({
    method: 'POST',
    url: `/hooks/vcc/${to}?${query}`,
    headers: { ...LOCAL, ...sending.headers },
    ...(body !== undefined && { payload: body }),
  });
}

/** The feeds that a notice has woken, and when each is due. */
async function woken(): Promise<Record<string, number>> {
  const rows = await h.query<{ org_code: string; dataset: string; next_due_at: Date }>(
    `select org_code, dataset, next_due_at from vcc.feed where next_due_at < $1 order by 1, 2`,
    [new Date(h.now + HOUR)],
  );
  return Object.fromEntries(
    rows.map((row) => [`${row.org_code} ${row.dataset}`, row.next_due_at.getTime() - h.now]),
  );
}

const turn = (trigger: 'schedule' | 'cli' = 'schedule') =>
  catchUp(
    h.sync,
    { dataset: 'subscribers', orgCode: 'WJ0105' },
    { trigger },
    new AbortController().signal,
  );

const pushRuns = async () =>
  (await h.query<{ count: number }>(`select count(*) from vcc.run where trigger = 'push'`))[0]!
    .count;

describe('a genuine notice', () => {
  it('makes the feed it names due as soon as a window can hold the change', async () => {
    const { app } = await open();
    const answer = await send(app, { orgCode: 'WJ0105' });
    expect([answer.statusCode, answer.json()]).toEqual([
      200,
      { resultCode: '0', resultMsg: 'accepted' },
    ]);
    expect(await woken()).toEqual({ 'WJ0105 subscribers': SETTLE });
  });

  it('makes all feeds of the dataset due where it names no organisation', async () => {
    const { app } = await open();
    for (const [code, dataset] of [
      ['7001', 'addresses'],
      ['7002', 'supply_points'],
      ['7003', 'subscribers'],
      ['7004', 'meters'],
    ] as const) {
      expect((await send(app, { code })).statusCode).toBe(200);
      expect(await woken()).toMatchObject({
        [`NJ0101 ${dataset}`]: SETTLE,
        [`WJ0105 ${dataset}`]: SETTLE,
      });
    }
    expect(Object.keys(await woken())).toHaveLength(8);
  });

  it('may name the organisation in a JSON body, which is signed with it', async () => {
    const { app } = await open();
    const body = '{"orgCode": "NJ0101", "名": [1.10]}';
    const headers = { 'content-type': 'application/json' };
    expect((await send(app, { body, headers })).statusCode).toBe(200);
    expect(await woken()).toEqual({ 'NJ0101 subscribers': SETTLE });
    expect((await send(app, { body: 'orgCode=NJ0101' })).statusCode).toBe(200);
  });

  it('is taken whatever its body says it is, or whether that can be read at all', async () => {
    const { app } = await open();
    for (const type of ['application/json', 'text/plain; charset=gbk', 'json', ';', '']) {
      const body = '{"orgCode":"WJ0105"}';
      const answer = await send(app, { body, headers: { 'content-type': type } });
      expect([type, answer.statusCode]).toEqual([type, 200]);
    }
    expect(await woken()).toEqual({ 'WJ0105 subscribers': SETTLE });
  });

  it('about work orders, or an organisation that is not ours, is taken and wakes nothing', async () => {
    const { app, metrics } = await open();
    expect((await send(app, { code: '7005' })).statusCode).toBe(200);
    expect((await send(app, { orgCode: 'XX9999' })).statusCode).toBe(200);
    expect(await woken()).toEqual({});
    expect(await metrics()).toContain(
      'vcc_sync_push_notices_total{interface="7005",outcome="ignored"} 1',
    );
  });

  it('is signed with the base key where no secret is set', async () => {
    const { app } = await open({ PUSH_SECRET: null });
    expect((await send(app)).statusCode).toBe(401);
    expect((await send(app, { secret: BASE_KEY })).statusCode).toBe(200);
  });

  it('needs no log-in, no origin and no host name of ours', async () => {
    for (const users of [[], [testUser('olga', 'operator', 'correct horse')]]) {
      const { app } = await open({ WEB_USERS: users });
      const headers = {
        host: 'vcc.example',
        origin: 'https://elsewhere.example',
        'sec-fetch-site': 'cross-site',
        cookie: 'vcc_sync_session=x',
        authorization: `Basic ${Buffer.from('olga:wrong').toString('base64')}`,
      };
      expect((await send(app, { headers })).statusCode).toBe(200);
      const other = await app.inject({ method: 'POST', url: '/api/resync', headers });
      expect(other.statusCode).toBeGreaterThanOrEqual(400);
    }
  });

  it('leaves a failing feed its distance', async () => {
    await h.query('update vcc.feed set consecutive_failures = 3');
    const { app } = await open();
    expect((await send(app)).statusCode).toBe(200);
    expect(await woken()).toEqual({});
  });
});

describe('a notice that is refused wakes nothing:', () => {
  it.each([
    ['forged with another secret', { secret: 'guess' }, 401],
    ['without a sign', { alter: (query: URLSearchParams) => query.delete('sign') }, 401],
    ['with an empty sign', { alter: (query: URLSearchParams) => query.set('sign', '') }, 401],
    ['with a longer sign', { alter: (query: URLSearchParams) => query.append('sign', 'A') }, 400],
    [
      'turned to another organisation',
      { orgCode: 'WJ0105', alter: (query: URLSearchParams) => query.set('orgCode', 'NJ0101') },
      401,
    ],
    [
      'without its organisation',
      { orgCode: 'WJ0105', alter: (query: URLSearchParams) => query.delete('orgCode') },
      401,
    ],
    [
      'with an organisation twice',
      { orgCode: 'WJ0105', alter: (query: URLSearchParams) => query.append('orgCode', 'WJ0105') },
      400,
    ],
    ['with a parameter more', { alter: (query: URLSearchParams) => query.set('x', '1') }, 401],
    ['with a seq that is none', { seq: '7' }, 400],
    ['with the seq of another interface', { code: '7001', to: '7003' }, 400],
    ['about what is no organisation', { orgCode: "x' or 1=1" }, 400],
    ['from long ago', { at: Date.UTC(2020, 0) }, 409],
  ] as [string, Sending, number][])('one %s', async (_, sending, status) => {
    const { app } = await open();
    const answer = await send(app, sending);
    expect(answer.statusCode).toBe(status);
    expect(answer.json().resultCode).toBe(String(status));
    expect(await woken()).toEqual({});
    expect(await h.query('select from vcc.push_notice')).toEqual([]);
  });

  it('one with a body that is not the signed one', async () => {
    const { app } = await open();
    const parameters = { seq: formatSeq('7003', h.now, 1) };
    const query = new URLSearchParams({ ...parameters, sign: sign(parameters, SECRET, '{}') });
    const url = `/hooks/vcc/7003?${query}`;
    const payload = '{"orgCode":"WJ0105"}';
    expect((await app.inject({ method: 'POST', url, payload })).statusCode).toBe(401);
    expect((await app.inject({ method: 'POST', url, payload: '{}' })).statusCode).toBe(200);
  });

  it('a forged one is told the same as an unsigned one', async () => {
    const { app } = await open();
    const forged = await send(app, { secret: 'guess' });
    const unsigned = await send(app, { alter: (query) => query.delete('sign') });
    expect(forged.body).toBe(unsigned.body);
  });

  it('one whose time lies more than 15 minutes from the platform’s', async () => {
    const { app } = await open();
    for (const [off, status] of [
      [15 * MINUTE, 200],
      [15 * MINUTE + SECOND, 409],
    ] as const) {
      for (const at of [h.now - off, h.now + off]) {
        expect((await send(app, { at })).statusCode).toBe(status);
      }
    }
  });

  it('one whose body is too large', async () => {
    const { app } = await open();
    const headers = { 'content-type': 'text/plain' };
    expect((await send(app, { body: 'x'.repeat(16_384), headers })).statusCode).toBe(200);
    expect((await send(app, { body: 'x'.repeat(16_385), headers })).statusCode).toBe(413);
  });

  it('one at an interface that is not of the document, or where notices are turned off', async () => {
    const { app } = await open();
    expect((await send(app, { code: '7006' })).statusCode).toBe(404);
    expect((await app.inject({ url: '/hooks/vcc/7003' })).statusCode).toBe(404);
    const { app: off } = await open({ PUSH_ENABLED: false });
    expect((await send(off)).statusCode).toBe(404);
    expect(await woken()).toEqual({});
  });

  it('is said in the log once a minute, without any of its content', async () => {
    const { app, metrics } = await open();
    h.log.lines.length = 0;
    for (let turn = 0; turn < 5; turn += 1) await send(app, { secret: 'guess', orgCode: 'WJ0105' });
    expect(h.log.lines).toEqual([
      { message: 'push notice refused', facts: { interface: '7003', outcome: 'forged' } },
    ]);
    expect(await metrics()).toContain(
      'vcc_sync_push_notices_total{interface="7003",outcome="forged"} 5',
    );
  });
});

describe('a replayed notice', () => {
  it('is refused by every process, at every address, and after a restart', async () => {
    const { app } = await open();
    const seq = formatSeq('1001', h.now, 5);
    expect((await send(app, { seq })).statusCode).toBe(200);
    const other = new Store(h.databaseUrl, { runs: 1 });
    try {
      const { app: restarted } = await open({}, other.db);
      for (const sending of [{ seq }, { seq, code: '7001' }, { seq, orgCode: 'WJ0105' }]) {
        expect((await send(app, sending)).statusCode).toBe(409);
        expect((await send(restarted, sending)).statusCode).toBe(409);
      }
    } finally {
      await other.close();
    }
    expect(Object.keys(await woken())).toEqual(['NJ0101 subscribers', 'WJ0105 subscribers']);
  });

  it('is taken once, though it comes twenty times at once', async () => {
    const { app } = await open();
    const seq = formatSeq('7003', h.now, 6);
    const answers = await Promise.all(Array.from({ length: 20 }, () => send(app, { seq })));
    expect(answers.filter(({ statusCode }) => statusCode === 200)).toHaveLength(1);
    expect(answers.filter(({ statusCode }) => statusCode === 409)).toHaveLength(19);
  });

  it('is remembered for a day, long after its time has passed', async () => {
    const { app } = await open();
    await send(app);
    await send(app);
    await h.query(`update vcc.push_notice set received_at = now() - interval '25 hours'
      where seq = (select min(seq) from vcc.push_notice)`);
    const keep = {
      keeping: openKeeping(h.store.db),
      settings: { runRetention: 180 * DAY, rejectRetention: 30 * DAY },
      log: h.log,
    };
    expect(await keepTick(keep)).toMatchObject({ runs: 0, lines: 0, notices: 1 });
    expect(await keepTick(keep)).toMatchObject({ runs: 0, lines: 0, notices: 0 });
    expect(await h.query('select from vcc.push_notice')).toHaveLength(1);
  });
});

describe('notices at once, and what people ask for meanwhile', () => {
  const MANY = Array.from({ length: 30 }, (_, at) => `ZZ${String(100 + at)}`);

  it('wait for one another in one order, so that none is given up', async () => {
    await addMissingOrgs(h.store.db, MANY);
    const feedIds = (
      await h.query<{ id: number }>(
        `select id from vcc.feed where dataset = 'subscribers' order by id desc`,
      )
    ).map(({ id }) => id);
    const settings = { deadlock_timeout: '20ms' };
    const pool = openPool(h.databaseUrl, { max: 8, name: 'test', settings });
    const db = openDatabase(pool);
    try {
      const { app } = await open({}, db);
      const requests = {
        during: { from: h.now - HOUR, to: h.now },
        force: false,
        maxRejects: null,
        reason: null,
        requestedBy: 'test',
      };
      const isTaken = async () => (await send(app)).statusCode === 200;
      const work = Array.from({ length: 60 }, (_, turn) => {
        if (turn % 5 === 1) return recordRequests(db, { ...requests, feedIds });
        if (turn % 5 === 2) return pauseFeeds(db, feedIds, false);
        if (turn % 5 === 3) return addOrg(db, { orgCode: MANY[turn % 7]!, every: HOUR });
        if (turn % 15 === 4) return setOrgEnabled(db, MANY[turn % 7]!, true);
        return isTaken();
      });
      const failures = (await Promise.allSettled(work)).flatMap((one) =>
        one.status === 'rejected' ? String(one.reason) : one.value === false ? 'refused' : [],
      );
      expect(failures).toEqual([]);
    } finally {
      await pool.end();
      await h.query(`delete from vcc.request where requested_by = 'test'`);
      await h.query(`delete from vcc.feed where org_code like 'ZZ%'`);
      await h.query(`delete from vcc.org where org_code like 'ZZ%'`);
    }
  });

  it('have connections apart from the pages: neither holds the other up', async () => {
    const { app } = await open({}, h.store.looks, h.store.notices);
    const holder = await h.store.pool.connect();
    await holder.query('select pg_advisory_lock(4711)');
    // All connections of the pages wait for what is given back only once the notice has been answered.
    const pages = Array.from({ length: 4 }, () =>
      sql`select pg_advisory_xact_lock_shared(4711)`.execute(h.store.looks),
    );
    try {
      await eventually(async () => {
        const waits = await h.query(
          `select from pg_locks join pg_database d on d.oid = database and datname = current_database()
            where locktype = 'advisory' and objid = 4711 and not granted`,
        );
        expect(waits).toHaveLength(4);
      });
      expect((await send(app)).statusCode).toBe(200);
    } finally {
      await holder.query('select pg_advisory_unlock(4711)');
      holder.release();
    }
    await Promise.all(pages);

    const burst = await h.store.db.transaction().execute(async (trx) => {
      await sql`select from vcc.feed for update`.execute(trx);
      const sent = Array.from({ length: 20 }, () => send(app));
      expect((await app.inject({ url: '/api/feeds', headers: LOCAL })).statusCode).toBe(200);
      expect(await h.query('select from vcc.push_notice')).toHaveLength(1);
      return sent;
    });
    const answers = await Promise.all(burst);
    expect(answers.every(({ statusCode }) => statusCode === 200)).toBe(true);
  });
});

describe('a burst of notices', () => {
  it('comes to one run, which loads what has changed and is recorded as pushed', async () => {
    await h.run('subscribers', 'WJ0105');
    const before = await pushRuns();
    const { app } = await open();
    h.world.put('subscribers', 'WJ0105', { subscriber_code: 'P1', name: '推' }, h.now);
    const answers = await Promise.all(
      Array.from({ length: 40 }, () => send(app, { orgCode: 'WJ0105' })),
    );
    expect(answers.every(({ statusCode }) => statusCode === 200)).toBe(true);
    expect(await turn()).toBe('not-due');
    h.now += SETTLE + SECOND;
    expect(await turn()).toBe('caught-up');
    expect(await turn()).toBe('not-due');
    expect(await pushRuns()).toBe(before + 1);
    const rows = await h.query(`select from vcc.subscriber where subscriber_code = 'P1'`);
    expect(rows).toHaveLength(1);
  });

  it('that goes on comes to one run each settle time, and none is lost', async () => {
    await h.run('subscribers', 'WJ0105');
    const before = await pushRuns();
    const { app } = await open();
    const start = h.now;
    while (h.now < start + 5 * MINUTE) {
      expect((await send(app, { orgCode: 'WJ0105' })).statusCode).toBe(200);
      h.now += 5 * SECOND;
      await turn();
    }
    const last = h.now;
    h.now += SETTLE + SECOND;
    await turn();
    const runs = (await pushRuns()) - before;
    expect(runs).toBeGreaterThanOrEqual(8);
    expect(runs).toBeLessThanOrEqual(11);
    const [covered] = await h.query<{ to: Date }>(
      `select upper(coverage) as to from vcc.feed where org_code = 'WJ0105' and dataset = 'subscribers'`,
    );
    expect(covered!.to.getTime()).toBeGreaterThanOrEqual(last - 5 * SECOND);
  });

  it('that comes while the feed is loaded makes it due again when that is done', async () => {
    await h.run('subscribers', 'WJ0105');
    const { app } = await open();
    h.now += HOUR;
    let sent: Promise<unknown> | undefined;
    h.interfere = (_request, _response, { record }) => {
      if (record.dataset === 'subscribers') sent = send(app, { orgCode: 'WJ0105' }).then();
      return false;
    };
    await h.query(`update vcc.feed set next_due_at = $1`, [new Date(h.now)]);
    const held = h.interfere;
    h.interfere = async (...call) => {
      const taken = await held(...call);
      await sent;
      return taken;
    };
    expect(await turn()).toBe('caught-up');
    h.interfere = null;
    await h.query(
      `update vcc.feed set next_due_at = $1 where org_code <> 'WJ0105' or dataset <> 'subscribers'`,
      [new Date(h.now + HOUR)],
    );
    expect(await woken()).toEqual({ 'WJ0105 subscribers': SETTLE });
  });

  it('is recorded as what a person asked for, where a person did', async () => {
    await h.run('subscribers', 'WJ0105');
    const before = await pushRuns();
    const { app } = await open();
    await send(app, { orgCode: 'WJ0105' });
    h.now += SETTLE + SECOND;
    await turn('cli');
    expect(await pushRuns()).toBe(before);
  });

  it('costs nothing where the run is interrupted: the feed stays due', async () => {
    await h.run('subscribers', 'WJ0105');
    const { app } = await open();
    await send(app, { orgCode: 'WJ0105' });
    h.now += SETTLE + SECOND;
    const feed = { dataset: 'subscribers', orgCode: 'WJ0105' } as const;
    const stopped = AbortSignal.abort();
    await expect(catchUp(h.sync, feed, { trigger: 'schedule' }, stopped)).rejects.toThrow(
      InterruptedError,
    );
    expect(await turn()).toBe('caught-up');
  });
});
