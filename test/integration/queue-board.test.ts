import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DAY, HOUR } from '../../src/core/china-time.ts';
import { openBackend, type QueueBackend } from '../../src/queue/backend.ts';
import { PLAN_QUEUE, SYNC_QUEUE, type SyncJob, syncJobOptions } from '../../src/queue/sync-job.ts';
import { startWorker } from '../../src/queue/worker.ts';
import { catchUp } from '../../src/sync/catch-up.ts';
import { buildApp } from '../../src/web/server.ts';
import { eventually } from '../support/eventually.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { useRedis } from '../support/redis.ts';
import { type Harness, openHarness } from '../support/sync-harness.ts';
import { testUser } from '../support/users.ts';
import { webRoutes } from '../support/web-paths.ts';
import { WEB_SETTINGS } from '../support/web-settings.ts';

const redis = useRedis();

/** What Bull Board can write. A new version's new route belongs here once it has been judged. */
const WRITES = {
  done: [
    'POST /queues/api/queues/:queueName/add',
    'PUT /queues/api/queues/:queueName/:jobId/clean',
    'PUT /queues/api/queues/:queueName/:jobId/promote',
    'PUT /queues/api/queues/:queueName/:jobId/retry',
    'PUT /queues/api/queues/:queueName/clean/:queueStatus',
    'PUT /queues/api/queues/:queueName/promote',
    'PUT /queues/api/queues/:queueName/resume',
    'PUT /queues/api/queues/:queueName/retry/:queueStatus',
    'PUT /queues/api/queues/resume',
  ],
  refused: [
    'PATCH /queues/api/queues/:queueName/:jobId/delay',
    'PATCH /queues/api/queues/:queueName/:jobId/priority',
    'PATCH /queues/api/queues/:queueName/:jobId/update-data',
    'PATCH /queues/api/queues/:queueName/job-schedulers/:schedulerId',
    'PUT /queues/api/queues/:queueName/:jobId/remove-unprocessed-children',
    'PUT /queues/api/queues/:queueName/concurrency',
    'PUT /queues/api/queues/:queueName/empty',
    'PUT /queues/api/queues/:queueName/job-schedulers/:schedulerId/remove',
    'PUT /queues/api/queues/:queueName/job-schedulers/:schedulerId/run',
    'PUT /queues/api/queues/:queueName/obliterate',
    'PUT /queues/api/queues/:queueName/pause',
    'PUT /queues/api/queues/:queueName/rate-limit',
    'PUT /queues/api/queues/:queueName/rate-limit/release',
    'PUT /queues/api/queues/pause',
  ],
} as const;

const HOST = 'vcc.example';
const PASSWORDS = { olga: 'correct horse', vera: 'battery staple' } as const;
const FEED: SyncJob = { dataset: 'meters', orgCode: 'WJ0105' };

const USERS = [
  testUser('olga', 'operator', PASSWORDS.olga),
  testUser('vera', 'viewer', PASSWORDS.vera),
];

