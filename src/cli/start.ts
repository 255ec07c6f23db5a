import { type Command, InvalidArgumentError, Option } from 'commander';
import { readSettings, SERVICE_SETTINGS } from '../config.ts';
import { openLogger } from '../logger.ts';
import { ROLES, type Role, startService } from '../service.ts';
import { type ListenSettings, listenFailure } from './failure.ts';

/** SIGTERM must end the process within 25 seconds, whatever hangs; in milliseconds. */
const LAST_RESORT = 24_000;

/** Adds `start`: the service, until SIGTERM or SIGINT. */
export function registerStart(program: Command): void {
  program
    .command('start')
    .description('run the service: planner, workers and web, until SIGTERM')
    .addOption(
      new Option('--role <roles>', `some of ${ROLES.join(',')}`)
        .argParser(readRoles)
        .default(new Set(ROLES), 'all'),
    )
    .action(async ({ role }: { role: ReadonlySet<Role> }) => {
      const settings = readSettings(process.env, SERVICE_SETTINGS);
      await serveUntilSignal(settings, role);
    });
}

function readRoles(text: string): ReadonlySet<Role> {
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.filter((name) => !(ROLES as readonly string[]).includes(name));
  if (unknown.length > 0) {
    throw new InvalidArgumentError(
      `unknown role ${unknown.join(', ')}; there are ${ROLES.join(', ')}.`,
    );
  }
  return new Set(names as Role[]);
}

/** What the address is set by that could not be listened on: the pages' or the probes'. */
function listenSettings(
  { PROBES_LISTEN: probes }: ReturnType<typeof readSettings>,
  { port, address, hostname }: { port?: number; address?: string; hostname?: string },
): ListenSettings {
  // A host that is not found has no port yet.
  const isProbes =
    [undefined, probes?.port].includes(port) && (address ?? hostname) === probes?.host;
  return probes && isProbes
    ? { host: 'PROBES_LISTEN', port: 'PROBES_LISTEN' }
    : { host: 'WEB_HOST', port: 'WEB_PORT' };
}

async function serveUntilSignal(
  settings: ReturnType<typeof readSettings>,
  roles: ReadonlySet<Role>,
): Promise<void> {
  const log = openLogger(settings.LOG_LEVEL);
  const asked = new AbortController();
  const signalled = new Promise<void>((resolve) => {
    const stop = (signal: NodeJS.Signals) => {
      // A second signal means now; what is in hand is given back by its connection's end.
      if (asked.signal.aborted) process.exit(1);
      log.info({ signal }, 'stopping');
      asked.abort();
      setTimeout(() => process.exit(1), LAST_RESORT).unref();
      resolve();
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
  });
  const service = await startService({ settings, roles, log, signal: asked.signal }).catch(
    (error) => {
      // Asked to stop while it was still waiting for the database.
      if (asked.signal.aborted) return null;
      throw listenFailure(error, listenSettings(settings, error)) ?? error;
    },
  );
  if (service) {
    await signalled;
    await service.close();
  }
  log.info({}, 'stopped');
  // A queue that is away may leave a connection behind that is tried for ever.
  process.exit(0);
}
