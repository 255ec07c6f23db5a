import { type RetryableCode, RetryableError, SyncError } from '../core/errors.ts';

/**
 * Reduces a database error to its SQLSTATE, constraint and table: message, detail and where quote values.
 *
 * A `SyncError` passes through as it is.
 */
export function databaseError(error: unknown): SyncError {
  if (error instanceof SyncError) return error;
  const facts = (error ?? {}) as {
    code?: string;
    constraint?: string;
    table?: string;
    message?: string;
  };
  const parts = [
    facts.code ? `SQLSTATE or system code ${facts.code}` : safeMessage(facts.message),
    facts.constraint ? `constraint ${facts.constraint}` : null,
    facts.table ? `table ${facts.table}` : null,
  ];
  const reduced = new RetryableError(
    codeOf(facts),
    `Postgres: ${parts.filter((part) => part !== null).join(', ')}`,
  );
  if (facts.code === STATEMENT_ENDED) overTime.add(reduced);
  return reduced;
}

/** What Postgres answers when it ends a statement whose time is up. */
const STATEMENT_ENDED = '57014';

const overTime = new WeakSet<SyncError>();

/** Whether Postgres ended a statement because its time was up. */
export function isOverTime(error: unknown): boolean {
  return overTime.has(databaseError(error));
}

/** Whether a statement was refused for an earlier one of its transaction that had failed. */
export function isRefused(error: unknown): boolean {
  return (error as { readonly code?: string } | null)?.code === '25P02';
}

/** Which failure a SQLSTATE or system code stands for, the first that fits; all others are `DATABASE_BUSY`. */
const CODES: readonly (readonly [RegExp, RetryableCode])[] = [
  // A constraint refused what we wrote. That is our fault, not the server's.
  [/^23/, 'INTERNAL'],
  [/^25006$/, 'DATABASE_READ_ONLY'],
  [/^53100$/, 'DATABASE_FULL'],
  [/^53300$/, 'DATABASE_CONNECTIONS'],
  // Not reached, not let in, ended by the server; or the name of a system error such as ECONNRESET.
  [/^(08|28|3D|57P|25P03)|^E[A-Z_]+$/, 'DATABASE_AWAY'],
];

/** Keys of the data tables: two feeds may bring the same new row at once (`SYNC_OTHER_ORGS=accept`). */
const DATA_KEYS = /^(address|supply_point|subscriber|meter)_pkey$/;

interface Facts {
  readonly code?: string;
  readonly constraint?: string;
  readonly message?: string;
}

function codeOf({ code, constraint, message }: Facts): RetryableCode {
  if (code === '23505' && DATA_KEYS.test(constraint ?? '')) return 'DATABASE_BUSY';
  if (code === undefined) return isDriverMessage(message) ? 'DATABASE_AWAY' : 'DATABASE_BUSY';
  return CODES.find(([form]) => form.test(code))?.[1] ?? 'DATABASE_BUSY';
}

/** Awaits work with the database; its errors come out reduced. */
export async function guarded<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw databaseError(error);
  }
}

/** The driver's own messages carry no values; they are the ones without a code. */
const DRIVER_MESSAGES = [
  'Connection terminated unexpectedly',
  'Connection terminated due to connection timeout',
  'Connection terminated',
  'timeout exceeded when trying to connect',
  'Query read timeout',
  'Client was closed and is not queryable',
  'Client has encountered a connection error and is not queryable',
];

function isDriverMessage(message = ''): boolean {
  return DRIVER_MESSAGES.some((known) => message.startsWith(known));
}

function safeMessage(message = ''): string {
  return DRIVER_MESSAGES.find((known) => message.startsWith(known)) ?? 'the connection failed';
}
