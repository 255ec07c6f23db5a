import { SyncError } from '../core/errors.ts';
import { describeFailure } from './failure.ts';

/** What one check of `doctor` found. */
export interface Finding {
  /** What was checked. */
  readonly check: string;
  readonly result: 'ok' | 'warning' | 'failed';
  /** What was found. */
  readonly message: string;
  /** What to do about it; null where there is nothing to do. */
  readonly advice: string | null;
}

/** A check that found all well. */
export function ok(check: string, message: string): Finding {
  return { check, result: 'ok', message, advice: null };
}

/** A check that found what may do harm. */
export function warning(check: string, message: string, advice: string): Finding {
  return { check, result: 'warning', message, advice };
}

/** A check that found what keeps the service from working. */
export function failed(check: string, message: string, advice: string): Finding {
  return { check, result: 'failed', message, advice };
}

/** A check that ended with an error, in the error's own words. */
export function failedBy(check: string, error: unknown, advice: string | null = null): Finding {
  const isOurs = error instanceof SyncError;
  return {
    check,
    result: 'failed',
    message: isOurs ? `${error.code}: ${error.message}` : describeFailure(error),
    advice: advice ?? (isOurs ? error.meaning.remedy : null),
  };
}
