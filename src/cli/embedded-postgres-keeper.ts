import { type ChildProcess, spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { platform } from 'node:os';
import { createInterface } from 'node:readline';
import { type Account, environment } from './embedded-postgres-account.ts';

/** A program with its arguments. */
export interface Command {
  readonly file: string;
  readonly args: readonly string[];
}

const TAIL_LINES = 20;

// Begins the line by which the keeper says that a program ended, and how.
const ENDED = 'vcc-sync-keeper: ended: ';

/**
 * Runs the programs it is told on stdin, one at a time, signals the running one when told so, and says
 * on stdout how each ended, after the program's own output; when stdin closes it ends the running one (fast shutdown, immediate after 8 s,
 * kill after 15 s) and deletes the folder. The kernel closes our end of the pipe however we die.
 *
 * It is a string, since a file of its own would need a TypeScript loader in a checkout and none in `dist`.
 */
const KEEPER = `
const { spawn } = require('node:child_process');
const { rmSync } = require('node:fs');
const { createInterface } = require('node:readline');
const { folder, account } = JSON.parse(process.argv[1]);
let child, ending = false;
function finish() {
  if (!ending || child) return;
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  process.exit();
}
function run({ file, args }) {
  const started = spawn(file, args, { cwd: folder, ...account, stdio: ['ignore', 1, 1] });
  const ended = (how) => {
    if (child !== started) return;
    child = undefined;
    process.stdout.write('\\n${ENDED}' + how + '\\n');
    finish();
  };
  child = started;
  started.on('error', (error) => started.pid || ended(error.message));
  started.on('exit', (code, signal) => ended(signal ?? code));
}
function end() {
  if (ending) return;
  ending = true;
  child?.kill('SIGINT');
  setTimeout(() => child?.kill('SIGQUIT'), 8_000);
  setTimeout(() => child?.kill('SIGKILL'), 15_000);
  finish();
}
process.stdout.on('error', () => {});
for (const signal of ['SIGINT', 'SIGHUP']) process.on(signal, () => {});
process.on('SIGTERM', end);
function obey({ signal, ...program }) {
  if (signal) child?.kill(signal);
  else run(program);
}
createInterface({ input: process.stdin }).on('line', (line) => obey(JSON.parse(line))).on('close', end);
`;

/** Our side of the keeper: a small detached process that is the server's parent and cleans up after it. */
export class Keeper {
  readonly #folder: string;
  readonly #process: ChildProcess;
  readonly #exited: Promise<unknown>;
  #tail: string[] = [];
  #ended: ((how: string) => void) | undefined;
  #stopped: Promise<void> | undefined;

  constructor(folder: string, account: Account, log: (line: string) => void = () => {}) {
    this.#folder = folder;
    // Detached, in a session of its own: Ctrl-C reaches the terminal's whole process group.
    this.#process = spawn(process.execPath, ['-e', KEEPER, JSON.stringify({ folder, account })], {
      cwd: folder,
      detached: true,
      windowsHide: true,
      env: environment(),
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    this.#exited = new Promise((resolve) => {
      this.#process.once('exit', resolve).once('error', resolve);
    });
    // A keeper that was killed breaks the pipe; its exit says so already.
    this.#process.stdin?.on('error', () => {});
    createInterface({ input: this.#process.stdout! }).on('line', (line) => {
      if (line.startsWith(ENDED)) this.#ended?.(`ended with ${line.slice(ENDED.length)}`);
      else if (line) this.#print(line, log);
    });
  }

  /** Runs a program; resolves with how it ended (`ended with 0` if well), or that it did not in time. */
  run(command: Command, signal: AbortSignal): Promise<string> {
    this.#tail = [];
    this.#process.stdin?.write(`${JSON.stringify(command)}\n`);
    return new Promise((resolve) => {
      this.#ended = resolve;
      this.#exited.then(() => resolve('lost its keeper'));
      const late = () => resolve('not done in time');
      if (signal.aborted) late();
      else signal.addEventListener('abort', late, { once: true });
    });
  }

  /** Ends the running program by a signal; resolves once it has ended. */
  end(signal: NodeJS.Signals): Promise<void> {
    return new Promise((resolve) => {
      this.#ended = () => resolve();
      this.#exited.then(() => resolve());
      this.#process.stdin?.write(`${JSON.stringify({ signal })}\n`);
    });
  }

  #print(line: string, log: (line: string) => void): void {
    this.#tail = [...this.#tail, line].slice(-TAIL_LINES);
    log(line);
  }

  /** Tells whether the last program's last lines have a text. */
  said(text: string): boolean {
    return this.#tail.some((line) => line.includes(text));
  }

  /** An error with the last program's last lines. */
  failure(what: string): Error {
    return new Error(['the embedded Postgres did not start', what, ...this.#tail].join('\n  '));
  }

  /** Lets our process end although the keeper runs; the keeper then ends too. */
  unref(): void {
    this.#process.unref();
    for (const stream of this.#process.stdio) (stream as Socket | null)?.unref();
  }

  /** Ends the running program and the keeper, and deletes the folder. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#process.ref();
    this.#process.stdin?.end();
    await this.#exited;
    // Only a keeper that was itself killed leaves a server (of its process group) and the folder.
    if (this.#process.exitCode !== 0) this.#killGroup();
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  #killGroup(): void {
    const { pid } = this.#process;
    if (!pid || platform() === 'win32') return;
    try {
      process.kill(-pid, 'SIGQUIT');
    } catch {
      // No such group: the server is gone, too.
    }
  }
}
