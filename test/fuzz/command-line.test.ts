import type { Command } from 'commander';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, vi } from 'vitest';
import { reportFailure } from '../../src/cli/failure.ts';
import { buildProgram, settingsFirst } from '../../src/cli/program.ts';
import { SETTINGS } from '../../src/config.ts';
import { fuzz } from '../support/fuzz.ts';

/** A database that refuses every connection at once. */
const CLOSED = 'postgres://nobody@127.0.0.1:1/none';

const program = await buildProgram();

/** Every command, those below others too. */
const commands = (function all(command: Command): Command[] {
  return [command, ...command.commands.flatMap((one) => all(one as Command))];
})(program);

const commandPaths = commands.map(pathOf);
const flags = [
  ...new Set(commands.flatMap(({ options }) => options.flatMap(({ long }) => long ?? []))),
]
  // A file of settings would reach the process's own environment.
  .filter((flag) => flag !== '--settings');

function pathOf(command: Command): string[] {
  return command.parent ? [...pathOf(command.parent as Command), command.name()] : [];
}

/** Words that one option or another takes, and words that none should. */
const words = fc.oneof(
  fc.constantFrom(
    ...['WJ0105', 'meters', 'addresses,meters', 'all', '15m', '5%', '1', '0', '-1', ''],
  ),
  fc.constantFrom(
    ...['2026-11-01', '20261101000000', 'now', '9999-12-31T23:59:59-14:00', '0000-01-01'],
  ),
  fc.constantFrom(
    ...['--', '-', '-h', '-V', '--help', '--version', '--json=', '--__proto__', '-xyz'],
  ),
  fc.constantFrom(
    ...['__proto__', 'constructor', 'toString', 'help', 'then', 'error', '\u001b[31m', '张三'],
  ),
  fc.string({ unit: 'binary', maxLength: 12 }).map((text) => text.replaceAll('\0', '')),
);

const given = fc.oneof(
  { weight: 3, arbitrary: words.map((word) => [word]) },
  {
    weight: 4,
    arbitrary: fc.tuple(fc.constantFrom(...flags), words).map((pair): string[] => pair),
  },
  { weight: 2, arbitrary: fc.constantFrom(...flags).map((flag) => [flag]) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(...flags), words)
      .map(([flag, word]) => [`${flag}=${word}`]),
  },
  { weight: 1, arbitrary: fc.constantFrom(...commandPaths) },
);

/** A command's own options with values that are likely right, so that it comes to be run. */
const likely = fc.constantFrom(...commands.filter((command) => command.parent)).chain((command) => {
  const plausible: Readonly<Record<string, string>> = {
    ...{ '--org': 'WJ0105', '--dataset': 'meters', '--datasets': 'all', '--every': '15m' },
    ...{ '--from': '2026-11-01', '--to': '2026-11-02', '--since': '2026-11-01', '--limit': '5' },
    ...{ '--max-rejects': '5%', '--reason': 'why' },
  };
  const options = command.options.map(({ long, required }) => {
    const flag = long ?? '--json';
    return required || plausible[flag] !== undefined ? [flag, plausible[flag] ?? 'x'] : [flag];
  });
  const args = command.registeredArguments.map(() => 'WJ0105');
  return fc
    .subarray(options, { minLength: Math.max(0, options.length - 2) })
    .map((some) => [...pathOf(command), ...args, ...some.flat()]);
});

const lines = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.constantFrom(...commandPaths), fc.array(given, { maxLength: 7 }))
      .map(([path, rest]) => [...path, ...rest.flat()]),
  },
  { weight: 1, arbitrary: fc.array(given, { maxLength: 5 }).map((some) => some.flat()) },
  { weight: 2, arbitrary: likely },
);

/** What runs until it is told to stop, whatever the settings: only its arguments are read here. */
const ENDLESS = ['demo', 'simulate'];

interface Ended {
  readonly code: unknown;
  readonly stderr: string;
}

/** Runs a command line as `main.ts` does, and takes down what it says. */
async function run(args: readonly string[]): Promise<Ended> {
  let stderr = '';
  const err = vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    stderr += text;
    return true;
  });
  const out = vi.spyOn(process.stdout, 'write').mockImplementation(() => true);
  const before = process.exitCode;
  process.exitCode = 0;
  try {
    const built = await buildProgram(args[0]);
    for (const command of built.commands)
      if (ENDLESS.includes(command.name())) command.action(() => {});
    await built.parseAsync(settingsFirst(args), { from: 'user' });
  } catch (error) {
    process.exitCode = reportFailure(error);
  } finally {
    err.mockRestore();
    out.mockRestore();
  }
  const code = process.exitCode;
  process.exitCode = before;
  return { code, stderr };
}

function expectPlain({ code, stderr }: Ended, args: readonly string[]): void {
  expect([0, 1, 2]).toContain(code);
  expect(stderr).not.toMatch(/\n\s+at |INTERNAL|TypeError|RangeError|node:internal/);
  // What doctor finds goes to stdout.
  if (code !== 0 && !args.includes('doctor')) expect(stderr).not.toBe('');
}

describe('any command line', () => {
  const kept = { ...process.env };
  beforeAll(() => {
    for (const name of Object.keys(SETTINGS)) {
      delete process.env[name];
      delete process.env[`${name}_FILE`];
    }
  });
  afterAll(() => {
    Object.assign(process.env, kept);
  });

  fuzz(
    'without settings is done or wrong usage, and says so without a stack',
    fc.asyncProperty(lines, async (args) => {
      delete process.env.DATABASE_URL;
      const ended = await run(args);
      expectPlain(ended, args);
      if (ended.code === 1) expect(args).toContain('doctor');
    }),
  );

  fuzz(
    'without a database that answers fails in words',
    fc.asyncProperty(lines, async (args) => {
      process.env.DATABASE_URL = CLOSED;
      expectPlain(await run(args), args);
    }),
  );
});
