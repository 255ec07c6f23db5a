import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { afterEach, expect, it } from 'vitest';
import { MINUTE } from '../../src/core/china-time.ts';
import { CATALOGUE } from '../../src/datasets/catalogue.ts';
import { keyPrefix, openBackend } from '../../src/queue/backend.ts';
import { eventually } from './eventually.ts';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import {
  type Gossip,
  type Indiscretion,
  TABLE_INDISCRETIONS,
  TOKEN_INDISCRETIONS,
} from './indiscretions.ts';
import { findNeedles, type Haystack, type Needle } from './needles.ts';
import { outputOf, type ServiceProcess, spawnCommand } from './service-process.ts';
import { useService } from './service-suite.ts';
import { postgresTexts, redisTexts } from './stored-texts.ts';
import { BASE_KEY, type Harness } from './sync-harness.ts';
import { webPaths } from './web-paths.ts';

/** Commands whose output is looked through; those that come later belong here too. */
const COMMANDS: readonly string[] = [
  'status',
  'status --json',
  'runs --limit 1000',
  'runs --limit 1000 --json',
  'rejects --all --limit 1000',
  'rejects --all --limit 1000 --json',
  'gaps',
  'gaps --json',
  'org list --json',
  'doctor',
  'doctor --json',
  'feed pause --org NJ0101 --dataset meters',
  'feed resume --org NJ0101 --dataset meters',
  'resync --org WJ0105 --dataset subscribers --from 2020-01-01 --to 2020-01-02 --reason old',
  'sync --org WJ0105 --dataset subscribers',
];

/** Where people and refused lines belong: nothing else in the database may name them. */
const THEIR_PLACE: readonly string[] = [
  'vcc.address',
  'vcc.supply_point',
  'vcc.subscriber',
  'vcc.meter',
  'vcc.reject.line',
];

const PEOPLE = [
  { name: '欧阳测漏', mobile: '13912345678', telephone: '0512-66123456' },
  { name: '司徒防泄', mobile: '15098765432', telephone: '(0512)6598 7654' },
  { name: '苏州守密燃具有限公司', mobile: '18655554321', telephone: '02584321098' },
] as const;

const MASTER_KEY = randomBytes(32).toString('hex');

const digits = (text: string) => text.replace(/\D/g, '');

function needlesOf(h: Harness): Needle[] {
  return [
    ...PEOPLE.flatMap(({ name, mobile, telephone }, index) => [
      { what: `name ${index}`, text: name },
      { what: `mobile ${index}`, text: mobile },
      { what: `telephone ${index}`, text: digits(telephone) },
      { what: `telephone ${index} as written`, text: telephone },
    ]),
    { what: 'base key', text: BASE_KEY },
    { what: 'master key', text: MASTER_KEY },
    { what: 'master key in base64', text: Buffer.from(MASTER_KEY, 'hex').toString('base64') },
    ...h.simulator.tokens.map((token) => ({ what: 'token', text: token })),
  ];
}

/** Puts the people into every dataset of the source; again and again, to have them loaded again. */
function putPeople(h: Harness, turn: number): void {
  const at = Date.now() - (turn === 0 ? MINUTE : 0);
  for (const { code } of h.world.orgs) {
    for (const [index, { name, mobile, telephone }] of PEOPLE.entries()) {
      const key = `L${index}`;
      const state = String(turn % 10);
      const [address_detail, location] = [`${name}宅${turn}`, `${name}家厨房${turn}`];
      h.world.put(
        'subscribers',
        code,
        { subscriber_code: key, name, mobile, telephone, address_detail, state },
        at,
      );
      h.world.put(
        'addresses',
        code,
        { address_code: key, name: address_detail, full_address: mobile },
        at,
      );
      h.world.put('supply_points', code, { supply_point_code: key, address_detail }, at);
      h.world.put('meters', code, { meter_code: key, location, model: state }, at);
    }
  }
}

/** Lets the platform be indiscreet with every second call; answers what it has still to say. */
function armIndiscretions(h: Harness): Map<string, Indiscretion> {
  const left = new Map(Object.entries({ ...TOKEN_INDISCRETIONS, ...TABLE_INDISCRETIONS }));
  let turn = 0;
  h.interfere = (incoming, response, prepared) => {
    const { record, answer } = prepared;
    const kinds = record.interface === '1002' ? TOKEN_INDISCRETIONS : TABLE_INDISCRETIONS;
    const [name] = [...left.keys()].filter((one) => Object.hasOwn(kinds, one));
    turn += 1;
    const isTurn = record.interface === '1002' || (turn % 2 === 0 && record.dataset !== null);
    if (!name || !isTurn || answer.result !== 'ok') return false;
    const play = left.get(name)!;
    left.delete(name);
    play(response, gossipOf(h, incoming.url ?? ''), prepared);
    return true;
  };
  return left;
}

