import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { DAY, formatChinaTime, HOUR, SECOND } from '../../src/core/china-time.ts';
import { reach } from '../../src/core/window.ts';
import { CATALOGUE } from '../../src/datasets/catalogue.ts';
import { tableBody } from '../../src/simulator/table-body.ts';
import { outputOf, spawnCommand } from '../support/service-process.ts';
import { APP_ID, BASE_KEY, type Harness, openHarness } from '../support/sync-harness.ts';

let h: Harness;

beforeEach(async () => {
  h = await openHarness({
    now: Math.floor(Date.now() / 1000) * 1000,
    world: { subscribersPerOrg: 30, changesPerDay: 0 },
    simulator: { clock: Date.now },
  });
  await h.addOrgs(['WJ0105']);
});

afterEach(() => h.close());

async function command(args: string) {
  const child = spawnCommand(args.split(' '), {
    DATABASE_URL: h.databaseUrl,
    VCC_BASE_URL: h.simulator.url,
    VCC_APP_ID: APP_ID,
    VCC_BASE_KEY: BASE_KEY,
    // What differs is looked at again after it.
    SYNC_SETTLE: '2s',
    LOG_LEVEL: 'silent',
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return outputOf(child);
}

interface Told {
  readonly [name: string]: unknown;
  readonly findings: readonly { kind: string; row_key: string }[];
}

const keysOf = ({ findings }: Told, kind: string) =>
  findings.filter((one) => one.kind === kind).map((one) => one.row_key);

test('a file names what differs, and repairs it on request', async () => {
  await h.run('meters', 'WJ0105');
  const gone = await h.query<{ code: string }>(
    `delete from vcc.meter where meter_code in (select meter_code from vcc.meter order by 1 limit 2)
      returning meter_code as code`,
  );
  await h.query(`update vcc.meter set location = 'elsewhere'
    where meter_code = (select max(meter_code) from vcc.meter)`);
  await h.query(`insert into vcc.meter select (jsonb_populate_record(m, '{"meter_code": "X1"}')).*
    from vcc.meter m limit 1`);
  const folder = await mkdtemp(join(tmpdir(), 'vcc-reconcile-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, 'all.psv');
  const rows = [...h.world.rows('meters', 'WJ0105', h.now).values()];
  await writeFile(path, [...tableBody(CATALOGUE.meters, rows)].join(''));
  // Not before the last window's end, which is told by the platform's clock.
  const asOf = `${new Date(Date.now() - 30_000).toISOString().slice(0, 19)}Z`;
  const line = `reconcile --file ${path} --org WJ0105 --dataset meters --as-of ${asOf}`;

  const looked = await command(`${line} --json`);
  expect(looked.code).toBe(0);
  const [told] = JSON.parse(looked.stdout) as [Told];
  expect(told).toMatchObject({ kind: 'extract', missing: 2, changed: 1, extra: 1, run_id: null });
  expect(keysOf(told, 'missing').sort()).toEqual(gone.map(({ code }) => code).sort());
  expect(keysOf(told, 'extra')).toEqual(['X1']);

  const repaired = await command(`${line} --repair`);
  expect(repaired).toMatchObject({ code: 0 });
  expect(repaired.stderr).toContain('2 inserted, 1 updated, 1 marked absent');
  const still = await h.query(`select meter_code from vcc.meter where absent_since is not null`);
  expect(still).toEqual([{ meter_code: 'X1' }]);
  const wrong = await command('reconcile --org WJ0105 --repair');
  expect(wrong).toMatchObject({ code: 2, stdout: '' });
  expect(wrong.stderr).toContain('--repair needs a --file');
});

test('the platform is asked about subscribers and its past, and what differs is requested', async () => {
  const earliest = reach(Date.now());
  // It changed on the first day that can be had, which an audit of two days looks at.
  const [some] = h.world.rows('subscribers', 'WJ0105', h.now).values();
  const gone = '1499999999';
  h.world.put('subscribers', 'WJ0105', { ...some, subscriber_code: gone }, earliest + 2 * HOUR);
  await h.run('subscribers', 'WJ0105');
  await h.query('delete from vcc.subscriber where subscriber_code = $1', [gone]);
  const reconciled = await command('reconcile --org WJ0105 --json');
  expect(reconciled.code).toBe(0);
  const [told] = JSON.parse(reconciled.stdout) as [Told];
  expect(told).toMatchObject({ kind: 'sample', missing: 1, changed: 0, extra: 0, source_rows: 31 });
  expect(keysOf(told, 'missing')).toEqual([gone]);
  expect(told.proofs).toContainEqual(
    expect.objectContaining({ kind: 'missing', drawn: 31, wrong: 1, whole: true }),
  );
  h.interfere = ({ url }, response) => {
    const first = formatChinaTime(earliest);
    if (!url?.includes('/subs/download') || !url.includes(`lastTimestamp=${first}`)) return false;
    const cut = Array.from({ length: 25 }, (_, line) => `${line}|cut\n`);
    const table = [...tableBody(CATALOGUE.subscribers, []), ...cut].join('');
    response.setHeader('content-length', Buffer.byteLength(table));
    response.end(table);
    return true;
  };
  const unread = await command('audit --org WJ0105 --dataset subscribers --windows 2');
  expect(unread.code).toBe(1);
  expect(unread.stdout).toContain('not compared, TOO_MANY_REJECTS');
  expect(unread.stderr).toContain('of 1 windows the answer can not be read');
  h.interfere = null;
  const audited = await command('audit --org WJ0105 --dataset subscribers --windows 2 --resync');
  expect(audited.code).toBe(0);
  expect(audited.stdout).toContain(gone);
  expect(audited.stderr).toContain('1 rows had been missed');
  const records = await command('audit --org WJ0105 --dataset subscribers --windows 2 --json');
  for (const { overlap_needed: overlap, findings } of JSON.parse(records.stdout)) {
    expect(overlap).toBe(findings.length > 0 ? findings[0].late - 2 : null);
  }
  expect(audited.stderr).toMatch(/2 of \d\d windows were chosen/);
  const repaired = await command('reconcile --org WJ0105 --resync');
  expect(repaired.stdout).toContain('missing: 0 of all 31 subscribers');
  expect(repaired.stdout).toContain('extra: 0 of all 31 rows here');
  expect(repaired.stdout).toContain('the platform counts 31 subscribers; 31 are here');
  expect(
    await h.query('select from vcc.subscriber where subscriber_code = $1', [gone]),
  ).toHaveLength(1);
});

test('what differs is requested for the time in which it may have changed, though the feed is paused', async () => {
  await h.run('subscribers', 'WJ0105');
  await h.query('update vcc.feed set paused = true');
  // It was delivered last by a window that ended at noon in China, five days ago.
  const midnight = Math.floor((h.now + 8 * HOUR) / DAY - 5) * DAY - 8 * HOUR;
  await h.query(
    `update vcc.subscriber set state = 'Z', synced_through = $1
      where subscriber_code = (select min(subscriber_code) from vcc.subscriber)`,
    [new Date(midnight + 12 * HOUR)],
  );
  const reconcile = async () => {
    const began = Date.now();
    const done = await command('reconcile --org WJ0105 --resync');
    expect(done).toMatchObject({ code: 0 });
    expect(done.stderr).toContain(
      'what differs was not looked at again, since the feed is stopped',
    );
    const recorded = await h.query<{ id: number; from: Date; to: Date }>(
      `select q.id, q.kind, q.force, q.requested_by ~ '^cli:' as by_us, q.finished_at is null as open, f.dataset,
          lower(q.during) as from, upper(q.during) as to
        from vcc.request q join vcc.feed f on f.id = q.feed_id where q.kind = 'resync' order by q.id desc`,
    );
    const { id, from, to, ...request } = recorded[0]!;
    expect(request).toEqual({
      kind: 'resync',
      force: false,
      by_us: true,
      open: true,
      dataset: 'subscribers',
    });
    expect(done.stderr).toContain(`request ${id}: subscribers WJ0105, `);
    // By the platform's clock, in whole seconds.
    expect(to.getTime()).toBeGreaterThan(began - 2 * SECOND);
    expect(to.getTime()).toBeLessThanOrEqual(Date.now());
    return { count: recorded.length, from };
  };
  expect(await reconcile()).toEqual({ count: 1, from: new Date(midnight) });
  await h.query(
    'delete from vcc.subscriber where subscriber_code = (select max(subscriber_code) from vcc.subscriber)',
  );
  const earliest = reach(Date.now());
  expect(await reconcile()).toEqual({ count: 2, from: new Date(earliest) });
});
