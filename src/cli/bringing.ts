import { DATABASE_SETTINGS, type Settings } from '../config.ts';
import type { ErrorCode, SyncError } from '../core/errors.ts';
import { openLogger } from '../logger.ts';
import { openRequestStore } from '../store/requests.ts';
import { Store } from '../store/store.ts';
import type { ImportWorld } from '../sync/import.ts';
import type { Progress } from '../sync/load.ts';
import { checkDatabase, type Surroundings } from './action.ts';
import { stopSignal } from './stopping.ts';

/** What commands need that bring rows themselves: no platform. */
export const BRINGING_SETTINGS = [
  ...DATABASE_SETTINGS,
  'VCC_CHARSET',
  'VCC_TABLE_QUOTES',
  'SYNC_OTHER_ORGS',
] as const;

type BringingSettings = Settings<(typeof BRINGING_SETTINGS)[number]>;

/** What a command that brings rows stands on. */
export interface Bringing {
  readonly store: Store;
  readonly world: ImportWorld;
  /** Aborts on Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
}

/**
 * Opens the database for a command that brings rows; it is closed when the command ends.
 *
 * @throws CommandFailure that names host, port and database if it can not be reached
 */
export async function openBringing(
  { settings, defer }: Surroundings<keyof BringingSettings>,
  onProgress: (progress: Progress) => void = () => {},
): Promise<Bringing> {
  const log = openLogger(process.stderr.isTTY ? 'silent' : settings.LOG_LEVEL);
  const store = new Store(settings.DATABASE_URL, {
    runs: 1,
    onError: (code) => log.warn({ code }, 'database connection lost'),
  });
  defer(() => store.close());
  await checkDatabase(store.db, settings.DATABASE_URL);
  const world: ImportWorld = {
    feeds: store.feeds,
    feedsOf: openRequestStore(store.db).feedsOf,
    clock: Date.now,
    random: Math.random,
    log,
    settings: {
      settle: settings.SYNC_SETTLE,
      charset: settings.VCC_CHARSET,
      quotes: settings.VCC_TABLE_QUOTES,
      otherOrgs: settings.SYNC_OTHER_ORGS,
    },
    onProgress,
  };
  return { store, world, signal: stopSignal(defer) };
}

/** What to do where rows do not come from the platform; else the code's own remedy. */
const REMEDIES: Partial<Record<ErrorCode, string>> = {
  TRUNCATED: 'get the file again, whole, and repeat the import: nothing of it is stored',
  HEADER_MISMATCH: 'compare its header with the document, and --dataset with what the file holds',
  MALFORMED_TABLE: 'check VCC_TABLE_QUOTES against the file; nothing of it is stored',
  TOO_MANY_REJECTS: 'read vcc-sync rejects; --max-rejects overrules with a --reason',
  DATABASE_BUSY: 'see the SQLSTATE, then repeat it: nothing of it is stored',
  INTERRUPTED: 'nothing of it is stored; repeat it',
};

/** One line about a failure of rows that a person brought. */
export function describeBringing({ code, message, meaning }: SyncError, subject: string): string {
  return `${code} ${subject}: ${message}; ${REMEDIES[code] ?? meaning.remedy}`;
}
