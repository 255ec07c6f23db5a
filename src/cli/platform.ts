import type { Settings } from '../config.ts';
import { openLogger } from '../logger.ts';
import type { VccClient } from '../vcc/client.ts';
import { openClient, SHARED_CLIENT_SETTINGS } from '../world.ts';
import type { Surroundings } from './action.ts';
import { stopSignal } from './stopping.ts';

/** What commands need that ask the platform themselves: the database shares the session token (P4). */
export const CALL_SETTINGS = ['DATABASE_URL', ...SHARED_CLIENT_SETTINGS, 'LOG_LEVEL'] as const;

/** The surroundings of a command that asks the platform. */
export type CallSurroundings = Surroundings<(typeof CALL_SETTINGS)[number]>;

/** The platform, as a command asks it. */
export interface OpenedPlatform {
  readonly client: VccClient;
  /** Aborts on Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
}

/**
 * Opens the platform for a command, with the token and the pace of the service; it is closed when the
 * command ends.
 *
 * @throws CommandFailure that names host, port and database if it can not be reached
 */
export async function openPlatform({
  settings,
  openDatabase,
  defer,
}: CallSurroundings): Promise<OpenedPlatform> {
  const log = openLogger(process.stderr.isTTY ? 'silent' : logLevel(settings));
  const db = await openDatabase();
  const client = openClient(db, settings, { clock: Date.now, log });
  defer(() => client.close());
  return { client, signal: stopSignal(defer) };
}

/** A renewed token is news for the service's log, not for whoever runs a command. */
function logLevel({ LOG_LEVEL: level }: Pick<Settings, 'LOG_LEVEL'>): Settings['LOG_LEVEL'] {
  return level === 'info' ? 'warn' : level;
}
