import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { eventually } from './eventually.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Names the variable by which a run of tests says what bundle of the program its processes run. */
export const PROGRAM = 'VCC_SYNC_TEST_PROGRAM';

/** How long a process may take to start, in milliseconds, on a machine that has much else to do. */
const START_LIMIT = 50_000;

/** Processes that have not ended; what a test leaves behind ends with us. */
const living = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

/** Starts `vcc-sync` as a process of its own, with these settings and nothing of our environment. */
export function spawnCommand(
  args: readonly string[],
  env: Record<string, string>,
  stdin: 'ignore' | 'pipe' = 'ignore',
): ChildProcess {
  // Outside of vitest there are only the sources.
  const bundle = process.env[PROGRAM];
  const program = bundle ? [bundle] : ['--import', 'tsx', 'src/cli/main.ts'];
  const child = spawn(process.execPath, [...program, ...args], {
    cwd: ROOT,
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: [stdin, 'pipe', 'pipe'],
  });
  living.add(child);
  child.once('exit', () => living.delete(child));
  return child;
}

/** How a command ended, and what it wrote. */
export interface CommandOutput {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Reads what a command writes until it has ended. */
export async function outputOf(child: ChildProcess): Promise<CommandOutput> {
  const ended = once(child, 'close') as Promise<[number | null]>;
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout!),
    text(child.stderr!),
    ended,
  ]);
  return { code, stdout, stderr };
}

/** One line of a process's log. */
export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [fact: string]: unknown;
}

/** A process of the service. */
export interface ServiceProcess {
  readonly pid: number;
  readonly lines: readonly LogLine[];
  /** Everything that it wrote to stderr, as it is. */
  readonly stderr: () => string;
  /** Address of its web role. */
  readonly url: () => string;
  /** Its exit code once it has ended; null if a signal ended it. */
  readonly exited: Promise<number | null>;
  kill(signal: NodeJS.Signals): void;
  /** Sends SIGTERM and answers the exit code and how long it took, in milliseconds. */
  stop(): Promise<{ code: number | null; ms: number }>;
}

/** Starts the service as a process of its own, and leaves it to itself. */
export function spawnServiceProcess(
  env: Record<string, string>,
  args: readonly string[] = [],
): ServiceProcess {
  const child = spawnCommand(['start', ...args], { WEB_PORT: '0', ...env });
  const lines: LogLine[] = [];
  const written: string[] = [];
  createInterface({ input: child.stderr! }).on('line', (line) => {
    written.push(`${line}\n`);
    const read = readLine(line);
    if (read) lines.push(read);
  });
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  return {
    pid: child.pid!,
    lines,
    stderr: () => written.join(''),
    url: () => String(lines.find(isStarted)?.url),
    exited,
    kill: (signal) => void child.kill(signal),
    async stop() {
      const started = performance.now();
      child.kill('SIGTERM');
      return { code: await exited, ms: performance.now() - started };
    },
  };
}

/** Waits until a process says that it has started. */
export async function hasStarted(one: ServiceProcess): Promise<void> {
  let hasEnded = false;
  void one.exited.then(() => {
    hasEnded = true;
  });
  await eventually(
    () => {
      if (!hasEnded && !one.lines.some(isStarted)) throw new Error('it has not started yet');
    },
    { within: START_LIMIT },
  );
  if (hasEnded) throw new Error(`the service did not start: ${one.stderr()}`);
}

/** Reads a line of the log; null if it is none, or was cut short by a kill. */
function readLine(line: string): LogLine | null {
  try {
    return line.startsWith('{') ? (JSON.parse(line) as LogLine) : null;
  } catch {
    return null;
  }
}

/** Whether a line says that the service has started. */
export function isStarted({ msg }: LogLine): boolean {
  return msg === 'service started';
}
