import { chown, mkdtemp, readFile, realpath, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** The user to run as; empty: as ourselves. */
export interface Account {
  readonly uid?: number;
  readonly gid?: number;
}

/** What a user can do who gets no embedded Postgres. */
export const ADVICE = 'set DATABASE_URL to a Postgres of yours instead';

/** What the server needs of our environment; it has secrets, and the server runs as another user. */
export function environment(): NodeJS.ProcessEnv {
  const names = ['PATH', 'LD_LIBRARY_PATH', 'DYLD_LIBRARY_PATH', 'SystemRoot', 'TEMP', 'TMP'];
  const kept = names.map((name) => [name, process.env[name]] as const);
  // Locale C also keeps the messages English, of which `serve` looks for one.
  return { ...Object.fromEntries(kept.filter(([, value]) => value !== undefined)), LC_ALL: 'C' };
}

/**
 * Chooses the user to run as: Postgres refuses root, who gets `postgres`, else `nobody`, else any other
 * known user.
 *
 * @throws Error if we are root and there is no other user
 */
export async function serverAccount(): Promise<Account> {
  if (process.getuid?.() !== 0) return {};
  const users = (await readFile('/etc/passwd', 'utf8'))
    .split('\n')
    .map((line) => line.split(':'))
    .filter(([name, , uid]) => name && !name.startsWith('#') && uid && uid !== '0')
    .map(([name, , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }));
  const named = (wanted: string) => users.find(({ name }) => name === wanted);
  const user = named('postgres') ?? named('nobody') ?? users[0];
  if (!user) {
    throw new Error(
      `no embedded Postgres: root can not run it, and no other user exists; ${ADVICE}`,
    );
  }
  return { uid: user.uid, gid: user.gid };
}

/**
 * Makes a folder of the account's own in the first temporary folder that it can enter.
 *
 * @throws Error if it can enter none
 */
export async function makeFolder(account: Account): Promise<string> {
  for (const parent of [tmpdir(), '/tmp', '/var/tmp']) {
    if (account.uid !== undefined && !(await openToAll(parent))) continue;
    const folder = await mkdtemp(join(parent, 'vcc-sync-postgres-'));
    await give(folder, account);
    return folder;
  }
  throw new Error(
    `no embedded Postgres: every temporary folder is closed to other users; ${ADVICE}`,
  );
}

/** Tells whether any user can reach a folder. */
async function openToAll(folder: string): Promise<boolean> {
  let path = await realpath(folder).catch(() => undefined);
  if (!path) return false;
  for (;;) {
    if (((await stat(path)).mode & 0o001) === 0) return false;
    if (path === dirname(path)) return true;
    path = dirname(path);
  }
}

/** Makes a file the account's. */
export async function give(path: string, { uid, gid }: Account): Promise<void> {
  if (uid !== undefined && gid !== undefined) await chown(path, uid, gid);
}
