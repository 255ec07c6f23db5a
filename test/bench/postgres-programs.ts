import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import type { Binaries } from '../../src/cli/embedded-postgres-binaries.ts';

const execute = promisify(execFile);

/** The release of Postgres that figures are compared on. */
const RELEASE = 15;

/**
 * Finds the programs of a Postgres 15 on this system: by `pg_config`, on the `PATH`, or where Debian's
 * packages put them; null if there is none.
 */
export async function findPostgres(): Promise<Binaries | null> {
  const named = await firstLine('pg_config', ['--bindir']);
  const folders = [
    named,
    ...(process.env.PATH ?? '').split(delimiter),
    `/usr/lib/postgresql/${RELEASE}/bin`,
  ];
  for (const folder of folders) {
    if (!folder) continue;
    const binaries = { initdb: join(folder, 'initdb'), postgres: join(folder, 'postgres') };
    const version = await firstLine(binaries.postgres, ['--version']);
    if (version?.includes(` ${RELEASE}.`) && (await canRun(binaries.initdb))) return binaries;
  }
  return null;
}

/** The first line that a program prints, for its version; null if it is not there or fails. */
export async function firstLine(file: string, args: readonly string[]): Promise<string | null> {
  try {
    const { stdout } = await execute(file, [...args]);
    return stdout.split('\n')[0]!.trim();
  } catch {
    return null;
  }
}

async function canRun(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
