import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import type pg from 'pg';
import { describe, expect, onTestFinished, test } from 'vitest';
import { checkSessions } from '../../src/cli/doctor-database.ts';
import { chinaTime } from '../../src/cli/output.ts';
import { DAY, HOUR, MINUTE } from '../../src/core/china-time.ts';
import { reach } from '../../src/core/window.ts';
import { openPool } from '../../src/store/pool.ts';
import { createDatabase, useDatabase } from '../support/database.ts';
import { outputOf, spawnCommand } from '../support/service-process.ts';

type Environment = Readonly<Record<string, string>>;

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const database = useDatabase();

/** Runs a command with the file's database, or with just the variables given. */
async function vccSync(args: string, env?: Environment): Promise<Result> {
  const child = spawnCommand(
    args.split(' ').filter(Boolean),
    env ?? { DATABASE_URL: database.url },
  );
  return outputOf(child);
}

/** Runs a command that must succeed, and answers its JSON. */
async function jsonOf(args: string): Promise<Record<string, unknown>[]> {
  const { code, stdout, stderr } = await vccSync(`${args} --json`);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout);
}

async function seedOrg(orgCode: string, datasets: readonly string[]): Promise<number[]> {
  await database.pool.query('insert into vcc.org (org_code, name) values ($1, $2)', [
    orgCode,
    '南京港华',
  ]);
  const { rows } = await database.pool.query<{ id: number }>(
    'insert into vcc.feed (org_code, dataset) select $1, unnest($2::text[]) returning id',
    [orgCode, datasets],
  );
  return rows.map(({ id }) => id);
}

async function countOf(pool: pg.Pool, query: string, values: unknown[] = []): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(`select count(*) from ${query}`, values);
  return rows[0]!.count;
}

/** A time as the command line takes it. */
const iso = (at: number) => new Date(Math.floor(at / 1000) * 1000).toISOString();

describe('usage', () => {
  test('every command has help that exits with 0', async () => {
    const { stdout, code } = await vccSync('--help');
    expect(code).toBe(0);
    const commands = [...stdout.matchAll(/^ {2}([a-z]+)\s/gm)].map(([, name]) => name!);
    expect(commands).toEqual(
      expect.arrayContaining('migrate org feed resync status runs rejects gaps doctor'.split(' ')),
    );
    const ours = commands.filter((name) => name !== 'help');
    const helps = await Promise.all(ours.map((name) => vccSync(`${name} --help`)));
    for (const [index, help] of helps.entries()) {
      expect(help).toMatchObject({ code: 0, stderr: '' });
      expect(help.stdout).toContain(`Usage: vcc-sync ${ours[index]}`);
    }
  });

  test('the version is that of the package; wrong usage exits with 2', async () => {
    const wrong = ['', 'statsu', 'status --nonsense', 'status --dataset rivers', 'runs --limit 0'];
    const results = await Promise.all(['--version', ...wrong].map((args) => vccSync(args)));
    expect(results[0]).toEqual({ code: 0, stdout: '0.1.0\n', stderr: '' });
    expect(results.slice(1).map(({ code, stdout }) => ({ code, stdout }))).toEqual(
      wrong.map(() => ({ code: 2, stdout: '' })),
    );
    expect(results[4]!.stderr).toMatch(/there are addresses, supply_points, subscribers, meters/);
  });

  test('all faults of the settings are listed at once, with exit 2', async () => {
    const env = { DATABASE_URL: 'mysql://u:hidden@db/x', SYNC_EVERY: 'soon', SYNC_SETTLE: '-1' };
    const { code, stdout, stderr } = await vccSync('status', env);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    for (const name of Object.keys(env)) expect(stderr).toContain(name);
    expect(stderr.trimEnd().split('\n')).toHaveLength(4);
    expect(stderr).not.toMatch(/hidden|at .*\.ts/);
  });

  test('settings are read from a file, and a missing file is wrong usage', async () => {
    const [missing, example] = await Promise.all([
      vccSync('--settings no-such-file status', {}),
      vccSync('org list --settings .env.example'),
    ]);
    expect(missing.code).toBe(2);
    expect(missing.stderr).toBe('CONFIG: --settings no-such-file: there is no such file\n');
    expect(example.code).toBe(0);
  });

  test('a database that is away is one line with host, port and name, without the password', async () => {
    const DATABASE_URL = 'postgres://someone:hidden@127.0.0.1:1/vcc';
    const { code, stdout, stderr } = await vccSync('status', { DATABASE_URL });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(
      /^DATABASE_AWAY: the database vcc at 127\.0\.0\.1:1 can not be reached.*\n$/,
    );
    expect(stderr).not.toContain('hidden');
  });

  test('a reader that closes the pipe early ends the command quietly', async () => {
    const [feedId] = await seedOrg('PIPE1', ['meters']);
    await database.pool.query(
      `insert into vcc.run (feed_id, org_code, dataset, trigger, window_from, window_to, status, finished_at, worker)
        select $1, 'PIPE1', 'meters', 'schedule', '2026-01-01Z', '2026-01-02Z', 'done', now(), 'test'
        from generate_series(1, 2000)`,
      [feedId],
    );
    const child = spawnCommand('runs --json --limit 2000'.split(' '), {
      DATABASE_URL: database.url,
    });
    const stderr = text(child.stderr!);
    child.stdout!.once('data', () => child.stdout!.destroy());
    const code = await new Promise((resolve) => child.once('close', resolve));
    expect({ code, stderr: await stderr }).toEqual({ code: 0, stderr: '' });
  });
});

