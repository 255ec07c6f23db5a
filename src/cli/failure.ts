import { CommanderError } from 'commander';
import pg from 'pg';
import { readSettings } from '../config.ts';
import { describeError, FatalError, toSyncError } from '../core/errors.ts';
import { databaseError } from '../store/database-error.ts';

/** Exit code of a command: done, failed, or wrong usage or settings. */
export type ExitCode = 0 | 1 | 2;

/** A failure whose message says all that an operator needs. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure';
}

/**
 * Says on stderr what went wrong, in one line (wrong settings: one each), and tells the exit code.
 *
 * The places where it came from are added at `LOG_LEVEL` debug or trace alone.
 */
export function reportFailure(error: unknown): ExitCode {
  if (error instanceof CommanderError) {
    // Commander has said it already; help and version are no failures.
    return error.exitCode === 0 ? 0 : 2;
  }
  process.stderr.write(`${describeFailure(error)}\n`);
  if (isDebugging()) for (const place of placesOf(error)) process.stderr.write(`${place}\n`);
  return error instanceof FatalError && error.code === 'CONFIG' ? 2 : 1;
}

/** One line for an operator; it never quotes what a database or the platform said. */
export function describeFailure(error: unknown): string {
  if (error instanceof CommandFailure) return error.message;
  // Its message says what is wrong; "correct what the message lists" would add nothing.
  if (error instanceof FatalError && error.code === 'CONFIG') {
    return `CONFIG: ${error.message.trimEnd()}`;
  }
  const known = error instanceof pg.DatabaseError ? databaseError(error) : toSyncError(error);
  const hint = known.code === 'INTERNAL' ? '; LOG_LEVEL=debug shows more' : '';
  return `${describeError(known)}${hint}`;
}

/**
 * Reports what nobody has caught and ends the process: Node's own report would quote the error with
 * all its fields, and those of a database error hold rows.
 */
export function reportUncaught(): void {
  process.on('uncaughtException', (error) => process.exit(reportFailure(error)));
}

/** The lines of a stack that name places; its message could quote data, and have any form. */
function placesOf(error: unknown): string[] {
  if (!(error instanceof Error)) return [];
  const places = error.stack?.replace(error.message, '') ?? '';
  return places.split('\n').filter((line) => PLACE.test(line));
}

const PLACE =
  /^ {4}at (?:[\w.$<>#[\] ]+ \()?(?:file:\/\/|node:|\/|[A-Z]:\\)[^()\p{Script=Han}]*:\d+:\d+\)?$/u;

function isDebugging(): boolean {
  try {
    return ['debug', 'trace'].includes(readSettings(process.env, ['LOG_LEVEL']).LOG_LEVEL);
  } catch {
    return false;
  }
}

/** What the codes of a failed connection mean; others are shown as they are. */
const CONNECTION_FAULTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection was cut',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'the host name could not be looked up',
  EHOSTUNREACH: 'there is no way to that host',
  ENETUNREACH: 'there is no way to that network',
  ETIMEDOUT: 'there was no answer in time',
  '08P01': 'the server, or a proxy such as PgBouncer before it, refused our session settings',
  '28P01': 'user or password is wrong',
  '28000': 'the server does not let this user in',
  '3D000': 'there is no such database',
  '42501': 'this user lacks the rights',
  '53300': 'the server has no connection left',
  '57P03': 'the server is starting or stopping',
};

/**
 * Says that a database can not be used: host, port, database and why, but neither user nor password.
 *
 * @example "DATABASE_AWAY: the database vcc at db.example:5432 can not be reached: nothing listens there (ECONNREFUSED); check DATABASE_URL and the server"
 */
export function databaseFailure(databaseUrl: string, error: unknown): CommandFailure {
  const { code, message = '' } = (error ?? {}) as { code?: string; message?: string };
  const timeout = /timeout/i.test(message) ? 'ETIMEDOUT' : undefined;
  const known = code ?? timeout;
  const why = known ? `${CONNECTION_FAULTS[known] ?? 'it failed'} (${known})` : 'it failed';
  return new CommandFailure(
    `${databaseError(error).code}: ${describeDatabase(databaseUrl)} can not be reached: ${why}; check DATABASE_URL and the server`,
  );
}

/** Why a port could not be listened on, by the code of the system. */
const PORT_FAULTS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is in use: another process listens',
  EACCES: 'is not for everyone: this user may not listen',
};

/** Why a host could not be listened on, by the code of the system. */
const HOST_FAULTS: Readonly<Record<string, string>> = {
  EADDRNOTAVAIL: 'is no address of this machine',
  ENOTFOUND: 'is the name of no host',
  EAI_AGAIN: 'is a host name that could not be looked up',
};

/** What an address to listen on is set by: settings or options. */
export interface ListenSettings {
  readonly host: string;
  readonly port: string;
}

/**
 * Says that an address can not be listened on; null if that is not what has failed.
 *
 * @example "WEB_PORT 8080 is in use: another process listens at 127.0.0.1:8080; choose another, or 0 for any free one"
 */
export function listenFailure(error: unknown, settings: ListenSettings): CommandFailure | null {
  const { syscall, code, address, port, hostname } = (error ?? {}) as NodeJS.ErrnoException & {
    address?: string;
    port?: number;
    hostname?: string;
  };
  if (syscall !== 'listen' && syscall !== 'getaddrinfo') return null;
  const wrongHost = HOST_FAULTS[code ?? ''];
  if (wrongHost !== undefined) {
    return new CommandFailure(
      `${settings.host} ${address ?? hostname} ${wrongHost}; name one, such as 127.0.0.1, or 0.0.0.0 for all of them`,
    );
  }
  const why = PORT_FAULTS[code ?? ''];
  if (why === undefined) return null;
  const host = address?.includes(':') ? `[${address}]` : address;
  return new CommandFailure(
    `${settings.port} ${port} ${why} at ${host}:${port}; choose another, or 0 for any free one`,
  );
}

/** Names a database without user and password. */
export function describeDatabase(databaseUrl: string): string {
  const url = new URL(databaseUrl);
  const host = url.searchParams.get('host') ?? (decodeURIComponent(url.hostname) || 'localhost');
  const port = url.searchParams.get('port') ?? (url.port || '5432');
  const name = decodeURIComponent(url.pathname.slice(1)) || 'of the default name';
  return `the database ${name} at ${host}:${port}`;
}
