import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { chinaTime } from '../../src/cli/output.ts';
import { DAY, HOUR } from '../../src/core/china-time.ts';
import { reach } from '../../src/core/window.ts';
import { useDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { outputOf, spawnCommand } from '../support/service-process.ts';
import { METER_HEADER, meterLine, meterTable } from '../support/table-bytes.ts';

const database = useDatabase();
let folder: string;
let orgs = 0;
/** The organisation of the test under way. */
let org: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vcc-sync-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

beforeEach(async () => {
  orgs += 1;
  org = `BRING${orgs}`;
  await database.pool.query('insert into vcc.org (org_code) values ($1)', [org]);
  await database.pool.query(`insert into vcc.feed (org_code, dataset) values ($1, 'meters')`, [
    org,
  ]);
});

function start(
  args: readonly string[],
  stdin: 'ignore' | 'pipe' = 'ignore',
  over: Record<string, string> = {},
) {
  const env = { DATABASE_URL: database.url, LOG_LEVEL: 'silent', ...over };
  const child = spawnCommand(args, env, stdin);
  // A command that ends early closes its stdin.
  child.stdin?.on('error', () => {});
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

/** Runs a command to its end, with this on stdin. */
async function vccSync(args: readonly string[], stdin?: Buffer) {
  const child = start(args, stdin ? 'pipe' : 'ignore');
  child.stdin?.end(stdin);
  return outputOf(child);
}

const feed = () => ['--org', org, '--dataset', 'meters'];
const day = (at: number) => new Date(Math.floor(at / DAY) * DAY);
const iso = (at: Date | number) => new Date(at).toISOString();
const yesterday = day(Date.now() - DAY);
const line = (code: string, location = '') => meterLine(code, { org, location });

async function file(name: string, content: string | Buffer): Promise<string> {
  const path = join(folder, `${org}-${name}`);
  await writeFile(path, content);
  return path;
}

async function meters(): Promise<number> {
  const { rows } = await database.pool.query<{ count: number }>(
    'select count(*) from vcc.meter where org_code = $1',
    [org],
  );
  return rows[0]!.count;
}

async function runs(): Promise<{ status: string; error_code: string | null }[]> {
  const { rows } = await database.pool.query(
    'select status, error_code from vcc.run where org_code = $1 order by id',
    [org],
  );
  return rows;
}

async function openRequests(): Promise<number> {
  const { rows } = await database.pool.query<{ count: number }>(
    `select count(*) from vcc.request q join vcc.feed f on f.id = q.feed_id
      where f.org_code = $1 and q.finished_at is null`,
    [org],
  );
  return rows[0]!.count;
}

describe('import', () => {
  test('loads a file and prints its receipt, as a table and as JSON', async () => {
    const path = await file('a.psv', meterTable([line('A'), line('B'), 'bad']));
    const to = iso(yesterday);
    const from = iso(yesterday.getTime() - DAY);
    const people = await vccSync(['import', ...feed(), '--from', from, '--to', to, path]);
    expect({ code: people.code, stderr: people.stderr }).toEqual({ code: 0, stderr: '' });
    expect(people.stdout).toMatch(
      new RegExp(`^ *\\d+  ${org} +meters .* 3 +2 +0 +0 +0 +0 +1 +0$`, 'm'),
    );
    const json = await vccSync(['import', ...feed(), '--as-of', to, '--json', path]);
    expect(JSON.parse(json.stdout)).toEqual([
      expect.objectContaining({ org_code: org, window_from: to, window_to: to, unchanged: 2 }),
    ]);
    const { rows } = await database.pool.query(
      `select kind, requested_by ~ '^cli:.' as by, reason from vcc.request q
        join vcc.feed f on f.id = q.feed_id where f.org_code = $1`,
      [org],
    );
    expect(rows).toEqual(Array(2).fill({ kind: 'import', by: true, reason: null }));
  });

  test('sets the baseline with --full, and status says what the feed holds', async () => {
    const path = await file('full.psv', meterTable([line('A')]));
    const holds = async () => (await vccSync(['status', '--org', org])).stdout;
    const long = reach(Date.now()) - 400 * DAY;
    const old = day(long);
    const done = await vccSync(['import', ...feed(), '--as-of', iso(old), '--full', path]);
    expect(done.code).toBe(0);
    expect(await holds()).toContain(`all, full as of ${chinaTime(old)}`);
    await database.pool.query(
      `update vcc.feed set coverage = coverage + tstzmultirange(tstzrange($2, $3)) where org_code = $1`,
      [org, new Date(reach(Date.now())), day(Date.now())],
    );
    expect(await holds()).toMatch(/full as of [^,]+, with gaps/);
    expect(await holds()).not.toContain('all, full');
    const gap = ['--from', iso(old), '--to', iso(reach(Date.now()))];
    const accepted = await vccSync(['gaps', 'accept', ...feed(), ...gap, '--reason', 'lost']);
    expect(accepted.code).toBe(0);
    expect(await holds()).toMatch(/full as of [^,]+, less accepted gaps/);
    const [status] = JSON.parse((await vccSync(['status', '--org', org, '--json'])).stdout);
    expect(status).toMatchObject({
      baseline_at: iso(old),
      since: iso(old),
      expired_gaps: [],
      accepted_gaps: [{ from: iso(old), to: iso(reach(Date.now())) }],
      open_requests: 0,
    });
  });

  test('reads gzip by its first bytes, and stdin', async () => {
    const packed = gzipSync(meterTable([line('A')]));
    const path = await file('packed', packed);
    const at = [...feed(), '--as-of', iso(yesterday), '--json'];
    const unpacked = [
      await vccSync(['import', ...at, path]),
      await vccSync(['import', ...at, '-'], packed),
    ];
    expect(unpacked.map(({ stdout }) => JSON.parse(stdout)[0].lines)).toEqual([1, 1]);
    const cut = await file(
      'cut.gz',
      gzipSync(Buffer.from(meterTable(many(5000)))).subarray(0, -200),
    );
    const failed = await vccSync(['import', ...feed(), '--as-of', iso(yesterday), cut]);
    expect(failed.code).toBe(1);
    expect(failed.stderr).toMatch(
      new RegExp(
        `^TRUNCATED meters ${org} from ${org}-cut.gz: the gzip file was cut or is damaged .*get the file again`,
      ),
    );
    expect(await meters()).toBe(1);
    expect(await openRequests()).toBe(0);
  });

  test('names the file and what to do where it can not be one, with exit 2 and nothing recorded', async () => {
    const missing = join(folder, 'missing.psv');
    const html = await file('page.html', '<html>|张三|13800138000</html>\n');
    const empty = await file('empty.psv', '');
    const at = ['--as-of', iso(yesterday)];
    const good = await file('good.psv', meterTable([line('A')]));
    const cases: [string[], RegExp][] = [
      [[...at, missing], /^CONFIG: missing\.psv: there is no such file; check the path\n$/],
      [[...at, folder], /^CONFIG: vcc-sync-\w+: it is a directory/],
      [[...at, html], /^CONFIG: \S+page\.html is not a table: its first line/],
      [[...at, empty], /^CONFIG: \S+empty\.psv is not a table: it is empty/],
      [['--as-of', iso(Date.now() + HOUR - ((Date.now() + HOUR) % 1000)), good], /is not past/],
      [[good], /either --from and --to, or --as-of/],
      [[...at, '--from', iso(yesterday), '--to', iso(yesterday), good], /one of them only/],
      [['--from', iso(yesterday), good], /--from and --to belong together/],
      [['--full', good], /--full needs --as-of/],
      [[...at, '--max-rejects', '50%', good], /needs a reason/],
    ];
    for (const [args, message] of cases) {
      const { code, stdout, stderr } = await vccSync(['import', ...feed(), ...args]);
      expect({ code, stdout }, String(message)).toEqual({ code: 2, stdout: '' });
      expect(stderr).toMatch(message);
      expect(stderr).not.toMatch(/张三|13800138000|at .*\.ts/);
    }
    expect(await runs()).toEqual([]);
  });

  test('tells a header of another dataset and too many rejects in one line', async () => {
    const other = await file('other.psv', `${METER_HEADER.replace('表具类型|', '')}\n`);
    const bad = await file('bad.psv', meterTable(Array.from({ length: 50 }, (_, n) => `bad ${n}`)));
    const at = ['--as-of', iso(yesterday)];
    const mismatch = await vccSync(['import', ...feed(), ...at, other]);
    expect(mismatch).toMatchObject({ code: 1, stdout: '' });
    expect(mismatch.stderr).toMatch(
      /^HEADER_MISMATCH meters \S+ from \S+other\.psv: column 表具类型 is missing.*\n$/,
    );
    const refused = await vccSync(['import', ...feed(), ...at, bad]);
    expect(refused.stderr).toMatch(
      /^TOO_MANY_REJECTS .*--max-rejects overrules with a --reason\n$/,
    );
    const reason = ['--max-rejects', '100%', '--reason', 'known'];
    expect((await vccSync(['import', ...feed(), ...at, ...reason, bad])).code).toBe(0);
  });
});

/** Lines of many meters. */
function many(count: number): string[] {
  return Array.from({ length: count }, (_, n) => line(`M${n}`, `place ${(n * 7919) % 100_003}`));
}

/** Writes a table of so many meters, without holding it. */
async function bigFile(name: string, count: number): Promise<string> {
  const path = join(folder, `${org}-${name}`);
  const out = createWriteStream(path);
  out.write(`${METER_HEADER}\n`);
  for (let n = 0; n < count; n += 1) {
    if (!out.write(`${line(`M${n}`)}\n`)) await once(out, 'drain');
  }
  out.end();
  await once(out, 'close');
  return path;
}

describe('a long import', () => {
  test('that is killed leaves nothing but an interrupted run, and may be repeated', async () => {
    const rest = many(40_000);
    const child = start(['import', ...feed(), '--as-of', iso(yesterday), '-'], 'pipe');
    child.stdin!.write(meterTable(rest.slice(0, 20_000)));
    await eventually(async () =>
      expect(await runs()).toEqual([{ status: 'running', error_code: null }]),
    );
    child.kill('SIGKILL');
    await once(child, 'close');
    expect(await meters()).toBe(0);
    const path = await file('again.psv', meterTable(rest));
    const again = await vccSync(['import', ...feed(), '--as-of', iso(yesterday), path]);
    expect({ code: again.code, stderr: again.stderr.replace(/^.*waiting\n/, '') }).toEqual({
      code: 0,
      stderr: '',
    });
    expect(await runs()).toEqual([
      { status: 'interrupted', error_code: 'INTERRUPTED' },
      { status: 'done', error_code: null },
    ]);
    expect(await meters()).toBe(40_000);
    expect(await openRequests()).toBe(0);
  });

  test('ends at once on Ctrl-C, with exit 1 and nothing half done', async () => {
    const child = start(['import', ...feed(), '--as-of', iso(yesterday), '-'], 'pipe');
    const output = Promise.all([text(child.stdout!), text(child.stderr!)]);
    const ended = once(child, 'close');
    child.stdin!.write(meterTable(many(3000)));
    await eventually(async () => expect(await runs()).toHaveLength(1));
    child.kill('SIGINT');
    const [code] = await ended;
    const [stdout, stderr] = await output;
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(
      /^INTERRUPTED meters \S+ from stdin: .*nothing of it is stored; repeat it\n$/,
    );
    expect(await runs()).toEqual([{ status: 'interrupted', error_code: 'INTERRUPTED' }]);
    expect(await meters()).toBe(0);
    expect(await openRequests()).toBe(0);
  });

  test('of 300,000 rows goes through a heap that could not hold them', async () => {
    const path = await bigFile('big.psv', 300_000);
    const child = start(['import', ...feed(), '--as-of', iso(yesterday), path], 'ignore', {
      // The command itself takes most of this; the rows as objects would take three times as much.
      NODE_OPTIONS: '--max-old-space-size=64',
    });
    const output = Promise.all([text(child.stdout!), text(child.stderr!)]);
    const [code] = await once(child, 'close');
    const [, stderr] = await output;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(await meters()).toBe(300_000);
  }, 240_000);
});

describe('gaps accept', () => {
  const from = () => iso(reach(Date.now()) - 3 * DAY);
  const to = () => iso(reach(Date.now()));

  test('puts up with what has expired, for the record; gaps no longer lists it', async () => {
    await database.pool.query(
      `update vcc.feed set since = $2, coverage = tstzmultirange(tstzrange($3, $4)) where org_code = $1`,
      [org, from(), to(), day(Date.now() + 2 * DAY)],
    );
    const gaps = async () => JSON.parse((await vccSync(['gaps', '--org', org, '--json'])).stdout);
    expect(await gaps()).toMatchObject([{ state: 'expired', during: { from: from(), to: to() } }]);
    const wish = ['gaps', 'accept', ...feed(), '--from', from(), '--to', to()];
    const silent = await vccSync([...wish, '--reason', ' ']);
    expect(silent).toMatchObject({ code: 2, stdout: '' });
    expect(silent.stderr).toMatch(/^CONFIG: an accepted gap needs a reason/);
    expect((await vccSync(wish)).code).toBe(2);
    const done = await vccSync([...wish, '--reason', 'no file left']);
    expect(done).toEqual({
      code: 0,
      stdout: `accepted: meters ${org}, ${chinaTime(new Date(from()))} to ${chinaTime(new Date(to()))} (China time), 3d\n`,
      stderr: '',
    });
    expect(await gaps()).toEqual([]);
    const again = await vccSync([...wish, '--reason', 'no file left', '--json']);
    expect(again).toMatchObject({ code: 2, stdout: '' });
    expect(again.stderr).toMatch(/has no expired gap/);
  });

  test('has help of its own, and gaps has still its own', async () => {
    const [gaps, accept, rejects] = await Promise.all([
      vccSync(['gaps', '--help']),
      vccSync(['gaps', 'accept', '--help']),
      vccSync(['rejects', '--help']),
    ]);
    expect(gaps.stdout).toMatch(/^Usage: vcc-sync gaps \[options\] \[command\]/);
    expect(gaps.stdout).toMatch(/accept \[options\] +put up with expired gaps/);
    expect(accept.stdout).toMatch(/^Usage: vcc-sync gaps accept \[options\]/);
    expect(rejects.stdout).toMatch(/replay \[options\] +load refused lines after all/);
  });
});

describe('rejects replay', () => {
  test('loads lines that were repaired in the file that psql wrote, and shows no person', async () => {
    const bad = `${line('A', '张三')}|13800138000`;
    const path = await file('bad.psv', meterTable([bad, 'nonsense|李四']));
    await vccSync(['import', ...feed(), '--as-of', iso(yesterday), path]);
    const { rows } = await database.pool.query<{ id: number; line: string }>(
      'select j.id, line from vcc.reject j join vcc.feed f on f.id = feed_id where org_code = $1 order by 1',
      [org],
    );
    const repairs = rows.map(
      ({ id, line: text }) => `${id}\t${text.replace('|13800138000', '')}\n`,
    );
    const map = await file('repairs.tsv', repairs.join(''));
    const done = await vccSync([
      'rejects',
      'replay',
      '--org',
      org,
      '--map',
      map,
      '--reason',
      'mended',
    ]);
    expect(done.code).toBe(0);
    expect(done.stdout).toMatch(new RegExp(`^${org} +meters +1 +2 +1 +0 +0 +0 +0 +1 +0$`, 'm'));
    expect(done.stderr).toBe(`meters ${org}: refused again, and still open: field_count 1\n`);
    expect(done.stdout + done.stderr).not.toMatch(/张三|李四|13800138000/);
    expect(await meters()).toBe(1);
    const unknown = await vccSync(['rejects', 'replay', '--map', map]);
    expect(unknown.code).toBe(2);
    expect(unknown.stderr).toContain(`asked for: ${rows[0]!.id};`);
    const json = await vccSync(['rejects', 'replay', '--org', org, '--json']);
    expect(JSON.parse(json.stdout)).toMatchObject([
      {
        org_code: org,
        dataset: 'meters',
        lines: 1,
        rejected: 1,
        refused: { field_count: 1 },
        left: {},
      },
    ]);
    const { rows: why } = await database.pool.query(
      `select reason from vcc.request q join vcc.feed f on f.id = feed_id where org_code = $1 and kind = 'replay' order by q.id`,
      [org],
    );
    expect(why).toEqual([{ reason: 'mended' }, { reason: null }]);
  });

  test('has nothing to do where nothing is refused, and refuses a file that is no map', async () => {
    expect(await vccSync(['rejects', 'replay', '--org', org])).toEqual({
      code: 0,
      stdout: '',
      stderr: 'no rejects to replay\n',
    });
    const map = await file('wrong.tsv', '张三 13800138000\n');
    const wrong = await vccSync(['rejects', 'replay', '--map', map]);
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toMatch(/^CONFIG: \S+wrong\.tsv: line 1 is not an id, a tab and a line/);
    expect(wrong.stderr).not.toContain('张三');
    const missing = await vccSync(['rejects', 'replay', '--map', join(folder, 'none.tsv')]);
    expect(missing).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/none\.tsv: there is no such file/),
    });
  });
});
