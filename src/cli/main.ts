#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { FatalError } from '../core/errors.ts';
import { reportFailure } from './failure.ts';

type Register = (program: Command) => void;

// In the order of help: first steps, the service, its ledgers, trouble. Loaded when asked for: a
// look at the status need not wait for the service's libraries.
const COMMANDS: Readonly<Record<string, () => Promise<Register>>> = {
  demo: async () => (await import('./demo.ts')).registerDemo,
  migrate: async () => (await import('./migrate.ts')).registerMigrate,
  org: async () => (await import('./org.ts')).registerOrg,
  start: async () => (await import('./start.ts')).registerStart,
  sync: async () => (await import('./sync.ts')).registerSync,
  resync: async () => (await import('./resync.ts')).registerResync,
  feed: async () => (await import('./feed.ts')).registerFeed,
  status: async () => (await import('./status.ts')).registerStatus,
  runs: async () => (await import('./runs.ts')).registerRuns,
  rejects: async () => (await import('./rejects.ts')).registerRejects,
  gaps: async () => (await import('./gaps.ts')).registerGaps,
  doctor: async () => (await import('./doctor.ts')).registerDoctor,
  simulate: async () => (await import('./simulate.ts')).registerSimulate,
};

async function buildProgram(firstWord = ''): Promise<Command> {
  const program = new Command('vcc-sync')
    .description(
      "Keeps a Postgres copy of the VCC Open API's master data in step, and proves what it has and what it lacks.",
    )
    .version(readVersion(), '-V, --version', 'print the version')
    .option('--settings <file>', 'read settings from a file; those of the environment win')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help of a command')
    .addHelpText(
      'after',
      '\nSettings are environment variables: see .env.example. Data goes to stdout, all else to stderr.' +
        '\nExit codes: 0 done, 1 failed, 2 wrong usage or settings.',
    )
    .exitOverride()
    .hook('preAction', (_program, command) => loadSettingsFile(command.optsWithGlobals().settings));
  const asked = Object.hasOwn(COMMANDS, firstWord)
    ? [COMMANDS[firstWord]!]
    : Object.values(COMMANDS);
  for (const load of asked) (await load())(program);
  return program;
}

function readVersion(): string {
  // The same depth from src/cli and dist/cli.
  const file = new URL('../../package.json', import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')).version;
}

function loadSettingsFile(file: string | undefined): void {
  if (file === undefined) return;
  try {
    process.loadEnvFile(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file' : `it can not be read (${code})`;
    throw new FatalError('CONFIG', `--settings ${file}: ${why}`);
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
  const program = await buildProgram(process.argv[2]);
  await program.parseAsync();
} catch (error) {
  process.exitCode = reportFailure(error);
}
