import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { FatalError } from '../core/errors.ts';

type Register = (program: Command) => void;

// In the order of help: first steps, the service, its ledgers, the platform's other calls, trouble. Loaded when asked for: a
// look at the status need not wait for the service's libraries.
const COMMANDS: Readonly<Record<string, () => Promise<Register>>> = {
  demo: async () => (await import('./demo.ts')).registerDemo,
  migrate: async () => (await import('./migrate.ts')).registerMigrate,
  org: async () => (await import('./org.ts')).registerOrg,
  start: async () => (await import('./start.ts')).registerStart,
  sync: async () => (await import('./sync.ts')).registerSync,
  resync: async () => (await import('./resync.ts')).registerResync,
  import: async () => (await import('./import.ts')).registerImport,
  reconcile: async () => (await import('./reconcile.ts')).registerReconcile,
  audit: async () => (await import('./audit.ts')).registerAudit,
  feed: async () => (await import('./feed.ts')).registerFeed,
  status: async () => (await import('./status.ts')).registerStatus,
  runs: async () => (await import('./runs.ts')).registerRuns,
  rejects: async () => (await import('./rejects.ts')).registerRejects,
  gaps: async () => (await import('./gaps.ts')).registerGaps,
  subscriber: async () => (await import('./subscriber.ts')).registerSubscriber,
  media: async () => (await import('./media.ts')).registerMedia,
  call: async () => (await import('./call.ts')).registerCall,
  doctor: async () => (await import('./doctor.ts')).registerDoctor,
  user: async () => (await import('./user.ts')).registerUser,
  secret: async () => (await import('./secret.ts')).registerSecret,
  simulate: async () => (await import('./simulate.ts')).registerSimulate,
};

/**
 * Builds the command line, without running anything.
 *
 * @param firstWord what was typed first: where it is a command, only that one is loaded
 */
export async function buildProgram(firstWord = ''): Promise<Command> {
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
    // Else a command's options would be taken for those of the command above it: gaps, rejects.
    .enablePositionalOptions()
    .exitOverride()
    .hook('preAction', (_program, command) => loadSettingsFile(command.optsWithGlobals().settings));
  const asked = Object.hasOwn(COMMANDS, firstWord)
    ? [COMMANDS[firstWord]!]
    : Object.values(COMMANDS);
  for (const load of asked) (await load())(program);
  return program;
}

/** Brings `--settings` to the front: it may stand anywhere, and is the program's own option. */
export function settingsFirst(args: readonly string[]): string[] {
  const end = args.includes('--') ? args.indexOf('--') : args.length;
  const at = args.findIndex((arg, index) => index < end && /^--settings(=|$)/.test(arg));
  if (at < 0) return [...args];
  const length = args[at] === '--settings' ? 2 : 1;
  return [...args.slice(at, at + length), ...args.slice(0, at), ...args.slice(at + length)];
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