describe('ports and organisations', () => {
  const service = () => ({
    DATABASE_URL: database.url,
    VCC_APP_ID: 'app',
    VCC_BASE_KEY: '0123456789abcdef0123456789abcdef',
    LOG_LEVEL: 'silent',
  });

  test('a port in use is named, with its host and what sets it', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const [web, simulator] = await Promise.all([
      vccSync('start --role web', { ...service(), WEB_PORT: String(port) }),
      vccSync(`simulate --port ${port} --subscribers 10`),
    ]);
    const rest = `${port} is in use: another process listens at 127.0.0.1:${port}; choose another, or 0 for any free one\n`;
    expect(web).toEqual({ code: 1, stdout: '', stderr: `WEB_PORT ${rest}` });
    expect(simulator).toEqual({ code: 1, stdout: '', stderr: `--port ${rest}` });
  });

  test('the simulator refuses a port that is none and codes that are none, with exit 2', async () => {
    const refuse = async (...args: string[]) => {
      const child = spawnCommand(['simulate', ...args], {});
      const [stderr, [code]] = await Promise.all([text(child.stderr!), once(child, 'close')]);
      return { code, stderr };
    };
    const [port, orgs, twice] = await Promise.all([
      refuse('--port', '65536'),
      refuse('--orgs', 'A B,,'),
      refuse('--orgs', 'WJ0105,'),
    ]);
    expect([port.code, orgs.code, twice.code]).toEqual([2, 2, 2]);
    expect(port.stderr).toMatch(/expected a port from 0 to 65535/);
    for (const { stderr } of [orgs, twice]) expect(stderr).toMatch(/letters, digits, - or _/);
  });

  test('the simulator behaves as its flags say, and prints the settings that reach it', async () => {
    const flags =
      '--port 0 --subscribers 10 --orgs WJ0105 --require-sign --sign-secret base --seq-code 1001 --answer-sign right ' +
      '--bounds exclusive --ignores timestamp --token-lifetime 10s --expire-time words --keep-old-tokens --no-date --date-skew -90s --latency 1ms';
    const child = spawnCommand(['simulate', ...flags.split(' ')], {});
    onTestFinished(() => void child.kill());
    const lines: string[] = [];
    for await (const line of createInterface({ input: child.stdout! })) {
      lines.push(line);
      if (line === 'VCC_SIGN_SECRET=base') break;
    }
    const printed = Object.fromEntries(lines.map((line) => line.split('=')));
    expect(printed).toMatchObject({
      VCC_BASE_URL: expect.stringMatching(/^http:/),
      VCC_SEQ_CODE: '1001',
      VCC_SIGN_REQUESTS: 'true',
    });
    const called = await vccSync('call /heading/3011 a=1 --interface 3011', {
      ...printed,
      DATABASE_URL: database.url,
      VCC_RESPONSE_SIGN: 'require',
    });
    expect(called).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(called.stdout)).toMatchObject({ parameters: { a: '1' } });
    const answer = await fetch(`${printed.VCC_BASE_URL}/heading/3011`);
    expect(answer.headers.get('date')).toBeNull();
  });

  test('the simulator refuses flags that are none', async () => {
    for (const flags of ['--bounds x', '--token-lifetime 0s', '--latency 2d', '--reading x']) {
      const { code, stderr } = await vccSync(`simulate ${flags}`);
      expect([flags, code]).toEqual([flags, 2]);
      expect(stderr).toMatch(/Allowed choices are|expected a duration/);
    }
  });

  test('help says what the roles and organisations are by default', async () => {
    const [roles, orgs] = await Promise.all([vccSync('start --help'), vccSync('simulate --help')]);
    expect(roles.stdout).toMatch(/--role <roles> +some of planner,worker,web \(default: all\)/);
    expect(orgs.stdout).toMatch(/\(default:\s+WJ0105,NJ0101,WX0102\)/);
  });
});

