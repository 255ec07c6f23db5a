import { execFile, execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { HOUR } from '../../src/core/china-time.ts';
import { reach } from '../../src/core/window.ts';
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts';
import { createWorld, type World } from '../../src/simulator/world.ts';
import { runCommand } from '../support/command.ts';
import { useDatabase } from '../support/database.ts';
import { amr, picture } from '../support/media-files.ts';
import { APP_ID, BASE_KEY } from '../support/sync-harness.ts';

const run = promisify(execFile);

const ORG = 'WJ0105';
const SUBSCRIBERS = 120;
const NOW = Date.now();

const database = useDatabase();
let world: World;
let simulator: Simulator;
let folder: string;
/** Status of an answer without a body, in place of the next call's own. */
let emptyStatus: number | null = null;
/** Name of a file that answers the next call. */
let namedMedia: string | null = null;

beforeAll(async () => {
  world = createWorld({
    seed: 9,
    orgs: [{ code: ORG, name: ORG }],
    bornAt: reach(NOW) + HOUR,
    until: NOW,
    subscribersPerOrg: SUBSCRIBERS,
    changesPerDay: 0,
  });
  const options = { clock: Date.now, appId: APP_ID, baseKey: BASE_KEY, reading: 'then' } as const;
  simulator = await startSimulator({
    world,
    ...options,
    interfere(_request, response, { record }) {
      if (record.interface === '1002') return false;
      if (namedMedia !== null) {
        const disposition = `attachment; filename="${namedMedia}"`;
        response.writeHead(200, { 'content-disposition': disposition, 'content-length': 7 });
        response.end('content');
      } else if (emptyStatus !== null) {
        response.writeHead(emptyStatus, { 'content-length': 0 }).end();
      } else return false;
      emptyStatus = null;
      namedMedia = null;
      return true;
    },
  });
  folder = await mkdtemp(join(tmpdir(), 'vcc-sync-'));
});
afterAll(async () => {
  await simulator.close();
  await rm(folder, { recursive: true });
});
beforeEach(() => database.pool.query('truncate vcc.session_token, vcc.platform_state'));

async function vccSync(args: readonly string[], env: Record<string, string> = {}) {
  const result = await runCommand(args, {
    DATABASE_URL: database.url,
    VCC_BASE_URL: simulator.url,
    VCC_APP_ID: APP_ID,
    VCC_BASE_KEY: BASE_KEY,
    LOG_LEVEL: 'warn',
    ...env,
  });
  return { ...result, text: result.stdout.toString() };
}

const fileOf = async (name: string, content: Buffer | string) => {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
};

/** What the simulator was asked since a moment, by interface. */
const askedSince = (count: number) =>
  simulator.requests.slice(count).map((request) => request.interface);

describe('media', () => {
  it('comes back byte for byte, under a safe name, and replaces no file', async () => {
    const content = picture('png', 300_000);
    const path = await fileOf('张三的房产证.png', content);
    const up = await vccSync(['media', 'upload', path, '--type', 'image', '--json']);
    expect(up).toMatchObject({ code: 0, stderr: '' });
    const [uploaded] = JSON.parse(up.text);
    expect(uploaded).toEqual({
      media_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      type: 'image',
      created_at: expect.stringMatching(/^20.*Z$/),
    });

    const target = join(folder, 'out.png');
    const down = await vccSync(['media', 'get', uploaded.media_id, '-o', target]);
    expect([down.code, down.text]).toEqual([0, `${target}\n`]);
    expect(await readFile(target)).toEqual(content);
    expect((await stat(target)).mode & 0o777).toBe(0o600);

    const piped = await vccSync(['media', 'get', uploaded.media_id, '--output', '-']);
    expect(piped.stdout).toEqual(content);

    const own = await mkdtemp(join(folder, 'cwd-'));
    const before = process.cwd();
    process.chdir(own);
    try {
      const named = await vccSync(['media', 'get', uploaded.media_id]);
      expect(named.text).toBe(`${uploaded.media_id}.png\n`);
      expect(await readFile(join(own, `${uploaded.media_id}.png`))).toEqual(content);
      const again = await vccSync(['media', 'get', uploaded.media_id]);
      expect(again.code).toBe(2);
      expect(again.stderr).toMatch(/is there already; name another file with --output/);
      expect(await readdir(own)).toEqual([`${uploaded.media_id}.png`]);
    } finally {
      process.chdir(before);
    }
  });

  it.each([
    ['too large', 'image', picture('jpg', 2 * 1_048_576 + 1), /2097153 bytes/],
    ['too large', 'thumb', picture('jpg', 65_537), /65537 bytes/],
    ['of another format', 'thumb', picture('png'), /thumb takes jpg, and it is png/],
    ['too long', 'voice', amr(3001), /plays for 60.02 s/],
    ['empty', 'image', Buffer.alloc(0), /it is empty/],
  ])(
    'that is %s for its type %s is refused before anything is sent',
    async (_, type, content, why) => {
      const count = simulator.requests.length;
      const path = await fileOf('bad', content);
      const { code, stderr } = await vccSync(['media', 'upload', path, '--type', type]);
      expect(code).toBe(2);
      expect(stderr).toMatch(why);
      expect(askedSince(count)).toEqual([]);
    },
  );

  it('of just the allowed size and length is taken by the platform', async () => {
    for (const [type, content] of [
      ['image', picture('gif', 2 * 1_048_576)],
      ['thumb', picture('jpg', 65_536)],
      ['voice', amr(3000)],
    ] as const) {
      const path = await fileOf('good', content);
      const { code, stderr } = await vccSync(['media', 'upload', path, '--type', type]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    }
  });

  it('that is no file, or not there, is wrong usage', async () => {
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    for (const [path, why] of [
      [folder, 'it is a directory'],
      [join(folder, 'none'), 'there is no such file'],
      // Nobody writes into it: to open it for reading would wait for ever.
      [pipe, 'it is no regular file'],
      ['/dev/zero', 'it is no regular file'],
    ] as const) {
      const { code, stderr } = await vccSync(['media', 'upload', path, '--type', 'image']);
      expect([code, stderr]).toEqual([2, expect.stringContaining(why)]);
      expect(stderr).not.toContain(folder);
    }
    expect((await vccSync(['media', 'upload', 'x', '--type', 'video'])).code).toBe(2);
    expect((await vccSync(['media', 'get', '../x'])).code).toBe(2);
  });

  it('that the platform does not have is its error, and leaves no file behind', async () => {
    const empty = join(folder, 'empty');
    await mkdir(empty);
    const target = join(empty, 'x.jpg');
    const { code, stderr } = await vccSync(['media', 'get', 'unknown', '-o', target]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^PLATFORM_ERROR: resultCode 91062: there is no such media/);
    simulator.faults.once({ interface: '2002' }, { kind: 'html-page' });
    expect((await vccSync(['media', 'get', 'unknown', '-o', target])).stderr).toMatch(
      /^NOT_A_TABLE/,
    );
    expect(await readdir(empty)).toEqual([]);
  });

  it('goes to stdout only where --output says so, whatever its id and name are', async () => {
    const own = await mkdtemp(join(folder, 'cwd-'));
    const before = process.cwd();
    process.chdir(own);
    try {
      for (const [id, name] of [
        ['-', '-'],
        ['-rf', '-rf'],
        ['plain', '/dev/stdout'],
      ] as const) {
        namedMedia = name;
        const { code, text } = await vccSync(['media', 'get', '--', id]);
        expect([code, text]).toEqual([0, `./${id}\n`]);
        expect(await readFile(join(own, id), 'utf8')).toBe('content');
      }
      for (const stdout of ['-', '/dev/stdout']) {
        namedMedia = 'x.jpg';
        const piped = await vccSync(['media', 'get', '-o', stdout, '--', '-']);
        expect([piped.code, piped.text]).toEqual([0, 'content']);
      }
      expect(await readdir(own)).not.toContain('x.jpg');
    } finally {
      process.chdir(before);
    }
  });

  it('is sent again whole after a refused token', async () => {
    const path = await fileOf('twice.jpg', picture('jpg', 100_000));
    const first = await vccSync(['media', 'upload', path, '--type', 'image']);
    expect(first.code).toBe(0);
    simulator.expireToken();
    const count = simulator.requests.length;
    const up = await vccSync(['media', 'upload', path, '--type', 'image', '--json']);
    expect(askedSince(count)).toEqual(['2001', '1002', '2001']);
    const { stdout } = await vccSync(['media', 'get', JSON.parse(up.text)[0].media_id, '-o', '-']);
    expect(stdout).toEqual(picture('jpg', 100_000));
  });
});

describe('subscriber', () => {
  it('get prints one, masked, and search all of them as JSON lines or CSV', async () => {
    const [code, row] = [...world.rows('subscribers', ORG, Date.now())][0]!;
    const one = await vccSync(['subscriber', 'get', code, '--org', ORG, '--json']);
    expect(JSON.parse(one.text)).toEqual([
      expect.objectContaining({ subscriber_code: code, org_code: ORG, state: row.state }),
    ]);
    const lines = await vccSync(['subscriber', 'search', '--org', ORG]);
    expect(lines).toMatchObject({ code: 0, stderr: '120 subscribers; the platform counts 120\n' });
    const rows = lines.text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(rows).toHaveLength(SUBSCRIBERS);
    expect(rows.find(({ subscriber_code }) => subscriber_code === code)).toMatchObject({
      address_code: row.address_code,
    });
    world.put('subscribers', ORG, { subscriber_code: 'A,"1', name: '甲' }, Date.now());
    const csv = await vccSync(['subscriber', 'search', '--org', ORG, '--name', '甲', '--csv']);
    expect(csv.text).toBe(
      'subscriber_code,name,address_code,address_detail,subscriber_type,state,telephone,mobile,org_code,display_address\n' +
        `"A,""1",甲**,,,,,,,${ORG},\n`,
    );
  });

  it('get of one that is not there says so with exit 1', async () => {
    const { code, stderr } = await vccSync(['subscriber', 'get', 'none', '--org', ORG]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^PLATFORM_ERROR: resultCode 91051/);
  });

  it('bound lists what a member has bound', async () => {
    const counts = new Set<number>();
    for (const user of ['u1', 'u2', 'u3', 'u4', 'u5', 'u6', 'u7', 'u8']) {
      const { code, text } = await vccSync(['subscriber', 'bound', user, '--json']);
      expect(code).toBe(0);
      const bound = JSON.parse(text);
      counts.add(bound.length);
      for (const one of bound) {
        expect(one).toEqual({
          subscriber_code: expect.any(String),
          org_code: ORG,
          nick_name: '自家',
          created_at: '2017-04-25T10:32:18.000Z',
        });
      }
    }
    expect(counts.size).toBeGreaterThan(1);
  });
});

describe('call', () => {
  const CALL_4004 = ['call', '/heading/4004', '--interface', '4004'];

  it('reaches a heading of which the document has the title alone, by GET and POST', async () => {
    const got = await vccSync([
      'call',
      '/heading/3011',
      'orgCode=WJ0105',
      'note=a b&c=d',
      '--interface',
      '3011',
    ]);
    expect(got).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(got.text)).toMatchObject({
      interface: '3011',
      title: '气价查询',
      method: 'GET',
      parameters: {
        orgCode: 'WJ0105',
        note: 'a b&c=d',
        seq: expect.stringMatching(/^3011\d{28}$/),
      },
    });
    const body = '{"reading": 12.50, "名": "x"}';
    const path = await fileOf('body.json', body);
    for (const signs of ['false', 'true']) {
      const posted = await vccSync(
        ['call', '/heading/4004', '--post', path, '--interface', '4004'],
        { VCC_SIGN_REQUESTS: signs },
      );
      expect({ ...JSON.parse(posted.text), parameters: null }).toMatchObject({
        method: 'POST',
        body,
      });
    }
  });

  it('knows the interface of a documented path, and prints tables and errors as they come', async () => {
    const times = ['lastTimestamp=20260101000000', 'timestamp=20260101000001'];
    const old = await vccSync(['call', '/meter/download', `orgCode=${ORG}`, ...times]);
    expect([old.code, old.text]).toEqual([1, '']);
    expect(old.stderr).toMatch(/^PLATFORM_ERROR: resultCode 91041/);
    const [from, to] = [NOW - 24 * HOUR, NOW].map((at) =>
      new Date(at + 8 * HOUR).toISOString().slice(0, 19).replace(/\D/g, ''),
    );
    const table = await vccSync([
      'call',
      '/meter/download',
      `orgCode=${ORG}`,
      `lastTimestamp=${from}`,
      `timestamp=${to}`,
    ]);
    expect(table.text).toMatch(/^表具编号\|表具类型\|/);
    const target = join(folder, 'answer.json');
    const page = await vccSync([
      'call',
      '/subs/querySubs',
      `orgCode=${ORG}`,
      'pageIndex=1',
      'pageSize=1',
      '-o',
      target,
    ]);
    expect(page.text).toBe('');
    expect(JSON.parse(await readFile(target, 'utf8'))).toMatchObject({ pageIndex: 1 });
  });

  it.each([
    ['an unknown path without an interface', ['/price/query']],
    ['seq', ['/heading/3011', 'seq=1', '--interface', '3011']],
    ['token', ['/heading/3011', 'token=1', '--interface', '3011']],
    ['a parameter twice', ['/heading/3011', 'a=1', 'a=2', '--interface', '3011']],
    ['what is no parameter', ['/heading/3011', 'a', '--interface', '3011']],
    ['getToken', ['/oauth2/getToken']],
    ['getToken with a slash behind it', ['/oauth2/getToken/', '--interface', '3011']],
    ['getToken with an ending', ['/oauth2/getToken.json', '--interface', '3011']],
    ['getToken in other letters', ['/OAuth2/gettoken', '--interface', '3011']],
    ['getToken by a dot', ['/oauth2/./getToken', '--interface', '3011']],
    ['getToken by two dots', ['/subs/../oauth2/getToken', '--interface', '3011']],
    ['getToken by two slashes', ['/oauth2//getToken', '--interface', '3011']],
    ['getToken by percent signs', ['/oauth2/get%54oken', '--interface', '3011']],
    ['getToken behind a parameter', ['/oauth2/getToken;a=b', '--interface', '3011']],
    ['a way out of the base', ['/../x', '--interface', '3011']],
    ['a dot at the end', ['/heading/.', '--interface', '3011']],
    ['a host', ['//example.com/x', '--interface', '3011']],
    ['a body that is not there', ['/heading/4004', '--post', 'none.json', '--interface', '4004']],
  ])('refuses %s as wrong usage, and sends nothing', async (_, args) => {
    const count = simulator.requests.length;
    expect((await vccSync(['call', ...args])).code).toBe(2);
    expect(askedSince(count)).toEqual([]);
  });

  it('that is answered by nothing says so: done by 204, but not to be told by 200', async () => {
    const target = join(folder, 'nothing.json');
    for (const args of [CALL_4004, [...CALL_4004, '-o', target]]) {
      emptyStatus = 204;
      expect(await vccSync(args)).toMatchObject({
        code: 0,
        text: '',
        stderr: 'HTTP 204: done, by its status; the answer has no body\n',
      });
      emptyStatus = 200;
      expect(await vccSync(args)).toMatchObject({
        code: 1,
        text: '',
        stderr:
          'HTTP 200 with an empty body: the answer tells neither success nor failure, so whether anything was done at the platform is not known\n',
      });
    }
    expect((await readdir(folder)).filter((name) => name.startsWith('nothing'))).toEqual([]);
    // A call whose answer is documented needs one.
    emptyStatus = 204;
    expect(await vccSync(['subscriber', 'bound', 'u1'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^NOT_A_TABLE: empty body/),
    });
  });

  it('is not sent where its answer could not be written', async () => {
    const count = simulator.requests.length;
    for (const path of [folder, join(folder, 'none', 'answer.json')]) {
      const { code, stderr } = await vccSync([...CALL_4004, '-o', path]);
      expect([code, stderr]).toEqual([1, expect.stringContaining('can not be written')]);
    }
    expect(askedSince(count)).toEqual([]);
  });

  it('leaves what was there where it fails, and nothing else', async () => {
    const own = await mkdtemp(join(folder, 'failed-'));
    const target = join(own, 'answer.json');
    await writeFile(target, 'before');
    simulator.faults.once({ interface: '4004' }, { kind: 'html-page' });
    expect((await vccSync([...CALL_4004, '-o', target])).code).toBe(1);
    expect(await readdir(own)).toEqual(['answer.json']);
    expect(await readFile(target, 'utf8')).toBe('before');
  });

  it('keeps a file that answers it off the terminal, and says where it is', async () => {
    const own = await mkdtemp(join(folder, 'tmp-'));
    const terminal = Object.getOwnPropertyDescriptor(process.stdout, 'isTTY');
    Object.defineProperty(process.stdout, 'isTTY', { value: true, configurable: true });
    try {
      namedMedia = 'x.jpg';
      const { code, text, stderr } = await vccSync(CALL_4004, { TMPDIR: own });
      const [name] = await readdir(own);
      expect(name).toMatch(/^4004-[0-9a-f-]{36}\.jpg$/);
      expect([code, text, stderr]).toEqual([
        0,
        '',
        `the answer is a file, which is kept in ${join(own, name!)}\n`,
      ]);
      expect(await readFile(join(own, name!), 'utf8')).toBe('content');
    } finally {
      if (terminal) Object.defineProperty(process.stdout, 'isTTY', terminal);
      else Reflect.deleteProperty(process.stdout, 'isTTY');
    }
  });

  it('posts what a pipe gives', async () => {
    const pipe = join(folder, 'body-pipe');
    execFileSync('mkfifo', [pipe]);
    const writer = run('sh', ['-c', 'printf \'{"a":\' > "$0"; echo done', pipe]);
    const { code, text, stderr } = await vccSync([...CALL_4004, '--post', pipe]);
    expect([code, stderr]).toEqual([0, '']);
    expect(JSON.parse(text)).toMatchObject({ body: '{"a":' });
    expect((await writer).stdout).toBe('done\n');
  });

  it('reads no more of a pipe or of stdin than it needs to know that it is too large', async () => {
    const count = simulator.requests.length;
    const pipe = join(folder, 'endless-pipe');
    execFileSync('mkfifo', [pipe]);
    const writer = run('sh', ['-c', 'cat /dev/zero > "$0"', pipe]).catch(({ code }) => code);
    const posted = await vccSync([...CALL_4004, '--post', pipe]);
    const larger = expect.stringContaining('it is larger than 2097152 bytes');
    expect([posted.code, posted.stderr]).toEqual([2, larger]);
    // It ends where nobody reads on.
    await writer;

    let given = 0;
    const stdin = Readable.from(
      (function* () {
        for (; given < 64; given += 1) yield Buffer.alloc(1_048_576, ' ');
      })(),
    );
    const before = Object.getOwnPropertyDescriptor(process, 'stdin')!;
    Object.defineProperty(process, 'stdin', { ...before, get: () => stdin });
    try {
      const { code, stderr } = await vccSync([...CALL_4004, '--post', '-']);
      expect([code, stderr]).toEqual([2, larger]);
      expect(given).toBeLessThan(32);
    } finally {
      Object.defineProperty(process, 'stdin', before);
    }
    expect(askedSince(count)).toEqual([]);
  });

  it('posts no body that is not UTF-8', async () => {
    const path = await fileOf('gbk.json', Buffer.from('b1ed', 'hex'));
    const { code, stderr } = await vccSync([...CALL_4004, '--post', path]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/it is not UTF-8/);
  });

  it('shares the session token with all other processes', async () => {
    const count = simulator.requests.length;
    for (let turn = 0; turn < 3; turn += 1) {
      await vccSync(['call', '/heading/3011', '--interface', '3011']);
    }
    expect(askedSince(count)).toEqual(['1002', '3011', '3011', '3011']);
  });
});
