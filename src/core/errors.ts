/**
 * How soon a feed is tried again after a failure: `soon` backs off from the base delay, `slow`
 * starts higher, `ceiling` waits the longest delay at once, `hold` stops the whole queue until the
 * platform serves us again; `steady`, which is not the feed's failure, waits the same short time each
 * time, and `none` not at all (P5, design invariant 6).
 */
export type Pace = 'soon' | 'slow' | 'ceiling' | 'hold' | 'steady' | 'none';

/** What a stable error code stands for: its pace, whether a smaller window may cure it, and what to do. */
export interface ErrorMeaning {
  readonly pace: Pace;
  /** True where repeated failures of one window halve the next try (P5). */
  readonly shrinks?: boolean;
  /**
   * True where several feeds failing so in a row show that platform or database as a whole is away;
   * `short` where only short windows do, since a long one may just be too large to be answered in time.
   */
  readonly wide?: true | 'short';
  /** True where the database as a whole can not take work, whichever feed meets it first. */
  readonly database?: boolean;
  readonly meaning: string;
  readonly remedy: string;
}

/** Failures that a later try may cure. */
export const RETRYABLE = {
  SOURCE_UNAVAILABLE: {
    pace: 'soon',
    wide: true,
    meaning: 'the platform could not be reached or answered with a server error',
    remedy: 'nothing; it is tried again. If it lasts, check the network and the platform',
  },
  DOWNLOAD_TIMEOUT: {
    pace: 'soon',
    shrinks: true,
    wide: 'short',
    meaning: 'the download stalled or took longer than a limit allows',
    remedy:
      'nothing; smaller windows are tried. Raise VCC_IDLE_TIMEOUT or VCC_TOTAL_TIMEOUT if it lasts',
  },
  TRUNCATED: {
    pace: 'soon',
    shrinks: true,
    wide: 'short',
    meaning: 'the body was cut short, or arrived without a length by which a cut would show',
    remedy: 'nothing; it is tried again. VCC_ALLOW_UNFRAMED=true accepts bodies without a length',
  },
  TOO_LARGE: {
    pace: 'soon',
    shrinks: true,
    meaning: 'the body is larger than VCC_MAX_BODY, decoded',
    remedy: 'nothing; smaller windows are tried. Raise VCC_MAX_BODY if it lasts',
  },
  NOT_A_TABLE: {
    pace: 'soon',
    wide: true,
    meaning:
      'the answer is neither a table nor an error of the platform: an HTML page, say, or nothing',
    remedy: 'look for a proxy or maintenance page between here and the platform',
  },
  RATE_LIMITED: {
    pace: 'soon',
    wide: true,
    meaning: 'the platform asked for fewer requests',
    remedy: 'set VCC_MAX_RPS, or lower SYNC_CONCURRENCY',
  },
  TOKEN_REFUSED: {
    pace: 'soon',
    wide: true,
    meaning: 'the session token was refused again right after it was renewed',
    remedy: 'see that no other program renews tokens of the same VCC_APP_ID',
  },
  PLATFORM_ERROR: {
    pace: 'slow',
    wide: true,
    meaning: 'the platform refused the call with a result code of its own',
    remedy:
      'read the code and message; ask the platform whether this org and interface are granted',
  },
  MALFORMED_TABLE: {
    pace: 'soon',
    meaning: 'the table could not be read on: a quote that is out of place or never closed',
    remedy: 'check VCC_TABLE_QUOTES against what the platform sends',
  },
  DATABASE_AWAY: {
    pace: 'soon',
    wide: true,
    database: true,
    meaning: 'Postgres can not be reached, or broke the connection off',
    remedy:
      'nothing; it is tried again. If it lasts, check the server, the network and DATABASE_URL',
  },
  DATABASE_CONNECTIONS: {
    pace: 'steady',
    wide: true,
    database: true,
    meaning: 'Postgres has no connection left for us',
    remedy:
      "raise max_connections or the role's limit, end idle sessions, or lower SYNC_CONCURRENCY",
  },
  DATABASE_FULL: {
    pace: 'steady',
    wide: true,
    database: true,
    meaning: 'Postgres has no disk space left',
    remedy: 'free or add disk space where the server keeps its data',
  },
  DATABASE_READ_ONLY: {
    pace: 'steady',
    wide: true,
    database: true,
    meaning: 'Postgres takes no writes: it is a standby, or is set to read-only',
    remedy:
      'name the primary in DATABASE_URL, or let the server write again (default_transaction_read_only)',
  },
  DATABASE_BUSY: {
    pace: 'soon',
    meaning: 'Postgres could not finish the work, or refused it',
    remedy: 'nothing; it is tried again. If it lasts, see the SQLSTATE and the log of the server',
  },
  INTERNAL: {
    pace: 'soon',
    meaning: 'something that should not happen',
    remedy: 'please report it with the log line',
  },
} as const satisfies Record<string, ErrorMeaning>;