describe('migrate', () => {
  test('fills an empty database and mends an old one; before, commands say to run it', async () => {
    const other = await createDatabase();
    onTestFinished(other.drop);
    const pool = openPool(other.url, { max: 1, name: 'vcc-sync test' });
    onTestFinished(() => pool.end());
    const env = { DATABASE_URL: other.url };
    await pool.query('drop schema vcc cascade; drop schema bullmq cascade');
    const before = await vccSync('status', env);
    expect(before).toMatchObject({ code: 1, stdout: '' });
    expect(before.stderr).toMatch(
      /^SCHEMA_MISSING: .*run vcc-sync migrate of the newest release in use\n$/,
    );

    const first = await vccSync('migrate', { ...env, SYNC_EVERY: '1h', SYNC_SETTLE: '2m' });
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(first.stdout).toMatch(/^applied 0001_tables$/m);
    const { rows } = await pool.query('select every::text, settle::text from vcc.service_setting');
    expect(rows).toEqual([{ every: '01:00:00', settle: '00:02:00' }]);
    expect(await vccSync('migrate', env)).toMatchObject({
      code: 0,
      stdout: 'the schema is up to date\n',
    });

    await pool.query('drop schema bullmq cascade');
    expect((await vccSync('runs', env)).stderr).toMatch(
      /older than this release.*run vcc-sync migrate/,
    );
    expect((await vccSync('migrate', env)).code).toBe(0);
    expect(await vccSync('runs', env)).toMatchObject({ code: 0, stderr: 'no runs to show\n' });
  });

  test('a database of a newer release is left alone', async () => {
    const other = await createDatabase();
    onTestFinished(other.drop);
    const pool = openPool(other.url, { max: 1, name: 'vcc-sync test' });
    await pool.query(`insert into vcc.migration (name, timestamp) values ('9999_future', now())`);
    await pool.end();
    const { code, stderr } = await vccSync('migrate', { DATABASE_URL: other.url });
    expect(code).toBe(1);
    expect(stderr).toMatch(/newer than this release: 9999_future/);
  });
});

