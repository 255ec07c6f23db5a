import { DATASET_NAMES, type DatasetName, type FeedName } from '../core/dataset.ts';
import { type ErrorCode, MEANINGS } from '../core/errors.ts';
import { REJECT_REASONS, type RejectReason } from '../core/table/row.ts';
import type { LeftReason, ReplayedFeed } from '../sync/replay.ts';

/** What becomes of lines that go in. */
export const WENT_IN = ['inserted', 'updated', 'unchanged', 'stale', 'duplicate'] as const;

/** Why lines are left, by their names in an address. */
const LEFT = { gone: 'text gone', altered: 'text altered' } as const satisfies Record<
  string,
  LeftReason
>;

/** What a replay did, as numbers; small enough for an address, which holds nothing of a line. */
export interface ReplaySummary {
  readonly wentIn: Readonly<Record<(typeof WENT_IN)[number], number>>;
  /** Refused again, by reason. */
  readonly refused: readonly (readonly [RejectReason, number])[];
  readonly left: readonly (readonly [keyof typeof LEFT, number])[];
  /** Feeds of which the rest could not be loaded, and why. */
  readonly failed: readonly (FeedName & { readonly code: ErrorCode })[];
}

/** Most feeds that an address names. */
const MOST_FAILED = 40;

/** Writes what a replay did as an address's query. */
export function summaryQuery(results: readonly ReplayedFeed[]): string {
  const sum = (of: (one: ReplayedFeed) => number | undefined) =>
    results.reduce((total, one) => total + (of(one) ?? 0), 0);
  const counts = [
    ...WENT_IN.map((name) => [name, sum(({ receipt }) => receipt[name])] as const),
    ...REJECT_REASONS.map((name) => [`refused.${name}`, sum((one) => one.refused[name])] as const),
    ...Object.entries(LEFT).map(([name, why]) => [`left.${name}`, sum((one) => one.left[why])]),
  ];
  const failed = results.flatMap(({ orgCode, dataset, error }) =>
    error ? [['failed', `${orgCode}.${dataset}.${error.code}`]] : [],
  );
  return new URLSearchParams([
    ...counts.filter(([, count]) => count !== 0).map(([name, count]) => [`${name}`, `${count}`]),
    ...failed.slice(0, MOST_FAILED),
  ]).toString();
}

/** Reads such a query; what is not of its form counts as nothing. */
export function readSummary(query: string): ReplaySummary {
  const fields = new URLSearchParams(query);
  const count = (name: string) => {
    const text = fields.get(name) ?? '';
    return /^\d{1,9}$/.test(text) ? Number(text) : 0;
  };
  const counted = <T extends string>(names: readonly T[], prefix: string) =>
    names.map((name) => [name, count(`${prefix}${name}`)] as const).filter(([, many]) => many > 0);
  return {
    wentIn: Object.fromEntries(
      WENT_IN.map((name) => [name, count(name)]),
    ) as ReplaySummary['wentIn'],
    refused: counted(REJECT_REASONS, 'refused.'),
    left: counted(Object.keys(LEFT) as (keyof typeof LEFT)[], 'left.'),
    failed: fields.getAll('failed').slice(0, MOST_FAILED).flatMap(readFailed),
  };
}

const FAILED = new RegExp(`^([\\w-]{1,40})\\.(${DATASET_NAMES.join('|')})\\.([A-Z_]+)$`);

function readFailed(text: string): ReplaySummary['failed'] {
  const [, orgCode, dataset, code] = FAILED.exec(text) ?? [];
  if (orgCode === undefined || !Object.hasOwn(MEANINGS, code!)) return [];
  return [{ orgCode, dataset: dataset as DatasetName, code: code as ErrorCode }];
}
