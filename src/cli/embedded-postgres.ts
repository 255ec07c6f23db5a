import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { type Account, give, makeFolder, serverAccount } from './embedded-postgres-account.ts';
import { type Binaries, findBinaries, usableBinaries } from './embedded-postgres-binaries.ts';
import { Keeper } from './embedded-postgres-keeper.ts';

/** How an embedded Postgres is started. */
export interface EmbeddedPostgresOptions {
  /** Told each line that `initdb` and the server print. */
  readonly log?: (line: string) => void;
  /** Server settings (`-c name=value`); they win over ours. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Programs to run; by default those of the package `embedded-postgres`. */
  readonly binaries?: Binaries;
}

/** A throw-away Postgres that runs. */
export interface EmbeddedPostgres {
  /** Connection string of its superuser, password included, on 127.0.0.1. */
  readonly url: string;
  /**
   * Ends the server, in order or at once (`immediate`, as after a crash: it recovers from its log), and
   * starts it again with the same data on the same port; one restart at a time.
   *
   * @throws Error with the server's last lines if it does not answer within 60 seconds
   */
  restart(how: 'fast' | 'immediate'): Promise<void>;
  /** Shuts the server down and deletes every file of it; more than once is harmless. */
  stop(): Promise<void>;
}

const START_LIMIT_MS = 60_000;
const PORT_ATTEMPTS = 5;
const ANSWERS = 'answers';

// Nothing has to survive a crash, so nothing waits for the disk.
const THROW_AWAY = {
  listen_addresses: '127.0.0.1',
  // No sockets: their paths may be too long, and TCP is enough.
  unix_socket_directories: '',
  max_connections: '200',
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
};

/**
 * Starts a throw-away Postgres on a free port of 127.0.0.1, with a random password, UTF8, locale C and
 * its data in a folder of its own below the temporary folder.
 *
 * Only the binaries of the package `embedded-postgres` are used, not its class: that one needs a user
 * `postgres` when we are root, can not run from a folder which that user can not enter, needs the symlinks
 * of an install script, is in the reach of Ctrl-C, and leaves the server behind when we are killed.
 *
 * The server lives at most as long as this process, and does not keep this process alive.
 *
 * @throws Error with the server's last lines if it does not answer within 60 seconds
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions = {},
): Promise<EmbeddedPostgres> {
  const found = options.binaries ?? (await findBinaries());
  const account = await serverAccount();
  const folder = await makeFolder(account);
  const keeper = new Keeper(folder, account, options.log);
  try {
    const signal = AbortSignal.timeout(START_LIMIT_MS);
    const binaries = await usableBinaries(found, folder, account);
    const password = randomBytes(16).toString('hex');
    const data = join(folder, 'data');
    await initialise(keeper, binaries.initdb, { data, password, account, signal });
    const settings = { ...THROW_AWAY, ...options.settings };
    const cluster = { data, password, settings };
    const url = await serve(keeper, binaries.postgres, { ...cluster, signal });
    keeper.unref();
    return {
      url,
      async restart(how) {
        await keeper.end(how === 'fast' ? 'SIGINT' : 'SIGQUIT');
        const again = { ...cluster, signal: AbortSignal.timeout(START_LIMIT_MS) };
        await serve(keeper, binaries.postgres, again, Number(new URL(url).port));
      },
      stop: () => keeper.stop(),
    };
  } catch (error) {
    await keeper.stop();
    throw error;
  }
}

interface ClusterOptions {
  readonly data: string;
  readonly password: string;
  readonly signal: AbortSignal;
}

async function initialise(
  keeper: Keeper,
  file: string,
  { data, password, account, signal }: ClusterOptions & { readonly account: Account },
): Promise<void> {
  const passwordFile = `${data}-password`;
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600, flag: 'wx' });
  await give(passwordFile, account);
  const cluster = ['--pgdata', data, '--username', 'postgres', '--pwfile', passwordFile];
  const kind = ['--auth=scram-sha-256', '--encoding=UTF8', '--locale=C', '--no-sync'];
  const how = await keeper.run({ file, args: [...cluster, ...kind, '--no-instructions'] }, signal);
  await rm(passwordFile);
  if (how !== 'ended with 0') throw keeper.failure(`initdb: ${how}`);
}

/** Starts the server, on a free port unless one is given, and answers its URL once it takes queries. */
async function serve(
  keeper: Keeper,
  file: string,
  options: ClusterOptions & { readonly settings: Readonly<Record<string, string>> },
  given?: number,
): Promise<string> {
  const { data, password, settings, signal } = options;
  const pairs = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  for (let attempt = 1; ; attempt += 1) {
    const port = given ?? (await freePort());
    const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
    const ended = keeper.run({ file, args: ['-D', data, '-p', String(port), ...pairs] }, signal);
    const how = await Promise.race([ended, answers(url, ended)]);
    if (how === ANSWERS) return url;
    // Another program may take the port between our look and the server's.
    if (keeper.said('could not bind') && attempt < PORT_ATTEMPTS) continue;
    throw keeper.failure(`the server: ${how}`);
  }
}

/** Asks the server until it answers, or has ended; the password proves that it is ours. */
async function answers(url: string, ended: Promise<string>): Promise<string> {
  let how: string | undefined;
  ended.then((ending) => {
    how = ending;
  });
  while (how === undefined) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
    client.on('error', () => {});
    try {
      await client.connect();
      await client.query('select 1');
      return ANSWERS;
    } catch {
      await delay(50);
    } finally {
      await client.end().catch(() => {});
    }
  }
  return how;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address !== 'object' || !address) throw new Error('no free port on 127.0.0.1');
  return address.port;
}