describe('org and feed', () => {
  test('an organisation is added, changed, listed and never enabled by the way', async () => {
    const since = iso(reach(Date.now()) - 3 * DAY);
    const added = await vccSync(
      `org add ORG1 --name 南京港华 --datasets meters,addresses --since ${since}`,
    );
    expect(added).toMatchObject({ code: 0, stdout: 'added ORG1: addresses, meters\n' });
    expect(added.stderr).toMatch(/expired gap until vcc-sync import/);
    expect((await vccSync('org disable ORG1')).stdout).toBe('disabled ORG1\n');

    const again = await vccSync('org add ORG1 --every 5m --datasets subscribers');
    expect(again.stdout).toBe('updated ORG1: added subscribers\n');
    expect(again.stderr).toMatch(/ORG1 is disabled and stays so; vcc-sync org enable ORG1/);
    expect((await jsonOf('org list')).find(({ org_code }) => org_code === 'ORG1')).toEqual({
      org_code: 'ORG1',
      name: '南京港华',
      area_code: null,
      enabled: false,
      datasets: ['addresses', 'subscribers', 'meters'],
      paused: [],
    });
    const { rows } = await database.pool.query(
      `select dataset, extract(epoch from every)::int as every, since is not null as promised
        from vcc.feed where org_code = 'ORG1' order by id`,
    );
    expect(rows).toEqual([
      { dataset: 'addresses', every: null, promised: true },
      { dataset: 'meters', every: null, promised: true },
      { dataset: 'subscribers', every: 300, promised: false },
    ]);
  });

  test('an unknown organisation, a beginning in the future and a bad code are refused with exit 2', async () => {
    const results = await Promise.all([
      vccSync('org enable NOBODY'),
      vccSync('status --org NOBODY'),
      vccSync('feed pause --org NOBODY'),
      vccSync(`org add ORG9 --since ${iso(Date.now() + HOUR)}`),
      vccSync('org add 南京'),
    ]);
    expect(results.map(({ code }) => code)).toEqual([2, 2, 2, 2, 2]);
    for (const { stderr } of results.slice(0, 3)) expect(stderr).toContain('NOBODY is not known');
    expect(results[3]!.stderr).toContain('must be in the past');
    expect(await countOf(database.pool, `vcc.org where org_code = 'ORG9'`)).toBe(0);
  });

  test('feeds are paused and let go on, and are due at once then', async () => {
    const [addresses] = await seedOrg('FEED1', ['addresses', 'meters']);
    await database.pool.query(
      `update vcc.feed set next_due_at = now() + interval '1 hour' where id = $1`,
      [addresses],
    );
    const paused = await vccSync('feed pause --org FEED1');
    expect(paused.stdout).toBe('paused addresses FEED1\npaused meters FEED1\n');
    const resumed = await vccSync('feed resume --org FEED1 --dataset addresses');
    expect(resumed.stdout).toBe('resumed addresses FEED1\n');
    const { rows } = await database.pool.query(
      `select paused, next_due_at <= now() as due from vcc.feed where org_code = 'FEED1' order by id`,
    );
    expect(rows).toEqual([
      { paused: false, due: true },
      { paused: true, due: true },
    ]);
  });
});

describe('resync', () => {
  test('records requests, who asked and why, and makes the feeds due', async () => {
    await seedOrg('SYNC1', ['addresses', 'meters']);
    await database.pool.query(
      `update vcc.feed set next_due_at = now() + interval '1 hour' where org_code = 'SYNC1'`,
    );
    const from = iso(Date.now() - 2 * DAY);
    const to = iso(Date.now() - DAY);
    const args = `--from ${from} --to ${to} --force --max-rejects 20% --reason mended`;
    const recorded = await jsonOf(`resync --org SYNC1 --dataset all ${args}`);
    expect(recorded).toMatchObject([
      { dataset: 'addresses', org_code: 'SYNC1', during: { from, to }, force: true },
      { dataset: 'meters', max_rejects: 20, reason: 'mended' },
    ]);
    const { rows } = await database.pool.query(
      `select q.id, q.kind, q.force, q.max_rejects, q.requested_by, f.next_due_at <= now() as due
        from vcc.request q join vcc.feed f on f.id = q.feed_id where f.org_code = 'SYNC1' order by q.id`,
    );
    expect(rows).toMatchObject([
      { id: recorded[0]!.id, kind: 'resync', force: true, max_rejects: 20, due: true },
      { id: recorded[1]!.id, requested_by: expect.stringMatching(/^cli:.+/), due: true },
    ]);
  });

  test('records several organisations in one go, each line with its own', async () => {
    await seedOrg('BOTH1', ['meters']);
    await seedOrg('BOTH2', ['meters']);
    const times = `--from ${iso(Date.now() - 2 * DAY)} --to ${iso(Date.now() - DAY)}`;
    const { code, stdout } = await vccSync(`resync --org BOTH2,BOTH1 --dataset meters ${times}`);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^request \d+: meters BOTH2, .*\nrequest \d+: meters BOTH1, .*\n$/);
  });

  test('what can not be had is refused with exit 2, and nothing is recorded', async () => {
    await seedOrg('SYNC2', ['meters']);
    const now = Date.now();
    const earliest = reach(now);
    const ask = (from: number, to: number, more = '--org SYNC2 --dataset meters') =>
      vccSync(`resync ${more} --from ${iso(from)} --to ${iso(to)}`);
    const results = await Promise.all([
      ask(earliest - DAY, now - HOUR),
      ask(now - HOUR, now + HOUR),
      ask(now - HOUR, now - 2 * HOUR),
      ask(now - 2 * HOUR, now - HOUR, '--org SYNC2 --dataset meters,addresses'),
      ask(now - 2 * HOUR, now - HOUR, '--org SYNC2 --dataset rivers'),
      vccSync('resync --org SYNC2 --dataset meters --from 2026-02-30 --to now'),
    ]);
    expect(results.map(({ code, stdout }) => [code, stdout])).toEqual(results.map(() => [2, '']));
    const said = results.map(({ stderr }) => stderr);
    expect(said[0]).toMatch(
      /partly out of reach: .* before \d{4}-.*; older data needs vcc-sync import/,
    );
    expect(said[1]).toMatch(/ends in the future/);
    expect(said[2]).toMatch(/ends before it begins/);
    expect(said[3]).toMatch(/SYNC2 has no feed for addresses/);
    expect(said[4]).toMatch(/no dataset 'rivers'/);
    expect(said[5]).toMatch(/expected a time such as/);
    const requests = `vcc.request q join vcc.feed f on f.id = q.feed_id where f.org_code = 'SYNC2'`;
    expect(await countOf(database.pool, requests)).toBe(0);
  });
});

