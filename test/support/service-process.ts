import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { eventually } from './eventually.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Starts `vcc-sync` as a process of its own, with these settings and nothing of our environment. */
export function spawnCommand(args: readonly string[], env: Record<string, string>): ChildProcess {
  return spawn(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', ...args], {
    cwd: ROOT,
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
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
  kill(signal: NodeJS.Signals): void;
  /** Sends SIGTERM and answers the exit code and how long it took, in milliseconds. */
  stop(): Promise<{ code: number | null; ms: number }>;
}

/** Starts the service as a process of its own and waits until it says that it has started. */
export async function startServiceProcess(
  env: Record<string, string>,
  args: readonly string[] = [],
): Promise<ServiceProcess> {
  const child = spawnCommand(['start', ...args], { WEB_PORT: '0', ...env });
  const lines: LogLine[] = [];
  let stderr = '';
  createInterface({ input: child.stderr! }).on('line', (line) => {
    stderr += `${line}\n`;
    if (line.startsWith('{')) lines.push(JSON.parse(line) as LogLine);
  });
  const exited = once(child, 'exit') as Promise<[number | null]>;
  await eventually(
    () => {
      if (child.exitCode !== null) return;
      expect(lines.map(({ msg }) => msg)).toContain('service started');
    },
    { within: 30_000 },
  );
  if (child.exitCode !== null) throw new Error(`the service did not start: ${stderr}`);
  return {
    pid: child.pid!,
    lines,
    stderr: () => stderr,
    url: () => String(lines.find(({ msg }) => msg === 'service started')?.url),
    kill: (signal) => void child.kill(signal),
    async stop() {
      const started = performance.now();
      child.kill('SIGTERM');
      const [code] = await exited;
      return { code, ms: performance.now() - started };
    },
  };
}
