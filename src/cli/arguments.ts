import { userInfo } from 'node:os';
import { InvalidArgumentError } from 'commander';
import { parseTime } from '../core/china-time.ts';
import { DATASET_NAMES, type DatasetName, isDatasetName, ORG_CODE } from '../core/dataset.ts';
import { parseDuration } from '../core/duration.ts';

/** Words for times in help texts. */
export const TIME_HELP = 'ISO 8601, or yyyyMMddHHmmss; China time unless it says otherwise';

/** Longest list that a ledger prints. */
const MOST_ROWS = 100_000;

/**
 * Reads a time, in milliseconds of whole seconds.
 *
 * @throws InvalidArgumentError that shows how times are written
 */
export function readTime(text: string): number {
  const at = parseTime(text);
  if (at !== null) return at;
  throw new InvalidArgumentError(
    'expected a time such as 2026-11-01, 2026-11-01T08:00:00, 2026-11-01T00:00:00Z or 20261101080000.',
  );
}

/** Reads an interval between synchronisations, in milliseconds: from a second to below the month's reach. */
export function readEvery(text: string): number {
  const ms = parseDuration(text);
  if (ms !== null && ms >= 1000 && ms <= 27 * 86_400_000) return ms;
  throw new InvalidArgumentError('expected a duration from 1s to 27d, such as 15m or 1h.');
}

/** Reads the code of an organisation. */
export function readOrgCode(text: string): string {
  if (ORG_CODE.test(text)) return text;
  throw new InvalidArgumentError('expected up to 20 letters, digits, - or _, such as WJ0105.');
}

/** Reads codes of organisations, separated by commas, each once. */
export function readOrgCodes(text: string): readonly string[] {
  return [...new Set(text.split(',').map((code) => readOrgCode(code.trim())))];
}

/** Reads the name of one dataset. */
export function readDataset(text: string): DatasetName {
  if (isDatasetName(text)) return text;
  throw new InvalidArgumentError(
    `there is no such dataset; there are ${DATASET_NAMES.join(', ')}.`,
  );
}

/** Reads datasets, separated by commas, in the document's order; `all` stands for every feed there is. */
export function readDatasets(text: string): readonly DatasetName[] | 'all' {
  if (text === 'all') return 'all';
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.filter((name) => !isDatasetName(name));
  if (unknown.length > 0) {
    throw new InvalidArgumentError(
      `there is no dataset ${unknown.map((name) => `'${name}'`).join(', ')}; there are ${DATASET_NAMES.join(', ')}, or all.`,
    );
  }
  return DATASET_NAMES.filter((name) => names.includes(name));
}

/** Reads a percentage such as `20%` or `0.5`. */
export function readPercent(text: string): number {
  const parts = /^(\d{1,3}(?:\.\d+)?)\s*%?$/.exec(text.trim());
  if (parts && Number(parts[1]) <= 100) return Number(parts[1]);
  throw new InvalidArgumentError('expected a percentage from 0% to 100%.');
}

/** Reads how many rows to print at most. */
export function readLimit(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text) && Number(text) <= MOST_ROWS) return Number(text);
  throw new InvalidArgumentError(`expected a whole number from 1 to ${MOST_ROWS}.`);
}

/** Who asks, as a request records it: `cli:` and the name of the system's user. */
export function requestedBy(): string {
  try {
    return `cli:${userInfo().username}`;
  } catch {
    // A container may run under a number that has no name.
    return `cli:${process.getuid?.() ?? 'unknown'}`;
  }
}
