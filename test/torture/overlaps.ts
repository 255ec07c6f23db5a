import { SECOND } from '../../src/core/china-time.ts';
import type { RequestRecord } from '../../src/simulator/call.ts';
import type { Finding, Incident } from './journal.ts';
import type { LedgerRun } from './ledger.ts';

/** Clocks of the same machine, read by different programs. */
const CLOCKS = 1 * SECOND;

/**
 * How long before its record a run may already have held its feed, and so lost it: the record comes
 * from another connection, which may first have to be made.
 */
const BEFORE_RECORD = 15 * SECOND;

/** How long the platform may still see a download whose run has ended: until it notices that nobody reads. */
const LINGER = 5 * SECOND;

/** What the check goes by. */
export interface Downloads {
  readonly requests: readonly RequestRecord[];
  readonly runs: readonly LedgerRun[];
  readonly incidents: readonly Incident[];
}

/**
 * Finds feeds that were downloaded by two at once.
 *
 * The platform alone can not tell: a process that was stopped, or that lost its connection to Postgres
 * and with it the feed, leaves its download open until it comes to know, while another rightly takes
 * over. So an overlap is lawful only if the older of the two runs had ended in the ledger before the
 * younger began, and either ended by itself just then, or something that was done to its process while
 * it held the feed explains why it was taken from it. A run that committed held its feed all the time:
 * nothing excuses that a younger one began before it had ended.
 */
export function findOverlaps({ requests, runs, incidents }: Downloads): Finding[] {
  const findings: Finding[] = [];
  const runOf = findRuns(runs);
  const open = new Map<string, RequestRecord[]>();
  for (const request of requests) {
    if (!request.dataset) continue;
    const feed = `${request.dataset} ${request.orgCode}`;
    const before = (open.get(feed) ?? []).filter((one) => endOf(one) > request.startedAt);
    open.set(feed, [...before, request]);
    for (const other of before) {
      const [a, b] = [runOf(other), runOf(request)];
      if (a && b && a.id === b.id) continue;
      const why =
        a && b ? unlawful(a.id < b.id ? [a, b] : [b, a], endOf(other), incidents) : 'no run';
      if (why === null) continue;
      const shown = (run: LedgerRun | undefined) =>
        run && { id: run.id, status: run.status, pid: run.pid };
      const facts = {
        feed,
        why,
        runs: [shown(a), shown(b)],
        at: new Date(request.startedAt).toISOString(),
      };
      findings.push({ what: 'a feed was downloaded by two at once', facts });
    }
  }
  return findings;
}

function endOf({ endedAt }: RequestRecord): number {
  return endedAt ?? Number.POSITIVE_INFINITY;
}

/** Why two runs must not have been under way together; null if they may. */
function unlawful(
  [older, younger]: readonly [LedgerRun, LedgerRun],
  openUntil: number,
  incidents: readonly Incident[],
): string | null {
  const { status, finishedAt } = older;
  if (finishedAt === null || finishedAt > younger.startedAt) return 'the older had not ended';
  const isExplained = incidents.some(
    ({ pids, at, until }) =>
      pids.includes(older.pid) &&
      at < younger.startedAt + CLOCKS &&
      (until ?? Number.POSITIVE_INFINITY) > older.startedAt - BEFORE_RECORD,
  );
  if (isExplained) return null;
  if (status === 'interrupted') return 'nothing had taken the feed from the older';
  return openUntil > finishedAt + LINGER ? 'the older went on after its end' : null;
}

/** Finds the run that sent a request: by its message number, else by what it asked for, and when. */
function findRuns(runs: readonly LedgerRun[]): (request: RequestRecord) => LedgerRun | undefined {
  const bySeq = new Map(runs.flatMap((run) => (run.seq ? [[run.seq, run] as const] : [])));
  const byWish = new Map<string, LedgerRun[]>();
  const wishOf = (one: Pick<LedgerRun, 'dataset' | 'orgCode' | 'from' | 'to'>) =>
    `${one.dataset} ${one.orgCode} ${one.from} ${one.to}`;
  for (const run of runs) byWish.set(wishOf(run), [...(byWish.get(wishOf(run)) ?? []), run]);
  return (request) => {
    const known = bySeq.get(request.seq ?? '');
    if (known) return known;
    const { dataset, orgCode, from, to, startedAt } = request;
    if (dataset === null || orgCode === null || from === null || to === null) return undefined;
    const wish = byWish.get(wishOf({ dataset, orgCode, from, to })) ?? [];
    return wish.findLast((run) => run.startedAt < startedAt + CLOCKS);
  };
}