describe('the ledgers', () => {
  test('status and gaps show a feed with a hole, its failure and the queue that waits', async () => {
    const [feedId] = await seedOrg('STAT1', ['meters']);
    const now = Date.now();
    const hour = (ago: number) => iso(now - ago * HOUR);
    const expired = iso(reach(now) - 2 * DAY);
    await database.pool.query(
      `update vcc.feed set since = $2, consecutive_failures = 2, last_error_code = 'NOT_A_TABLE',
          last_error = '512 bytes of text/html', coverage = tstzmultirange(tstzrange($3, $4), tstzrange($5, $6)),
          missed = 1234, next_deep_at = $7
        where id = $1`,
      [feedId, expired, iso(reach(now)), hour(10), hour(9), iso(now - MINUTE), iso(now + DAY)],
    );
    await database.pool.query(
      `insert into vcc.run (feed_id, org_code, dataset, trigger, window_from, window_to, status, finished_at,
          worker, lines, accepted, inserted, updated, unchanged)
        values ($1, 'STAT1', 'meters', 'schedule', $2, $3, 'done', now(), 'test', 6, 6, 3, 2, 1)`,
      [feedId, hour(9), iso(now - MINUTE)],
    );
    await database.pool.query(
      `insert into vcc.platform_state (app_id, blocked_since, probe_at, error_code, error_message)
        values ('app', now() - interval '5 minutes', now(), 'CREDENTIALS', 'CREDENTIALS: getToken was refused')`,
    );
    const [row, people, gaps] = await Promise.all([
      jsonOf('status --org STAT1'),
      vccSync('status --org STAT1'),
      jsonOf('gaps --org STAT1 --dataset meters'),
    ]);
    await database.pool.query('delete from vcc.platform_state');

    const open = { from: hour(10), to: hour(9) };
    expect(row).toMatchObject([
      {
        org_code: 'STAT1',
        dataset: 'meters',
        state: 'failing',
        since: expired,
        baseline_at: null,
        complete_through: expired,
        watermark: iso(now - MINUTE),
        lag: expect.any(Number),
        open_gaps: [{ ...open, recoverable_until: expect.any(String) }],
        expired_gaps: [{ from: expired, to: iso(reach(now)), recoverable_until: null }],
        last_run: { status: 'done', inserted: 3, updated: 2, unchanged: 1, stale: 0 },
        missed: 1234,
        next_deep_at: iso(now + DAY),
        consecutive_failures: 2,
        last_error_code: 'NOT_A_TABLE',
        blocked_since: expect.any(String),
      },
    ]);
    expect(gaps).toMatchObject([
      { state: 'expired', length: 2 * 86_400, recoverable_until: null },
      { state: 'open', during: open, length: 3600 },
    ]);
    const [first, head, line] = people.stdout.split('\n');
    expect(first).toMatch(
      /^The queue of app app waits as a whole since .*\(5m.*\).*CREDENTIALS: getToken was refused$/,
    );
    expect(head).toMatch(/^ORG +DATASET +STATE +COMPLETE THROUGH .* EXPIRED GAPS +MISSED +HOLDS/);
    expect(line).toMatch(
      /^STAT1 +meters +failing .* 1h +2d +1,234 +changes since .* 3\/2\/1\/0 +2 +NOT_A_TABLE/,
    );
  });

  test('what a feed holds begins where its coverage does; nothing is claimed that is missing', async () => {
    const [bare, held] = await seedOrg('HOLD1', ['addresses', 'meters']);
    const now = Date.now();
    const promised = iso(now - 300 * DAY);
    const begun = iso(now - 5 * DAY);
    await database.pool.query('update vcc.feed set since = $2 where id = any($1)', [
      [bare, held],
      promised,
    ]);
    await database.pool.query(
      'update vcc.feed set coverage = tstzmultirange(tstzrange($2, $3)) where id = $1',
      [held, begun, iso(now)],
    );
    const { stdout } = await vccSync('status --org HOLD1');
    expect(stdout).not.toContain('MISSED');
    const [, first, second] = stdout.split('\n');
    expect(first).toMatch(/^HOLD1 +addresses +new /);
    expect(first).not.toContain('changes since');
    expect(second).toContain(`changes since ${chinaTime(Date.parse(begun))}`);
    expect(await jsonOf('status --org HOLD1')).toMatchObject([
      { since: promised },
      { since: promised },
    ]);
  });

  test('a block of an app that is not named is shown only while somebody probes', async () => {
    const other = await createDatabase();
    onTestFinished(other.drop);
    const pool = openPool(other.url, { max: 1, name: 'vcc-sync test' });
    await pool.query(
      `insert into vcc.platform_state (app_id, blocked_since, probe_at, error_code, error_message)
        values ('gone', now() - interval '1 day', now() - interval '11 minutes', 'CREDENTIALS', 'refused')`,
    );
    await pool.query(`insert into vcc.org (org_code) values ('BLOCK1')`);
    await pool.query(`insert into vcc.feed (org_code, dataset) values ('BLOCK1', 'meters')`);
    const status = (env: Environment = {}) =>
      vccSync('status', { DATABASE_URL: other.url, ...env });
    expect((await status()).stdout).not.toContain('waits as a whole');
    expect((await status({ VCC_APP_ID: 'other' })).stdout).not.toContain('waits as a whole');
    expect((await status({ VCC_APP_ID: 'gone' })).stdout).toMatch(/^The queue of app gone waits/);
    await pool.query(
      `insert into vcc.platform_state (app_id, blocked_since, probe_at, error_code, error_message)
        values ('live', now() - interval '2 days', now() - interval '9 minutes', 'CREDENTIALS', 'refused')`,
    );
    await pool.end();
    expect((await status()).stdout).toMatch(/^The queue of app live waits/);
  });

  test('runs are filtered and limited, with whole receipts in JSON', async () => {
    const [feedId] = await seedOrg('RUNS1', ['addresses']);
    await database.pool.query(
      `insert into vcc.run (feed_id, org_code, dataset, trigger, window_from, window_to, status, finished_at,
          worker, error_code, error_message)
        select $1, 'RUNS1', 'addresses', 'schedule', '2026-11-01T00:00:00+08', '2026-11-02T00:00:00+08', status, now(),
          'test', 'TRUNCATED', 'cut short' from unnest(array['failed', 'failed', 'interrupted']) as status`,
      [feedId],
    );
    const [failed, people] = await Promise.all([
      jsonOf('runs --org RUNS1 --status failed --limit 1'),
      vccSync('runs --org RUNS1'),
    ]);
    expect(failed).toHaveLength(1);
    expect(failed[0]).toMatchObject({
      feed_id: feedId,
      status: 'failed',
      window_from: '2026-10-31T16:00:00.000Z',
      lines: 0,
      error_code: 'TRUNCATED',
    });
    expect(people.stdout.split('\n')).toHaveLength(5);
    expect(people.stdout).toMatch(
      /2026-11-01 00:00:00 +2026-11-02 00:00:00 .* TRUNCATED: cut short/,
    );
  });

  test('rejects are shown without the personal data in them', async () => {
    const [feedId] = await seedOrg('REJ1', ['subscribers']);
    await database.pool.query(
      `insert into vcc.reject (feed_id, run_id, line_no, reason, row_key, line_hash, line, window_to, resolved_at)
        values ($1, 7, 12, 'field_count', null, 'a1', '20001|张三丰|A|13812345678', now(), null),
          ($1, 7, 13, 'superseded', '20002', 'a2', '20002|李四|A|13887654321', now(), now())`,
      [feedId],
    );
    const [open, all, people] = await Promise.all([
      jsonOf('rejects --org REJ1'),
      jsonOf('rejects --org REJ1 --all --reason superseded'),
      vccSync('rejects --org REJ1 --all'),
    ]);
    expect(open).toMatchObject([{ line_no: 12, reason: 'field_count', line: '20001|***|A|***' }]);
    expect(all).toMatchObject([{ line_no: 13, row_key: '20002', run_id: 7 }]);
    const shown = [JSON.stringify([open, all]), people.stdout, people.stderr].join();
    expect(shown).not.toMatch(/张三丰|李四|13812345678|13887654321/);
    expect(people.stdout).toMatch(/REJ1 +subscribers +7 +12 +field_count/);
  });
});

