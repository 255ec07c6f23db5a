import { vi } from 'vitest';
import { reportFailure } from '../../src/cli/failure.ts';
import { buildProgram } from '../../src/cli/program.ts';

/** How a command ended. */
export interface CommandResult {
  readonly code: number;
  /** What it wrote, byte for byte. */
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Runs a command of the command line in this process, with these settings; one at a time. */
export async function runCommand(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<CommandResult> {
  const written = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  const spies = (['stdout', 'stderr'] as const).map((stream) =>
    vi.spyOn(process[stream], 'write').mockImplementation(((
      piece: string | Uint8Array,
      ...rest: unknown[]
    ) => {
      written[stream].push(Buffer.from(piece as string));
      // A stream waits for its callback before it writes on.
      const done = rest.at(-1);
      if (typeof done === 'function') done();
      return true;
    }) as typeof process.stdout.write),
  );
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  const before = process.exitCode;
  process.exitCode = 0;
  try {
    const program = await buildProgram(args[0]);
    const code = await program.parseAsync([...args], { from: 'user' }).then(
      () => Number(process.exitCode),
      (error) => reportFailure(error),
    );
    const { stdout, stderr } = written;
    return { code, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() };
  } finally {
    process.exitCode = before;
    vi.unstubAllEnvs();
    for (const spy of spies) spy.mockRestore();
  }
}
