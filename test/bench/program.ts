import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Stage } from './stage.ts';

/** A process of the bench's own that does tasks; its start is never measured. */
export interface Program<T, R> {
  /**
   * Does one task.
   *
   * @throws Error what the process says went wrong, or that it ended
   */
  run(task: T): Promise<R>;
  /** Ends the process. */
  stop(): Promise<void>;
}

type Answer<R> = { readonly result: R } | { readonly error: string };

/** Where programs are started: their compiled files, and what ends them. */
export type Ground = Pick<Stage, 'programs' | 'signal'>;

/** Of what a program has printed, so many characters are told when it ends. */
const TAIL = 2_000;

let started = 0;

/**
 * Starts a program of folder `programs` and answers once it is loaded.
 *
 * @throws Error if it ends instead
 */
export async function startProgram<T, R>(
  { programs, signal }: Ground,
  file: string,
): Promise<Program<T, R>> {
  signal.throwIfAborted();
  const path = join(programs, `${file}.js`);
  started += 1;
  const logPath = join(programs, `${file}-${started}.log`);
  // To a file and not to us: to read their log would take time of the processors that are measured.
  const log = await open(logPath, 'w');
  const child = fork(path, {
    execArgv: [],
    stdio: ['ignore', 'ignore', log.fd, 'ipc'],
    env: { PATH: process.env.PATH ?? '' },
  });
  await log.close();
  const exited = once(child, 'exit').then(async ([code, name]) => {
    if (signal.aborted) throw signal.reason;
    const tail = (await readFile(logPath, 'utf8')).slice(-TAIL);
    throw new Error(`${file} ended: ${code ?? name}\n${tail}`.trimEnd());
  });
  exited.catch(() => {});
  const kill = () => child.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  await Promise.race([once(child, 'message'), exited]);
  return {
    async run(task) {
      const answered = once(child, 'message');
      child.send(task as object);
      const [answer] = (await Promise.race([answered, exited])) as [Answer<R>];
      if ('error' in answer) throw new Error(`${file}: ${answer.error}`);
      return answer.result;
    },
    async stop() {
      signal.removeEventListener('abort', kill);
      await stop(child);
    },
  };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

/** Runs one task in a process of its own, from its start to its end. */
export async function runProgram<T, R>(ground: Ground, file: string, task: T): Promise<R> {
  const program = await startProgram<T, R>(ground, file);
  try {
    return await program.run(task);
  } finally {
    await program.stop();
  }
}

/** The program's side: does the tasks that it is sent, and ends with whoever started it. */
export function serveTasks<T, R>(work: (task: T) => Promise<R>): void {
  process.on('disconnect', () => process.exit());
  process.on('message', async (task: T) => {
    const answer: Answer<R> = await work(task).then(
      (result) => ({ result }),
      (error: unknown) => ({ error: error instanceof Error ? error.message : String(error) }),
    );
    process.send!(answer);
  });
  process.send!({ result: 'ready' });
}

/** The most memory that this process has ever held, in bytes. */
export function peakMemory(): number {
  try {
    // What the system says of itself: `maxRSS` may still tell of the process that started us.
    const status = readFileSync('/proc/self/status', 'utf8');
    return Number(/^VmHWM:\s*(\d+) kB/m.exec(status)![1]) * 1024;
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}

/** Processor time that this process has used so far, in seconds. */
export function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
