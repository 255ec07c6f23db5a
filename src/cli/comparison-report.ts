import type { DatasetName } from '../core/dataset.ts';
import { clip, type IntervalSet } from '../core/interval.ts';
import { reach } from '../core/window.ts';
import {
  type ComparisonRow,
  comparisonRecord,
  type FindingRow,
} from '../store/comparison-ledger.ts';
import { type RequestStore, requestResync } from '../sync/resync.ts';
import { requestedBy } from './arguments.ts';
import { chinaTime, count, duration, type Listing, type Output, printRows } from './output.ts';

/** Findings that people are shown; programs get all that are kept. */
const SHOWN = 50;

/** How comparisons are printed. */
export interface ComparisonPrint {
  readonly json: boolean | undefined;
  readonly out: Output;
  /** What programs are told of each. */
  readonly record?: Listing<ComparisonRow>['record'];
}

/** Prints comparisons and what they have found. */
export function printComparisons(
  rows: readonly ComparisonRow[],
  { json, out, record = comparisonRecord }: ComparisonPrint,
): void {
  printRows(rows, { ...COMPARISONS, record }, { json, out });
  if (json) return;
  const findings = rows.flatMap((row) => row.findings);
  if (findings.length > 0) {
    out.line('');
    printRows(findings.slice(0, SHOWN), FINDINGS, { out });
  }
  const all = rows.reduce((sum, row) => sum + row.missing + row.changed + (row.extra ?? 0), 0);
  const shown = Math.min(findings.length, SHOWN);
  if (all > shown) {
    out.note(
      `${count(all - shown)} more; --json and the table vcc.finding name up to 1,000 a kind`,
    );
  }
}

const number = (value: number | null) => (value === null ? '?' : count(value));

const COMPARISONS: Listing<ComparisonRow> = {
  empty: 'nothing was compared',
  columns: [
    { title: 'ORG', text: ({ orgCode }) => orgCode },
    { title: 'DATASET', text: ({ dataset }) => dataset },
    { title: 'WHAT', text: whatOf },
    { title: 'SOURCE ROWS', text: ({ sourceRows }) => number(sourceRows), right: true },
    { title: 'COMPARED', text: ({ compared }) => number(compared), right: true },
    { title: 'MISSING', text: ({ missing }) => number(missing), right: true },
    { title: 'CHANGED', text: ({ changed }) => number(changed), right: true },
    {
      title: 'EXTRA',
      text: ({ kind, extra }) => (kind === 'window' ? '-' : number(extra)),
      right: true,
    },
    { title: 'STALE', text: ({ stale }) => number(stale), right: true },
  ],
  record: comparisonRecord,
};

function whatOf({ during, kind, asOf, finishedAt, errorCode }: ComparisonRow): string {
  const what = during
    ? `${chinaTime(during.from)} to ${chinaTime(during.to)}`
    : `${kind} as of ${chinaTime(asOf)}`;
  if (errorCode !== null) return `${what}: not compared, ${errorCode}`;
  return finishedAt === null ? `${what}: not done yet` : what;
}

const FINDINGS: Listing<FindingRow> = {
  empty: '',
  columns: [
    { title: 'FINDING', text: ({ kind }) => kind },
    { title: 'KEY', text: ({ rowKey }) => rowKey ?? '-' },
    { title: 'COLUMNS', text: ({ columns }) => columns?.join(', ') ?? '-' },
    {
      title: 'CHANGED AT THE SOURCE',
      text: ({ during }) => (during ? `${chinaTime(during.from)} to ${chinaTime(during.to)}` : '-'),
    },
    { title: 'LATE BY MORE THAN', text: ({ late }) => duration(late), right: true },
  ],
  record: () => null,
};

/** Requests that intervals of a feed are loaded again, and says so. */
export async function recordResyncs(
  { requests, out }: { readonly requests: RequestStore; readonly out: Output },
  {
    orgCode,
    dataset,
    intervals,
    reason,
  }: {
    readonly orgCode: string;
    readonly dataset: DatasetName;
    readonly intervals: IntervalSet;
    readonly reason: string;
  },
): Promise<void> {
  const earliest = reach(Date.now());
  for (const during of clip(intervals, { from: earliest, to: Infinity })) {
    const [recorded] = await requestResync(
      { requests, clock: Date.now },
      {
        orgCodes: [orgCode],
        datasets: [dataset],
        during,
        force: false,
        maxRejects: null,
        reason,
        requestedBy: requestedBy(),
      },
    );
    const shown = `${chinaTime(during.from)} to ${chinaTime(during.to)} (China time)`;
    out.note(`request ${recorded!.id}: ${dataset} ${orgCode}, ${shown}`);
  }
}
