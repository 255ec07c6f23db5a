import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** The environment by which psql finds a database. */
export function postgresEnvironment(databaseUrl: string): Record<string, string> {
  const { hostname, port, username, password, pathname } = new URL(databaseUrl);
  return {
    PGHOST: hostname,
    PGPORT: port,
    PGUSER: username,
    PGPASSWORD: password,
    PGDATABASE: pathname.slice(1),
  };
}

/** A command line, with values for the variables that it names. */
export interface CommandLine {
  readonly text: string;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Runs a command line in a shell, in a process group of its own that ends when the signal aborts.
 *
 * @returns how long it took, in seconds
 * @throws Error with what it printed if any program of it failed
 */
export async function runShell({ text, env }: CommandLine, signal: AbortSignal): Promise<number> {
  signal.throwIfAborted();
  const started = performance.now();
  const child = spawn('bash', ['-c', `set -o pipefail; ${text}`], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH ?? '', LC_ALL: 'C.UTF-8', ...env },
  });
  let output = '';
  const keep = (chunk: Buffer) => {
    output = (output + chunk).slice(-2_000);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const kill = () => process.kill(-child.pid!, 'SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  try {
    const [code] = await once(child, 'close');
    signal.throwIfAborted();
    if (code !== 0) throw new Error(`${text.split(' ')[0]}: ended with ${code}\n${output}`);
    return (performance.now() - started) / 1000;
  } finally {
    signal.removeEventListener('abort', kill);
  }
}