function suite(kind: 'redis' | 'postgres') {
  let h: Harness;
  let backend: QueueBackend | null;
  let app: FastifyInstance;
  let stops: (() => Promise<unknown>)[];

  beforeEach(async () => {
    h = await openHarness();
    await h.addOrgs(['WJ0105']);
    const opened = openBackend({
      redisUrl: kind === 'redis' ? redis.url : null,
      databaseUrl: h.databaseUrl,
      namespace: await h.store.databaseName(),
      onError: () => {},
    });
    backend = opened;
    app = await buildApp({
      world: h.sync,
      db: h.store.db,
      backend: () => backend,
      settings: { ...WEB_SETTINGS, WEB_USERS: USERS },
    });
    stops = [() => h.close(), () => opened.close(), () => app.close()];
  });

  afterEach(async () => {
    for (const stop of stops.reverse()) await stop();
  });

  function openQueue() {
    const queue = backend!.queue<SyncJob>(SYNC_QUEUE);
    stops.push(() => queue.close());
    return queue;
  }

  interface Ask {
    readonly as?: keyof typeof PASSWORDS;
    readonly body?: object;
    readonly headers?: Record<string, string>;
  }

  async function ask(route: string, { as = 'olga', body, headers = {} }: Ask = {}) {
    const [method, url] = route.split(' ') as ['GET', string];
    const basic = Buffer.from(`${as}:${PASSWORDS[as]}`).toString('base64');
    const all = { host: HOST, authorization: `Basic ${basic}`, ...headers };
    return app.inject({ method, url, headers: all, ...(body && { payload: body }) });
  }

  const add = (data: unknown, over: object = {}, headers: Record<string, string> = {}) =>
    ask('POST /queues/api/queues/sync/add', {
      body: { name: 'whatever', data, options: {}, ...over },
      headers,
    });

  const requests = () =>
    h.query(
      `select dataset, org_code, kind, during::text, force, reason, requested_by
         from vcc.request join vcc.feed on feed.id = feed_id order by request.id`,
    );

  const waiting = async () => {
    const jobs = await openQueue().getWaiting();
    return jobs.map(({ name, data }) => ({ name, data }));
  };

  it('is shown to those who have logged in, and to nobody else', async () => {
    const paths = ['/queues', '/queues/', '/queues/queue/sync', '/queues/api/queues'];
    for (const url of paths) {
      const person = await app.inject({ url, headers: { host: HOST, accept: 'text/html' } });
      expect(person.headers.location).toBe(`/login?to=${encodeURIComponent(url)}`);
      const script = await app.inject({ url, headers: { host: HOST, accept: '*/*' } });
      expect(script.statusCode).toBe(401);
      expect((await ask(`GET ${url}`, { as: 'vera' })).statusCode).toBe(200);
    }
    const [, file] = /src="(static\/js\/main[^"]+)"/.exec((await ask('GET /queues')).body)!;
    const url = `/queues/${file}`;
    expect((await app.inject({ url, headers: { host: HOST } })).statusCode).toBe(401);
    expect((await ask(`GET ${url}`)).statusCode).toBe(200);
  });

  it('is in the viewer’s language', async () => {
    const read = async (language: string) => {
      const headers = { 'accept-language': language };
      const { body } = await ask('GET /queues', { headers });
      const { body: queues } = await ask('GET /queues/api/queues', { headers });
      const config = JSON.parse(/application\/json">(.*?)<\/script>/s.exec(body)![1]!);
      return { lang: /<html lang="(.*?)"/.exec(body)![1], config, queues };
    };
    const [english, chinese] = [await read('en'), await read('zh-CN,zh;q=0.9')];
    expect(english).toMatchObject({ lang: 'en', config: { locale: { lng: 'en-US' } } });
    expect(english.config.miscLinks).toEqual([{ text: 'Back to the overview', url: '/' }]);
    expect(chinese).toMatchObject({ lang: 'zh-CN', config: { locale: { lng: 'zh-CN' } } });
    expect(chinese.config.miscLinks).toEqual([{ text: '返回总览', url: '/' }]);
    expect(chinese.queues).toContain('每个作业唤醒一个数据源');
    const refusal = await ask('PUT /queues/api/queues/sync/empty', {
      headers: { 'accept-language': 'zh' },
    });
    expect(refusal.json().error).toBe('此处不执行该操作。');
  });

  it('runs no script inline, asks no stranger for anything, and shows nothing of the store', async () => {
    const page = await ask('GET /queues');
    const policy = String(page.headers['content-security-policy']);
    expect(policy).toContain("script-src 'self';");
    expect(policy).toContain("default-src 'none'");
    expect(policy.match(/[\w-]+ [^;]*unsafe[^;]*/g)).toEqual(["style-src 'self' 'unsafe-inline'"]);
    const inline = page.body.match(/<script(?![^>]*\bsrc=)[^>]*>/g);
    expect(inline).toEqual(['<script id="__UI_CONFIG__" type="application/json">']);
    expect(page.body).not.toMatch(/https?:|<style|style=/);
    const other = await ask('GET /queues/api/queues');
    expect(String(other.headers['content-security-policy'])).not.toContain('unsafe');
    expect((await ask('GET /queues/api/redis/stats')).statusCode).toBe(403);
  });

  it('says that the queue is still waited for or does not answer, and shows it once it is there', async () => {
    const later = backend;
    backend = null;
    const page = await ask('GET /queues', { headers: { accept: 'text/html' } });
    expect(page.statusCode).toBe(503);
    expect(page.body).toContain('The queue is still waited for');
    const api = await add({ ...FEED });
    expect(api.statusCode).toBe(503);
    expect(api.json().message).toContain('still waited for');
    backend = { ...later!, ping: () => new Promise(() => {}) };
    expect((await ask('GET /queues/api/queues')).statusCode).toBe(503);
    backend = later;
    expect((await ask('GET /queues')).statusCode).toBe(200);
  });

  it('makes an added interval a request, and wakes the feed as the planner does', async () => {
    const data = { ...FEED, from: '2026-10-18', to: '20261019120000', reason: 'by the board' };
    const options = { attempts: 50, repeat: { every: 1000 }, delay: 60_000, jobId: 'mine' };
    const answer = await add(data, { options });
    expect(answer.statusCode, answer.body).toBe(200);
    expect(await requests()).toEqual([
      {
        dataset: 'meters',
        org_code: 'WJ0105',
        kind: 'resync',
        during: '["2026-10-17 16:00:00+00","2026-10-19 04:00:00+00")',
        force: false,
        reason: 'by the board',
        requested_by: 'web:olga',
      },
    ]);
    expect(await waiting()).toEqual([{ name: 'sync', data: FEED }]);
    const queue = openQueue();
    const [job] = await queue.getWaiting();
    expect(job!.opts).toMatchObject({ attempts: 1 });
    expect(job!.id).not.toBe('mine');
    expect(await queue.getJobSchedulersCount()).toBe(0);
    // The planner's own job is the same one.
    await queue.add('sync', FEED, syncJobOptions(FEED));
    expect(await queue.getWaitingCount()).toBe(1);
  });

  // On Postgres the queue goes away only with the record itself.
  if (kind === 'redis') {
    it('says what is on record when the queue goes away before the job is added', async () => {
      const { hostname: host, port } = new URL(redis.url);
      const proxy = await startFaultProxy({ target: { host, port: Number(port || 6379) } });
      const through = openBackend({
        redisUrl: proxy.url(redis.url),
        databaseUrl: h.databaseUrl,
        namespace: await h.store.databaseName(),
        onError: () => {},
      });
      stops.push(
        () => proxy.close(),
        () => through.close(),
      );
      backend = through;
      expect((await ask('GET /queues/api/queues')).statusCode).toBe(200);
      const holder = await h.store.pool.connect();
      await holder.query('begin; lock table vcc.request in access exclusive mode');
      const adding = add({ ...FEED, from: '2026-10-18', to: '2026-10-19' });
      await eventually(async () => {
        const waits = await h.query(`select from pg_locks where not granted
          and relation = 'vcc.request'::regclass`);
        expect(waits.length).toBe(1);
      });
      proxy.blackHole(true);
      await holder.query('rollback');
      holder.release();
      const answer = await adding;
      expect(answer.statusCode).toBe(503);
      const [request] = await h.query<{ id: number }>('select id from vcc.request');
      expect(answer.json().message).toContain(`Request ${request!.id} is recorded`);
      // What was recorded is carried out without a job of its own: the planner finds the feed due.
      expect(await h.sync.feeds.due(h.now, 10)).toContainEqual(FEED);
    });
  }

  it('reads a page of jobs, however many are asked for', async () => {
    const read = async (query: string) => {
      const answer = await ask(`GET /queues/api/queues?activeQueue=sync&status=waiting&${query}`);
      return answer.json().queues[0].pagination.range;
    };
    expect(await read('page=1&jobsPerPage=1000000')).toEqual({ start: 0, end: 99 });
    expect(await read('page=3&jobsPerPage=20')).toEqual({ start: 40, end: 59 });
  });

  it('synchronises now, due or not, when no interval is given', async () => {
    await h.run('meters', 'WJ0105');
    const queue = openQueue();
    await queue.add('sync', FEED, syncJobOptions(FEED));
    // There are changes, but the feed is not due yet: the planner's job would leave them.
    h.world.change(20, h.now + 60_000);
    h.now += 5 * 60_000;
    const answer = await add({ ...FEED, from: '', to: ' ', reason: '' });
    expect(answer.statusCode, answer.body).toBe(200);
    expect(await requests()).toEqual([]);
    const now = { name: 'sync', data: { ...FEED, regardless: true } };
    expect(await waiting()).toEqual(expect.arrayContaining([now]));
    await startWorking();
    await eventually(() => h.expectEqual(['meters']));
  });

  async function startWorking(): Promise<void> {
    const worker = await startWorker({
      backend: backend!,
      concurrency: 1,
      run: (feed, regardless, signal) =>
        catchUp(h.sync, feed, { trigger: 'schedule', regardless }, signal),
    });
    stops.push(() => worker.close(10_000));
  }

  it('refuses data that are wrong, with words, and records and queues nothing', async () => {
    const time = (ago: number) => new Date(h.now - ago).toISOString();
    const during = { from: time(2 * DAY), to: time(DAY) };
    await h.query(`update vcc.feed set paused = true where dataset = 'addresses'`);
    await h.query(`insert into vcc.org (org_code) values ('NJ0001')`);
    const wrong: readonly [data: unknown, words: RegExp, chinese?: RegExp][] = [
      [undefined, /data takes dataset/, /数据只能包含/],
      [null, /data takes dataset/],
      [[FEED], /data takes dataset/],
      ['meters', /data takes dataset/],
      [{ ...FEED, force: true }, /data takes dataset/],
      [{ ...FEED, orgCode: 105 }, /data takes dataset/],
      [{ ...FEED, dataset: 'gas' }, /dataset: there are addresses, supply_points/],
      [{ ...FEED, dataset: '__proto__' }, /dataset: there are/],
      [{ orgCode: 'WJ0105' }, /dataset: there are/],
      [{ dataset: 'meters' }, /orgCode: up to 20/],
      [{ ...FEED, orgCode: "x' or 1=1" }, /orgCode: up to 20/],
      [
        { ...FEED, orgCode: 'XX0000' },
        /^orgCode: Organisation XX0000 is not known.*org list/,
        /^orgCode: 没有机构 XX0000.*org list/,
      ],
      [
        { ...FEED, orgCode: 'XX0000', ...during },
        /Organisation XX0000 is not known/,
        /没有机构 XX0000/,
      ],
      [
        { ...FEED, orgCode: 'NJ0001' },
        /^dataset: There is no feed for meters NJ0001/,
        /没有数据源 meters NJ0001/,
      ],
      [
        { ...FEED, orgCode: 'NJ0001', ...during },
        /no feed for meters NJ0001/,
        /没有数据源 meters NJ0001/,
      ],
      [{ ...FEED, from: during.from }, /from and to go together/],
      [{ ...FEED, to: during.to }, /from and to go together/],
      [
        { ...FEED, ...during, from: 'yesterday' },
        /^from: Give a time such as/,
        /^from: 请填写时间/,
      ],
      [{ ...FEED, ...during, to: '2026-02-30' }, /^to: Give a time such as/, /^to: 请填写时间/],
      [{ ...FEED, from: during.to, to: during.from }, /ends before it begins/, /结束早于开始/],
      [{ ...FEED, from: during.to, to: during.to }, /^to: The interval is empty/, /时间段为空/],
      [
        { ...FEED, from: during.from, to: time(-HOUR) },
        /^to: .*must not reach beyond now/,
        /不得晚于当前时间/,
      ],
      [
        { ...FEED, from: time(90 * DAY), to: during.to },
        /^from: The platform serves nothing from before/,
        /平台不提供/,
      ],
      [
        { ...FEED, from: time(90 * DAY), to: time(80 * DAY) },
        /serves nothing from before/,
        /平台不提供/,
      ],
      [{ ...FEED, reason: 'why not' }, /it is recorded with an interval/],
      [{ ...FEED, ...during, reason: 'x'.repeat(501) }, /up to 500/],
      [{ ...FEED, ...during, reason: 'a\u0000b' }, /up to 500/],
      [{ ...FEED, dataset: 'addresses' }, /paused or disabled/, /已暂停或停用/],
    ];
    for (const [data, words, chinese] of wrong) {
      const answer = await add(data);
      expect(answer.statusCode, JSON.stringify(data)).toBe(422);
      expect(answer.json().message, JSON.stringify(data)).toMatch(words);
      if (!chinese) continue;
      const { message } = (await add(data, {}, { 'accept-language': 'zh' })).json();
      expect(message, JSON.stringify(data)).toMatch(chinese);
    }
    const chinese = await add({ ...FEED, dataset: 'gas' }, {}, { 'accept-language': 'zh' });
    expect(chinese.json().message).toContain('可用的有');
    expect(await requests()).toEqual([]);
    expect(await waiting()).toEqual([]);
  });

  /** A job that a worker has failed. */
  async function failOne() {
    h.simulator.refuse('WJ0105', 'meters');
    const queue = openQueue();
    const job = await queue.add('sync', FEED, syncJobOptions(FEED));
    await startWorking();
    await eventually(async () => expect(await job.getState()).toBe('failed'));
    return { job, queue };
  }

  it('retries one failed job, and all of them, though the feed backs off', async () => {
    const { job } = await failOne();
    const listed = await ask('GET /queues/api/queues?activeQueue=sync&status=failed');
    expect(listed.json().queues[0].jobs[0].failedReason).toMatch(/^PLATFORM_ERROR/);
    const all = await ask('PUT /queues/api/queues/sync/retry/failed');
    expect(all.json()).toEqual({ retried: 1, skipped: 0 });
    await eventually(async () => {
      expect(h.simulator.requests.filter(({ dataset }) => dataset === 'meters').length).toBe(2);
      expect(await job.getState()).toBe('failed');
    });
    h.simulator.allow('WJ0105', 'meters');
    const one = await ask(`PUT /queues/api/queues/sync/${job.id}/retry`);
    expect(one.statusCode, one.body).toBe(204);
    await eventually(() => h.expectEqual(['meters']));
    expect(h.log.lines).toContainEqual({
      message: 'queue changed in the dashboard',
      facts: {
        by: 'web:olga',
        action: 'PUT /api/queues/:queueName/:jobId/retry',
        queue: 'sync',
        job: job.id,
      },
    });
  });

  it('removes what is finished, and nothing else', async () => {
    const { job, queue } = await failOne();
    const other: SyncJob = { ...FEED, dataset: 'addresses' };
    await queue.pause();
    const left = await queue.add('sync', other, syncJobOptions(other));
    for (const status of ['wait', 'active', 'delayed', 'paused', 'prioritized']) {
      const answer = await ask(`PUT /queues/api/queues/sync/clean/${status}`);
      expect(answer.statusCode).toBe(403);
    }
    expect((await ask('PUT /queues/api/queues/sync/retry/completed')).statusCode).toBe(403);
    for (const action of ['clean', 'retry']) {
      const answer = await ask(`PUT /queues/api/queues/sync/${left.id}/${action}`);
      expect(answer.json().message).toMatch(/^Only a job that has completed or failed/);
      expect((await ask(`PUT /queues/api/queues/sync/none/${action}`)).statusCode).toBe(404);
    }
    expect(await left.getState()).toBe('waiting');
    const gone = await ask(`PUT /queues/api/queues/sync/${job.id}/clean`);
    expect(gone.statusCode, gone.body).toBe(204);
    expect(await queue.getFailedCount()).toBe(0);
    for (const status of ['completed', 'failed']) {
      const answer = await ask(`PUT /queues/api/queues/sync/clean/${status}`);
      expect(answer.statusCode, answer.body).toBe(200);
    }
    expect((await ask('PUT /queues/api/queues/sync/promote')).statusCode).toBe(200);
    expect((await ask('PUT /queues/api/queues/sync/resume')).statusCode).toBe(200);
    expect(await queue.isPaused()).toBe(false);
  });

  const fill = (route: string, queue: string, job: string) =>
    route
      .replace(':queueName', queue)
      .replace(':jobId', job)
      .replace(':queueStatus', 'failed')
      .replace(':schedulerId', 'tick');

  it('refuses every write that is not meant to be done here', async () => {
    const queue = openQueue();
    const job = await queue.add('sync', FEED, syncJobOptions(FEED));
    const body = { jobData: {}, force: true, concurrency: 1, max: 1, duration: 1, priority: 1 };
    for (const route of WRITES.refused) {
      const answer = await ask(fill(route, 'sync', job.id!), { body });
      expect(answer.statusCode, route).toBe(403);
      expect(answer.json(), route).toEqual({
        error: 'This is not done here.',
        message: expect.stringMatching(/\w{3}/),
      });
    }
    expect(await waiting()).toEqual([{ name: 'sync', data: FEED }]);
    expect(await queue.isPaused()).toBe(false);
  });

  it('lets nobody touch the planner’s queue', async () => {
    const plan = backend!.queue(PLAN_QUEUE);
    stops.push(() => plan.close());
    await plan.upsertJobScheduler('tick', { every: HOUR }, { name: 'plan' });
    const before = await plan.getJobCounts();
    const routes = [...WRITES.done, ...WRITES.refused].filter((one) => one.includes(':queueName'));
    for (const route of routes) {
      const answer = await ask(fill(route, 'plan', '1'), { body: { data: FEED } });
      expect(answer.statusCode, route).toBe(403);
    }
    expect(await plan.getJobCounts()).toEqual(before);
    expect(await plan.getJobSchedulersCount()).toBe(1);
  });

  it('lets a viewer look, and neither viewers nor strangers write', async () => {
    const job = await openQueue().add('sync', FEED, syncJobOptions(FEED));
    const cookie = { authorization: '', cookie: 'vcc_sync_session=x' };
    const shown = await ask('GET /queues/api/queues', { as: 'vera' });
    expect(shown.json().queues).toEqual([
      expect.objectContaining({ name: 'sync', readOnlyMode: true }),
      expect.objectContaining({ name: 'plan', readOnlyMode: true }),
    ]);
    for (const route of [...WRITES.done, ...WRITES.refused]) {
      const url = fill(route, 'sync', job.id!);
      const body = { data: FEED };
      const viewer = await ask(url, { as: 'vera', body });
      expect(viewer.statusCode, route).toBe(403);
      expect(viewer.json()).toEqual({ error: 'You may look at this, not change it.' });
      const foreign = await ask(url, { body, headers: { origin: 'https://evil.example' } });
      expect(foreign.json().error).toMatch(/another site/);
      const stranger = { ...cookie, origin: `http://${HOST}` };
      expect((await ask(url, { body, headers: stranger })).statusCode, route).toBe(401);
    }
    expect(await waiting()).toEqual([{ name: 'sync', data: FEED }]);
  });
}

it('Bull Board writes through no route that has not been judged', async () => {
  const routes = await webRoutes();
  const writes = routes
    .filter(({ method, path }) => path.startsWith('/queues') && !['GET', 'HEAD'].includes(method))
    .map(({ method, path }) => `${method} ${path}`);
  expect(writes.sort()).toEqual([...WRITES.done, ...WRITES.refused].sort());
});

redis.describe('the queue dashboard on Redis', () => suite('redis'));
describe('the queue dashboard on Postgres', () => suite('postgres'));