function gossipOf(h: Harness, url: string): Gossip {
  const query = url.slice(url.indexOf('?') + 1);
  const [{ name, mobile, telephone }] = PEOPLE;
  const token = new URLSearchParams(query).get('token') ?? h.simulator.tokens.at(-2) ?? 'none';
  const spaced = mobile.replace(/(...)(....)/, '$1-$2 ');
  const said = PEOPLE.map((one) => `${one.name}(${one.mobile}, ${one.telephone})`).join('；');
  const body = `${said} ${spaced} ${token} ${BASE_KEY} ${encodeURIComponent(name)}`;
  return { text: body, name, mobile, telephone, token, baseKey: BASE_KEY, query };
}

/** Has a database refuse the people's rows, in words that quote them. */
async function refusePeople(h: Harness): Promise<void> {
  await h.query(`create function vcc.tell() returns trigger language plpgsql as $$ begin
    raise exception 'row of % is refused', new.name
      using detail = new::text, hint = new.mobile, errcode = '22000'; end $$`);
  await h.query(`create trigger tell before insert or update on vcc.subscriber
    for each row when (new.subscriber_code = 'L0' and new.org_code = 'WJ0105') execute function vcc.tell()`);
  await h.query(`alter table vcc.subscriber add constraint nobody
    check (subscriber_code <> 'L1' or org_code <> 'NJ0101') not valid`);
}

async function acceptPeople(h: Harness): Promise<void> {
  await h.query('drop trigger tell on vcc.subscriber');
  await h.query('alter table vcc.subscriber drop constraint nobody');
}

/** Waits, while what would be waited for half a minute is due at once. */
async function untilCalm(h: Harness, check: () => unknown): Promise<void> {
  await eventually(
    async () => {
      await h.query('update vcc.platform_state set probe_at = now() where probe_at > now()');
      await check();
    },
    { within: 300_000 },
  );
}