test('doctor names what is wrong, one check after another, and exits with 1', async () => {
  const { code, stdout } = await vccSync('doctor', {
    DATABASE_URL: database.url,
    REDIS_URL: 'redis://127.0.0.1:1',
    VCC_BASE_URL: 'http://127.0.0.1:1/vcc-openapi',
    VCC_APP_ID: 'app',
    VCC_BASE_KEY: 'hidden',
    SYNC_EVRY: '5m',
  });
  expect(code).toBe(1);
  expect(stdout).toMatch(/^✔ settings/m);
  expect(stdout).toMatch(/^! settings: SYNC_EVRY is set, but there is no such setting/m);
  expect(stdout).toMatch(/^! settings: VCC_BASE_KEY is not 32 letters and digits/m);
  for (const check of ['database', 'schema', 'sessions', 'own backends']) {
    expect(stdout).toMatch(new RegExp(`^✔ ${check}: `, 'm'));
  }
  expect(stdout).toMatch(/^✖ queue: Redis at 127\.0\.0\.1:1 can not be used \(ECONNREFUSED\)/m);
  expect(stdout).toMatch(/^✖ platform: SOURCE_UNAVAILABLE/m);
  expect(stdout).not.toContain('hidden');
});

test('doctor finds a proxy that pools transactions, and nothing where there is none', async () => {
  const servers = await Promise.all(Array.from({ length: 3 }, () => database.pool.connect()));
  onTestFinished(() => {
    for (const server of servers) server.release(true);
  });
  expect(await checkSessions(poolTransactions(servers))).toMatchObject({
    result: 'failed',
    advice: expect.stringContaining('pool_mode = session'),
  });
  expect(await checkSessions(poolTransactions(servers.slice(0, 1)))).toMatchObject({
    result: 'failed',
  });
  expect(await checkSessions(database.pool)).toMatchObject({ result: 'ok' });
});

/** Shares server connections between transactions, as PgBouncer does: who comes takes the last one freed. */
function poolTransactions(servers: readonly pg.PoolClient[]): Parameters<typeof checkSessions>[0] {
  const free = [...servers];
  const waiting: ((server: pg.PoolClient) => void)[] = [];
  const take = async () =>
    free.pop() ?? (await new Promise<pg.PoolClient>((resolve) => void waiting.push(resolve)));
  const give = (server: pg.PoolClient) => {
    const next = waiting.shift();
    if (next) next(server);
    else free.push(server);
  };
  const connect = async () => {
    let held: pg.PoolClient | null = null;
    return {
      async query(statement: string, values?: unknown[]) {
        const server = held ?? (await take());
        const result = await server.query(statement, values);
        held = statement === 'begin' || (held && statement !== 'rollback') ? server : null;
        if (!held) give(server);
        return result;
      },
      release() {
        if (held) give(held);
        held = null;
      },
    };
  };
  return { connect } as unknown as Parameters<typeof checkSessions>[0];
}
