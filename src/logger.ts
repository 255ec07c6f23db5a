import { type Logger, pino, stdTimeFunctions } from 'pino';

/**
 * Opens the log: one JSON line per event on stderr, so that stdout stays for data.
 *
 * Messages are constant, facts are fields; secrets and personal data have no place in either.
 */
export function openLogger(level: string): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ dest: 2, sync: true }),
  );
}

export type { Logger };