/** Has files that quote people loaded by hand: a good table, bad ones, and a map of repairs. */
async function bringPeople(traces: Traces, env: Record<string, string>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'vcc-sync-leaks-'));
  const [{ name, mobile, telephone }] = PEOPLE;
  const header = CATALOGUE.subscribers.columns.map((column) => column.header);
  const good = ['L0', name, 'A1', name, '1', 'A', telephone, mobile, 'WJ0105'].join('|');
  const files = {
    'good.txt': `${header.join('|')}\n${good}\n${name}|${mobile}\n`,
    'header.txt': `${header.slice(1).join('|')}|${name}\n${good}\n`,
    'no-table.txt': `${name} ${mobile}\n`,
    'repairs.tsv': `999999\t${good}\n${name}\t${good}\n`,
  };
  try {
    for (const [file, content] of Object.entries(files)) {
      await writeFile(join(folder, file), content);
    }
    const load = (file: string) =>
      `import --org WJ0105 --dataset subscribers --as-of 2026-01-01 ${join(folder, file)}`;
    const commands = [
      `${load('good.txt')} --json`,
      load('header.txt'),
      load('no-table.txt'),
      `rejects replay --map ${join(folder, 'repairs.tsv')}`,
      'rejects replay --org WJ0105 --json',
      'gaps accept --org WJ0105 --dataset meters --from 2020-01-01 --to 2020-01-02 --reason old',
    ];
    expect(await traces.run(commands, env)).toEqual([0, 1, 2, 2, expect.any(Number), 2]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Everything that the service wrote or answered, by place. */
class Traces {
  readonly texts = new Map<string, string>();

  add(place: string, text: string): void {
    this.texts.set(place, `${this.texts.get(place) ?? ''}\n${text}`);
  }

  /** Runs commands, whose output is kept; answers their exit codes. */
  async run(commands: readonly string[], env: Record<string, string>): Promise<(number | null)[]> {
    const codes: (number | null)[] = [];
    for (const command of commands) {
      const { code, stdout, stderr } = await outputOf(spawnCommand(command.split(' '), env));
      this.add(`output of ${command}`, `${stdout}\n${stderr}`);
      codes.push(code);
    }
    return codes;
  }

  async ask(process: ServiceProcess, paths: readonly string[]): Promise<void> {
    for (const path of paths) {
      const { statusCode, headers, body } = await request(`${process.url()}${path}`);
      this.add(
        `answer to ${path}`,
        `${statusCode} ${JSON.stringify(headers)} ${await body.text()}`,
      );
    }
  }
}

/** Everything that may go wrong, with processes whose queue is there, and the look for what has leaked. */
export function leakSuite(queue: Record<string, string>): void {
  const service = useService(queue);
  let proxy: FaultProxy | undefined;
  afterEach(async () => {
    await proxy?.close();
    proxy = undefined;
  });

  const settings = {
    LOG_LEVEL: 'trace',
    VCC_MASTER_KEY: MASTER_KEY,
    VCC_SIGN_REQUESTS: 'true',
    VCC_IDLE_TIMEOUT: '2s',
    VCC_TOTAL_TIMEOUT: '10s',
    VCC_MAX_BODY: '16MiB',
    SYNC_RETRY_BASE: '200ms',
    SYNC_RETRY_MAX: '1s',
  };

  async function stored(h: Harness): Promise<Haystack> {
    const redis = queue.REDIS_URL
      ? await redisTexts(queue.REDIS_URL, keyPrefix(await h.store.databaseName()))
      : new Map();
    return new Map([...(await postgresTexts(h.store.pool, THEIR_PLACE)), ...redis]);
  }

  it('keeps names, numbers, tokens and keys to where they belong, whatever goes wrong', async () => {
    const { current: h } = service;
    const traces = new Traces();
    const jobs = '/queues/api/queues?activeQueue=sync';
    const feeds = h.world.orgs.flatMap(({ code }) =>
      Object.keys(CATALOGUE).map((dataset) => `/feeds/${code}/${dataset}`),
    );
    const paths = [...(await webPaths()), ...feeds, jobs, '/no-such-page'];
    expect(paths).toEqual(expect.arrayContaining(['/', '/healthz', '/readyz']));
    const found = async () =>
      findNeedles(new Map([...traces.texts, ...(await stored(h))]), needlesOf(h));
    putPeople(h, 0);

    // An indiscreet platform.
    const { hostname: host, port } = new URL(h.databaseUrl);
    proxy = await startFaultProxy({ target: { host, port: Number(port) } });
    const indiscretions = armIndiscretions(h);
    const processes = await Promise.all([
      service.start(settings),
      service.start({ ...settings, DATABASE_URL: proxy.url(h.databaseUrl) }),
    ]);
    await untilCalm(h, () => {
      // Renewed at once, so that getToken too has its say.
      if (Object.keys(TOKEN_INDISCRETIONS).some((one) => indiscretions.has(one)))
        h.simulator.expireToken();
      expect([...indiscretions.keys()]).toEqual([]);
    });
    await Promise.all(processes.map((one) => traces.ask(one, paths)));
    expect(await found()).toEqual([]);

    // Faults of every kind, and a database that comes and goes.
    h.simulator.faults.random({ seed: 3, rate: 0.4 });
    for (let cut = 1; cut <= 4; cut += 1) {
      await untilCalm(h, () => expect(h.simulator.injected.length).toBeGreaterThan(15 * cut));
      proxy.cut();
      putPeople(h, cut);
    }
    await h.simulator.faults.clear();

    // A database that quotes what it refuses.
    await refusePeople(h);
    putPeople(h, 5);
    await untilCalm(h, async () => {
      const refused = await h.query(`select distinct last_error from vcc.feed
        where last_error like '%SQLSTATE%22000%' or last_error like '%constraint nobody%'`);
      expect(refused).toHaveLength(2);
    });
    await Promise.all(processes.map((one) => traces.ask(one, paths)));
    const env = service.settings(settings);
    expect(await traces.run(['sync --org WJ0105 --dataset subscribers'], env)).toEqual([1]);
    await acceptPeople(h);

    // Commands, at first while the platform goes on being indiscreet.
    const again = armIndiscretions(h);
    const before = again.size;
    await untilCalm(h, async () => {
      h.simulator.expireToken();
      await traces.run(['doctor', 'doctor --json', 'sync', 'sync --org NJ0101'], env);
      expect(again.size).toBeLessThan(before - Object.keys(TOKEN_INDISCRETIONS).length);
    });
    h.interfere = null;
    await untilCalm(h, () => service.expectEqualAfter(Date.now() - 5_000));
    await Promise.all(processes.map((one) => traces.ask(one, paths)));
    for (const [index, one] of processes.entries()) {
      await one.stop();
      traces.add(`stderr of process ${index}`, one.stderr());
    }
    const codes = await traces.run(COMMANDS, env);
    const failed = COMMANDS.filter((_, index) => codes[index] !== 0);
    // What lies months back can not be asked for.
    expect(failed).toEqual([expect.stringMatching(/^resync/)]);
    await bringPeople(traces, env);
    expect(await found()).toEqual([]);
    expect(traces.texts.get('stderr of process 0')).toContain('"msg":"window failed"');
    expect(traces.texts.get('output of rejects --all --limit 1000')).toContain('|***|');
    await expectPeopleWhereTheyBelong(h);
    await expectScanToBite(h, traces, found);
  }, 900_000);

  /** Without this the scan would prove nothing: all of them were there to be told. */
  async function expectPeopleWhereTheyBelong(h: Harness): Promise<void> {
    const everything = await postgresTexts(h.store.pool, []);
    const theirs = findNeedles(everything, needlesOf(h));
    for (const dataset of ['address', 'supply_point', 'subscriber', 'meter', 'reject']) {
      expect(theirs).toContain(`table vcc.${dataset}: name 0`);
    }
    expect(theirs).toContain('table vcc.reject: mobile 0');
    const reasons = await h.query('select distinct reason from vcc.reject where line like $1', [
      `%${PEOPLE[0].name}%`,
    ]);
    expect(reasons.length).toBeGreaterThanOrEqual(6);
    const [token] = await h.query<{ token: string }>('select token from vcc.session_token');
    expect(token?.token).toMatch(/^sealed:v1:/);
    expect(h.simulator.tokens.length).toBeGreaterThan(Object.keys(TOKEN_INDISCRETIONS).length);
    const codes = await h.query<{ code: string }>(
      'select distinct error_code as code from vcc.run where error_code is not null',
    );
    expect(codes.map(({ code }) => code)).toEqual(
      expect.arrayContaining([
        'NOT_A_TABLE',
        'PLATFORM_ERROR',
        'SOURCE_UNAVAILABLE',
        'HEADER_MISMATCH',
        'TOO_MANY_REJECTS',
        'TRUNCATED',
        'DATABASE_BUSY',
        'INTERNAL',
      ]),
    );
  }

  /** Plants something in every kind of place that was looked through, and looks again. */
  async function expectScanToBite(
    h: Harness,
    traces: Traces,
    found: () => Promise<string[]>,
  ): Promise<void> {
    const [{ name, mobile, telephone }] = PEOPLE;
    const token = h.simulator.tokens[0]!;
    await h.query(
      'update vcc.run set error_message = $1 where id = (select max(id) from vcc.run)',
      [`call ${mobile.slice(0, 3)}-${mobile.slice(3)}`],
    );
    await h.query('update vcc.feed set last_error = $1 where id = 1', [`x ${token.toLowerCase()}`]);
    await h.query('update vcc.platform_state set error_message = $1', [`(${telephone})`]);
    await h.query(
      `update vcc.reject set row_key = $1 where id = (select max(id) from vcc.reject)`,
      [name],
    );
    await h.query('update vcc.session_token set token = $1', [token]);
    traces.add(
      'answer to /',
      JSON.stringify(name).replace(/[^ -~]/g, (one) => `\\u${one.charCodeAt(0).toString(16)}`),
    );
    traces.add('stderr of process 0', encodeURIComponent(name));
    traces.add('output of status', Buffer.from(BASE_KEY).toString('hex'));
    const databaseName = await h.store.databaseName();
    const backend = openBackend({
      redisUrl: queue.REDIS_URL ?? null,
      databaseUrl: h.databaseUrl,
      namespace: databaseName,
      onError: () => {},
    });
    const planted = backend.queue<object>('planted');
    await planted.add(MASTER_KEY.slice(0, 8), { key: MASTER_KEY });
    await planted.close();
    await backend.close();
    const finds = await found();
    expect(finds).toEqual(
      expect.arrayContaining([
        'table vcc.run: mobile 0',
        'table vcc.feed: token',
        'table vcc.platform_state: telephone 0',
        'table vcc.reject: name 0',
        'table vcc.session_token: token',
        'answer to /: name 0',
        'stderr of process 0: name 0',
        'output of status: base key',
      ]),
    );
    const inQueue = finds.filter((find) => /^(Redis hash|table bullmq)/.test(find));
    expect(inQueue).toEqual([expect.stringMatching(/: master key$/)]);
  }
}
