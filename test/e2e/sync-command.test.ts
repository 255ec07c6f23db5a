import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { HOUR, MINUTE, SECOND } from '../../src/core/china-time.ts';
import { DATASET_NAMES, type DatasetName } from '../../src/core/dataset.ts';
import { eventually } from '../support/eventually.ts';
import { outputOf, spawnCommand } from '../support/service-process.ts';
import { APP_ID, BASE_KEY, type Harness, openHarness } from '../support/sync-harness.ts';

/** First half of the advisory lock of a feed. */
const FEED_LOCK = 30_307;

let h: Harness;

beforeEach(async () => {
  h = await openHarness({
    now: Date.now(),
    world: { orgs: [{ code: 'WJ0105', name: '吴江' }], subscribersPerOrg: 40, changesPerDay: 20 },
    simulator: { clock: Date.now },
  });
  await h.addOrgs(['WJ0105']);
});

afterEach(() => h.close());

function start(args: string, over: Record<string, string> = {}) {
  const child = spawnCommand(['sync', ...args.split(' ').filter(Boolean)], {
    DATABASE_URL: h.databaseUrl,
    VCC_BASE_URL: h.simulator.url,
    VCC_APP_ID: APP_ID,
    VCC_BASE_KEY: BASE_KEY,
    SYNC_SETTLE: '10m',
    LOG_LEVEL: 'silent',
    ...over,
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

async function sync(args = '', over: Record<string, string> = {}) {
  const child = start(args, over);
  return outputOf(child);
}

/** Covers all time from yesterday until tomorrow: nothing is missing while a test runs. */
async function settleAll(): Promise<void> {
  await h.query(
    `update vcc.feed set since = today - interval '1 day',
        coverage = tstzmultirange(tstzrange(today - interval '1 day', today + interval '2 days'))
      from (values (date_trunc('day', now()))) as the (today)`,
  );
}

async function feedId(dataset: DatasetName): Promise<number> {
  const [row] = await h.query<{ id: number }>(
    `select id from vcc.feed where org_code = 'WJ0105' and dataset = $1`,
    [dataset],
  );
  return row!.id;
}

/** Holds a feed as another process does; the answer gives it back. */
async function holdFeed(dataset: DatasetName): Promise<() => Promise<void>> {
  const id = await feedId(dataset);
  const client = await h.store.pool.connect();
  await client.query('begin');
  await client.query('select pg_advisory_xact_lock($1, $2)', [FEED_LOCK, id]);
  let isHeld = true;
  return async () => {
    if (!isHeld) return;
    isHeld = false;
    await client.query('rollback');
    client.release();
  };
}

/** A time as the command line takes it. */
const iso = (at: number) => new Date(Math.floor(at / SECOND) * SECOND).toISOString();

describe('sync', () => {
  test('loads what is missing and prints the receipts; then there is nothing to load', async () => {
    const first = await sync();
    expect({ code: first.code, stderr: first.stderr }).toEqual({ code: 0, stderr: '' });
    const [head, ...lines] = first.stdout.trimEnd().split('\n');
    expect(head).toMatch(/^ *run +org +dataset +from +to +lines +inserted .* flagged$/);
    for (const dataset of DATASET_NAMES) {
      expect(lines.some((line) => line.includes(` WJ0105  ${dataset} `))).toBe(true);
    }
    const [stored] = await h.query('select count(*) > 0 as any from vcc.meter');
    expect(stored).toEqual({ any: true });

    await settleAll();
    expect(await sync()).toEqual({
      code: 0,
      stdout: '',
      stderr: 'nothing to load: every feed is in step\n',
    });
    expect(await sync('--json')).toEqual({ code: 0, stdout: '[]\n', stderr: '' });
  });

  test('prints the receipts as JSON, for the feeds asked for alone', async () => {
    const { code, stdout, stderr } = await sync('--org WJ0105 --dataset meters --json');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const receipts: Record<string, unknown>[] = JSON.parse(stdout);
    const runs = await h.query<{ id: number; window_to: Date; lines: number }>(
      'select id, window_to, lines from vcc.run order by id',
    );
    expect(receipts).toMatchObject(
      runs.map(({ id, window_to, lines }) => ({
        id,
        org_code: 'WJ0105',
        dataset: 'meters',
        window_to: window_to.toISOString(),
        lines,
        rejected: 0,
      })),
    );
    expect(receipts.length).toBeGreaterThan(0);
  });

  test('tells of a feed that is refused in one line, and loads the others', async () => {
    h.simulator.refuse('WJ0105', 'subscribers');
    const { code, stdout, stderr } = await sync();
    expect(code).toBe(1);
    expect(stderr).toMatch(/^PLATFORM_ERROR subscribers WJ0105: [^\n]+\n1 of 4 feeds failed\n$/);
    for (const dataset of ['addresses', 'supply_points', 'meters']) {
      expect(stdout).toContain(` WJ0105  ${dataset} `);
    }
    expect(stdout).not.toContain('subscribers');
  });

  test('does not say that there is nothing to load where every feed failed', async () => {
    h.simulator.refuse('WJ0105', null);
    const { code, stdout, stderr } = await sync();
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('4 of 4 feeds failed\n');
    expect(stderr).not.toContain('nothing to load');
  });

  test('refuses an organisation that it does not know, and half an interval', async () => {
    const unknown = await sync('--org NOBODY');
    expect({ code: unknown.code, stdout: unknown.stdout }).toEqual({ code: 2, stdout: '' });
    expect(unknown.stderr).toMatch(/^CONFIG: organisation NOBODY is not known/);
    const half = await sync(`--from ${iso(Date.now() - HOUR)}`);
    expect(half).toMatchObject({ code: 2, stderr: 'CONFIG: --from and --to belong together\n' });
  });
});

describe('a feed that another process is loading', () => {
  test('is passed over with --no-wait', async () => {
    const giveBack = await holdFeed('meters');
    try {
      const result = await sync('--dataset meters --no-wait');
      expect(result).toEqual({
        code: 0,
        stdout: '',
        stderr: 'meters WJ0105: another process is loading it; passed over\n',
      });
    } finally {
      await giveBack();
    }
  });

  test('is waited for, and the wait is told of', async () => {
    const giveBack = await holdFeed('meters');
    try {
      const child = start('--dataset meters');
      const stdout = text(child.stdout!);
      let stderr = '';
      child.stderr!.setEncoding('utf8').on('data', (chunk) => {
        stderr += chunk;
      });
      const ended = once(child, 'close');
      await eventually(() => expect(stderr).not.toBe(''));
      await giveBack();
      const [code] = await ended;
      expect(stderr).toBe('meters WJ0105: another process is loading it; waiting\n');
      expect({ code, stdout: await stdout }).toEqual({
        code: 0,
        stdout: expect.stringContaining(' WJ0105  meters '),
      });
    } finally {
      await giveBack();
    }
  });
});

describe('sync --from --to', () => {
  test('records a request and carries it out', async () => {
    await settleAll();
    const from = iso(Date.now() - 5 * HOUR);
    const to = iso(Date.now() - 4 * HOUR);
    const { code, stdout, stderr } = await sync(
      `--dataset meters --from ${from} --to ${to} --json`,
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject([{ window_from: from, window_to: to }]);
    const requests = await h.query(
      `select q.requested_by ~ '^cli:.' as ours, q.finished_at is not null as finished,
          r.trigger, r.status
        from vcc.request q join vcc.run r on r.request_id = q.id`,
    );
    expect(requests).toEqual([{ ours: true, finished: true, trigger: 'request', status: 'done' }]);
  });

  test('tells which request stays open since its end has not settled', async () => {
    await settleAll();
    const from = iso(Date.now() - HOUR);
    const to = iso(Date.now() - MINUTE);
    const { code, stdout, stderr } = await sync(`--dataset meters --from ${from} --to ${to}`);
    const [request] = await h.query<{ id: number; open: boolean }>(
      'select id, finished_at is null as open from vcc.request',
    );
    expect(request!.open).toBe(true);
    expect(stderr).toBe(
      `meters WJ0105: the rest of request ${request!.id} will be loaded once it has settled, ` +
        'by the running service or the next sync\n',
    );
    expect(code).toBe(0);
    expect(stdout).toContain(' WJ0105  meters ');
  });

  test('tells that a request stays open though nothing of it could be loaded', async () => {
    await settleAll();
    const interval = `--from ${iso(Date.now() - 5 * MINUTE)} --to ${iso(Date.now() - MINUTE)}`;
    const early = await sync(`--dataset meters ${interval}`);
    expect(early).toMatchObject({ code: 0, stdout: '' });
    expect(early.stderr).toMatch(/^meters WJ0105: the rest of request \d+ .*\n$/);

    const giveBack = await holdFeed('meters');
    try {
      const busy = await sync(`--dataset meters --no-wait ${interval}`);
      expect(busy.stderr).toMatch(/passed over\nmeters WJ0105: request \d+ stays open; .*\n$/);
    } finally {
      await giveBack();
    }
  });
});

test('SIGINT ends it at once: the run is interrupted, and no stack is shown', async () => {
  let hangs = 0;
  h.interfere = async (_request, response, { record }) => {
    if (record.interface === '1002') return false;
    hangs += 1;
    await once(response, 'close');
    return true;
  };
  const child = start('', { SYNC_CONCURRENCY: '2' });
  const output = Promise.all([text(child.stdout!), text(child.stderr!)]);
  const ended = once(child, 'close');
  await eventually(() => expect(hangs).toBe(2));
  const signalled = Date.now();
  child.kill('SIGINT');
  const [code] = await ended;
  expect(Date.now() - signalled).toBeLessThan(5 * SECOND);
  const [stdout, stderr] = await output;
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toBe(
    'interrupted: 4 of 4 feeds are not finished; what is committed stays, the rest is loaded next time\n',
  );
  const runs = await h.query('select status, count(*)::int as runs from vcc.run group by status');
  expect(runs).toEqual([{ status: 'interrupted', runs: 2 }]);
});
