import { once } from 'node:events';
import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import { SECOND } from '../../src/core/china-time.ts';
import { openBackend } from '../../src/queue/backend.ts';
import { PLAN_QUEUE } from '../../src/queue/sync-job.ts';
import { eventually } from '../support/eventually.ts';
import { spawnCommand } from '../support/service-process.ts';
import { useService } from '../support/service-suite.ts';
import { BASE_KEY, type Harness } from '../support/sync-harness.ts';

describe('the service as a process', () => {
  const service = useService({});

  it('serves its health, its readiness and a status page, to loopback names only', async () => {
    const one = await service.start();
    await service.expectEqualAfter(Date.now());
    const get = async (path: string, headers: Record<string, string> = {}) => {
      const { statusCode, body } = await request(`${one.url()}${path}`, { headers });
      return { statusCode, text: await body.text() };
    };
    expect(await get('/healthz')).toEqual({ statusCode: 200, text: '{"status":"ok"}' });
    expect(await get('/readyz')).toEqual({
      statusCode: 200,
      text: '{"status":"ready","missing":[]}',
    });
    const page = await get('/');
    expect(page.statusCode).toBe(200);
    expect(page.text).toContain('WJ0105');
    expect(page.text).toContain('in step');
    expect((await get('/', { host: 'attacker.example' })).statusCode).toBe(421);
  });

  it('ends within 25 seconds of SIGTERM though a download hangs, and gives the window back', async () => {
    const { current: h } = service;
    const one = await service.start();
    await service.expectEqualAfter(Date.now());
    let hangs = 0;
    h.interfere = async (_request, response, { record }) => {
      if (record.interface !== '3004') return false;
      hangs += 1;
      await once(response, 'close');
      return true;
    };
    await eventually(() => expect(hangs).toBeGreaterThan(0));
    const { code, ms } = await one.stop();
    expect(code).toBe(0);
    expect(ms).toBeLessThan(25 * SECOND);
    const left = await h.query<{ status: string }>(
      `select distinct status from vcc.run where status <> 'done'`,
    );
    expect(left).toEqual([{ status: 'interrupted' }]);
    const [failures] = await h.query('select max(consecutive_failures) as most from vcc.feed');
    expect(failures).toEqual({ most: 0 });
  });

  it('says once that its credentials are refused, waits as a whole, and shows no secret', async () => {
    const { current: h } = service;
    const wrong = 'fedcba9876543210fedcba9876543210';
    const one = await service.start({ VCC_BASE_KEY: wrong });
    const said = () => one.lines.filter(({ msg }) => msg === 'the queue waits as a whole');
    await eventually(() => expect(said()).toHaveLength(1));
    expect(String(said()[0]!.error)).toMatch(/^CREDENTIALS: .*check VCC_APP_ID, VCC_BASE_KEY/);
    // No probe while it is looked on, and nothing on its way from before.
    await h.query(`update vcc.platform_state set probe_at = now() + interval '1 hour'`);
    await ticks(h, 2);
    const asked = h.simulator.requests.length;
    // Several ticks later nobody has asked again.
    const [{ id }] = (await h.query<{ id: number }>('select max(id) as id from vcc.run')) as [
      { id: number },
    ];
    await ticks(h, 4);
    expect(h.simulator.requests.length).toBe(asked);
    expect(await h.query('select max(id) as id from vcc.run')).toEqual([{ id }]);
    expect(said()).toHaveLength(1);
    const [failures] = await h.query('select max(consecutive_failures) as most from vcc.feed');
    expect(failures).toEqual({ most: 0 });
    expect(one.stderr()).not.toContain(wrong);
    await one.stop();
    // With the right key the probe goes through and all is well without anybody's doing.
    await h.query(`update vcc.platform_state set probe_at = now()`);
    const two = await service.start();
    await service.expectEqualAfter(Date.now());
    expect(two.stderr()).not.toContain(BASE_KEY);
    const [stored] = await h.query<{ token: string }>('select token from vcc.session_token');
    expect(two.stderr()).not.toContain(stored!.token);
  });

  it('holds VCC_MAX_RPS across three processes', async () => {
    const { current: h } = service;
    const settings = { VCC_MAX_RPS: '4', SYNC_CONCURRENCY: '2' };
    await Promise.all([1, 2, 3].map(() => service.start(settings)));
    await eventually(() => expect(h.simulator.requests.length).toBeGreaterThan(30));
    const at = h.simulator.requests.map(({ startedAt }) => startedAt).sort((a, b) => a - b);
    // Seventeen requests take four seconds. One that is late on its way is that much nearer to the next;
    // three processes that each kept to the rate alone would be through in 1.3 s.
    const shortest = Math.min(...at.slice(16).map((time, index) => time - at[index]!));
    expect(shortest).toBeGreaterThan(2.5 * SECOND);
  });

  it('refuses to start without its schema and says what to run', async () => {
    const { current: h } = service;
    await h.query('drop schema vcc cascade');
    const child = spawnCommand(['start'], service.settings({ WEB_PORT: '0' }));
    let stderr = '';
    child.stderr!.on('data', (chunk) => {
      stderr += chunk;
    });
    const [code] = await once(child, 'exit');
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/SCHEMA_MISSING: .*run vcc-sync migrate/);
    expect(stderr).not.toMatch(/\n {4}at /);
  });
});

/** Waits until the planner has ticked so many times more. */
async function ticks(h: Harness, more: number): Promise<void> {
  const backend = openBackend({
    redisUrl: null,
    databaseUrl: h.databaseUrl,
    namespace: '',
    onError: () => {},
  });
  const queue = backend.queue(PLAN_QUEUE);
  try {
    const ticked = async () => (await queue.getJobScheduler('tick'))?.iterationCount ?? 0;
    const before = await ticked();
    await eventually(async () => expect(await ticked()).toBeGreaterThanOrEqual(before + more));
  } finally {
    await queue.close();
    await backend.close();
  }
}
