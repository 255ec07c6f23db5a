import type { Settings } from '../config.ts';
import { openLogger } from '../logger.ts';
import { openWorld, type World } from '../world.ts';
import { checkDatabase } from './action.ts';
import type { ExitCode } from './failure.ts';

/** What a command stands on that asks the platform itself. */
export interface Foreground {
  readonly world: World;
  /** Aborts on Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
}

/**
 * Carries out a command that asks the platform, and closes all it opened.
 *
 * @throws CommandFailure that names host, port and database if it can not be reached
 */
export async function inForeground(
  settings: Settings,
  work: (foreground: Foreground) => Promise<ExitCode>,
): Promise<void> {
  // What goes wrong is printed; on a terminal the log would tear the progress line.
  const log = openLogger(process.stderr.isTTY ? 'silent' : settings.LOG_LEVEL);
  const world = openWorld({ settings, log });
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  try {
    await checkDatabase(world.store.db, settings.DATABASE_URL);
    process.exitCode = await work({ world, signal: stopping.signal });
  } finally {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
    await world.close();
  }
}

/** Shows on a terminal how far a command is; an empty text clears the line. */
export function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