/** Failures that need a person. */
export const FATAL = {
  CONFIG: {
    pace: 'none',
    meaning: 'the settings or the arguments are wrong',
    remedy: 'correct what the message lists',
  },
  SCHEMA_MISSING: {
    pace: 'none',
    meaning: 'the database lacks the schema, or has that of another release',
    remedy: 'run vcc-sync migrate of the newest release in use',
  },
  CREDENTIALS: {
    pace: 'hold',
    meaning: 'the platform refused to issue a session token',
    remedy: 'check VCC_APP_ID, VCC_BASE_KEY and the clock; vcc-sync doctor tries them',
  },
  HEADER_MISMATCH: {
    pace: 'ceiling',
    meaning: "the table's header lacks a required column, or names one twice",
    remedy: 'compare the header with the document; the platform may have changed the table',
  },
  REQUEST_REFUSED: {
    pace: 'ceiling',
    meaning: 'the platform answered with an HTTP status that repeats will not cure',
    remedy: 'check VCC_BASE_URL and the rights of this org and interface',
  },
  TOO_MANY_REJECTS: {
    pace: 'ceiling',
    meaning: 'more than 5 % of the lines, and at least 20, were refused: the data was not touched',
    remedy: 'read vcc-sync rejects; vcc-sync resync --max-rejects overrules with a reason',
  },
  TOO_MANY_ABSENT: {
    pace: 'ceiling',
    meaning:
      'an extract lacks more than 5 % of the rows, and at least 20: the data was not touched',
    remedy:
      'see that the extract is whole; vcc-sync reconcile --max-absent overrules with a reason',
  },
} as const satisfies Record<string, ErrorMeaning>;

const INTERRUPTION: ErrorMeaning = {
  pace: 'none',
  meaning: 'the process was asked to stop, or was killed, while the run was under way',
  remedy: 'nothing; the window is loaded again',
};

/** The code of a failure that a later try may cure. */
export type RetryableCode = keyof typeof RETRYABLE;
/** The code of a failure that needs a person. */
export type FatalCode = keyof typeof FATAL;
/** Every stable error code. */
export type ErrorCode = RetryableCode | FatalCode | 'INTERRUPTED';

/** What every stable code stands for. */
export const MEANINGS: Readonly<Record<ErrorCode, ErrorMeaning>> = {
  ...RETRYABLE,
  ...FATAL,
  INTERRUPTED: INTERRUPTION,
};

/** A failure with a stable code; its message holds no secret, no personal data and no text from outside. */
export abstract class SyncError extends Error {
  abstract readonly code: ErrorCode;
  abstract readonly meaning: ErrorMeaning;
}

/** Extras of a retryable failure. */
export interface RetryableOptions {
  /** Milliseconds that the platform asked us to wait (`Retry-After`). */
  readonly retryAfter?: number | undefined;
  readonly cause?: unknown;
}

/** A failure that a later try may cure. */
export class RetryableError extends SyncError {
  readonly code: RetryableCode;
  readonly retryAfter: number | undefined;

  constructor(code: RetryableCode, message: string, options: RetryableOptions = {}) {
    super(message, { cause: options.cause });
    this.name = 'RetryableError';
    this.code = code;
    this.retryAfter = options.retryAfter;
  }

  get meaning(): ErrorMeaning {
    return RETRYABLE[this.code];
  }
}

/** An answer in another form than documented: it tells nothing of what was asked for. */
export class OtherFormError extends RetryableError {
  constructor(message: string) {
    super('PLATFORM_ERROR', message);
    this.name = 'OtherFormError';
  }
}

/** A failure that needs a person. */
export class FatalError extends SyncError {
  readonly code: FatalCode;

  constructor(code: FatalCode, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.name = 'FatalError';
    this.code = code;
  }

  get meaning(): ErrorMeaning {
    return FATAL[this.code];
  }
}

/** Work given back because the process is asked to stop; it costs the feed nothing. */
export class InterruptedError extends SyncError {
  readonly code = 'INTERRUPTED';
  readonly meaning = INTERRUPTION;

  constructor(message = 'stopped before the window was committed') {
    super(message);
    this.name = 'InterruptedError';
  }
}

/**
 * Turns anything thrown into a `SyncError`.
 *
 * A foreign error becomes `INTERNAL` with its class and system code alone: its message could quote data.
 */
export function toSyncError(error: unknown): SyncError {
  if (error instanceof SyncError) return error;
  const { name, code } = (error instanceof Error ? error : {}) as {
    name?: unknown;
    code?: unknown;
  };
  // Anything but an identifier could be text from outside.
  const facts = [name, code].filter((fact) => typeof fact === 'string' && /^\w{1,40}$/.test(fact));
  return new RetryableError('INTERNAL', `unexpected ${facts.join(' ') || typeof error}`, {
    cause: error,
  });
}

/**
 * One line for a person: code, subject, what happened, what to do.
 *
 * @example describeError(error, 'meters WJ0105') // "NOT_A_TABLE meters WJ0105: 512 bytes of text/html …; look for …"
 */
export function describeError(error: SyncError, subject = ''): string {
  const head = subject === '' ? error.code : `${error.code} ${subject}`;
  return `${head}: ${error.message}; ${error.meaning.remedy}`;
}
