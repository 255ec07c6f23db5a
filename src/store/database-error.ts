import { RetryableError, SyncError } from '../core/errors.ts';

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
  // Class 23: a constraint refused what we wrote. That is our fault, not the server's.
  const code = facts.code?.startsWith('23') ? 'INTERNAL' : 'DATABASE_BUSY';
  return new RetryableError(code, `Postgres: ${parts.filter((part) => part !== null).join(', ')}`);
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
  'Client was closed and is not queryable',
  'Client has encountered a connection error and is not queryable',
];

function safeMessage(message = ''): string {
  return DRIVER_MESSAGES.find((known) => message.startsWith(known)) ?? 'the connection failed';
}
