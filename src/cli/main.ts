#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { FatalError } from '../core/errors.ts';
import { registerDemo } from './demo.ts';
import { registerDoctor } from './doctor.ts';
import { reportFailure } from './failure.ts';
import { registerFeed } from './feed.ts';
import { registerGaps } from './gaps.ts';
import { registerMigrate } from './migrate.ts';
import { registerOrg } from './org.ts';
import { registerRejects } from './rejects.ts';
import { registerResync } from './resync.ts';
import { registerRuns } from './runs.ts';
import { registerSimulate } from './simulate.ts';
import { registerStart } from './start.ts';
import { registerStatus } from './status.ts';

import { registerSync } from './sync.ts';

// In the order of help: first steps, the service, its ledgers, trouble.
const COMMANDS: readonly ((program: Command) => void)[] = [
  registerDemo,
  registerMigrate,
  registerOrg,
  registerStart,
  registerSync,
  registerResync,
  registerFeed,
  registerStatus,
  registerRuns,
  registerRejects,
  registerGaps,
  registerDoctor,
  registerSimulate,
];

function buildProgram(): Command {
  const program = new Command('vcc-sync')
    .description(
      "Keeps a Postgres copy of the VCC Open API's master data in step, and proves what it has and what it lacks.",
    )
    .version(readVersion(), '-V, --version', 'print the version')
    .option('--env-file <file>', 'read settings from a file; those of the environment win')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help of a command')
    .addHelpText(
      'after',
      '\nSettings are environment variables: see .env.example. Data goes to stdout, all else to stderr.' +
        '\nExit codes: 0 done, 1 failed, 2 wrong usage or settings.',
    )
    .exitOverride()
    .hook('preAction', (_program, command) => loadEnvFile(command.optsWithGlobals().envFile));
  for (const register of COMMANDS) register(program);
  return program;
}

function readVersion(): string {
  // The same depth from src/cli and dist/cli.
  const file = new URL('../../package.json', import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')).version;
}

function loadEnvFile(file: string | undefined): void {
  if (file === undefined) return;
  try {
    process.loadEnvFile(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file' : `it can not be read (${code})`;
    throw new FatalError('CONFIG', `--env-file ${file}: ${why}`);
  }
}

/** A reader that has seen enough (`vcc-sync runs | head`) is no failure. */
function endQuietlyWithReader(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    throw error;
  });
}

endQuietlyWithReader();
try {
  await buildProgram().parseAsync();
} catch (error) {
  process.exitCode = reportFailure(error);
}
