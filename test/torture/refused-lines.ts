import type pg from 'pg';
import type { DatasetName } from '../../src/core/dataset.ts';
import type { Injection } from '../../src/simulator/fault-plan.ts';
import type { Finding } from './journal.ts';
import type { LedgerRun } from './ledger.ts';

/** A refused line as it is stored. */
export interface StoredReject {
  readonly orgCode: string;
  readonly dataset: DatasetName;
  readonly hash: string;
  readonly reason: string;
}

/** All refused lines that are stored. */
export async function storedRejects(pool: pg.Pool): Promise<StoredReject[]> {
  const { rows } = await pool.query<StoredReject>(
    `select f.org_code as "orgCode", f.dataset, j.line_hash as hash, j.reason
      from vcc.reject j join vcc.feed f on f.id = j.feed_id`,
  );
  return rows;
}

/**
 * Finds where the stored refused lines are not exactly the bad lines that were served: of every run
 * that is done, or failed for too many of them, all are stored with their reason and counted; nothing
 * else is stored that was not served to that feed.
 */
export function findRejectFaults(
  runs: readonly LedgerRun[],
  injected: readonly Injection[],
  stored: readonly StoredReject[],
): Finding[] {
  const findings: Finding[] = [];
  const name = (feed: { dataset: string | null; orgCode: string | null }, hash: string) =>
    `${feed.dataset} ${feed.orgCode} ${hash}`;
  const reasons = new Map(stored.map((one) => [name(one, one.hash), one.reason]));
  const served = new Set<string>();
  const bySeq = new Map<string, Injection[]>();
  for (const one of injected) {
    for (const { hash } of one.badLines) served.add(name(one, hash));
    if (one.seq) bySeq.set(one.seq, [...(bySeq.get(one.seq) ?? []), one]);
  }
  for (const run of runs) {
    const facts = { run: run.id, dataset: run.dataset, orgCode: run.orgCode };
    const faults = run.seq === null ? [] : (bySeq.get(run.seq) ?? []);
    const isDone = run.status === 'done';
    for (const { kind, delivers } of faults) {
      if (!isDone || delivers !== 'nothing') continue;
      findings.push({
        what: 'an answer of which nothing is right was loaded',
        facts: { ...facts, kind },
      });
    }
    if (!isDone && run.errorCode !== 'TOO_MANY_REJECTS') continue;
    const bad = faults.flatMap(({ badLines }) => badLines);
    // Whether a line is superseded only shows when the rows are merged, which a failed run never does.
    const superseded = bad.filter(({ reason }) => reason === 'superseded');
    const refused = bad.filter(({ reason }) => reason !== 'superseded');
    const counts = {
      expected: [refused.length, superseded.length],
      got: [run.rejected, run.duplicate],
    };
    if (run.rejected !== refused.length || (isDone && run.duplicate !== superseded.length)) {
      findings.push({
        what: 'a run counted other bad lines than it was served',
        facts: { ...facts, counts },
      });
    }
    for (const { hash, reason } of isDone ? bad : refused) {
      const found = reasons.get(name(run, hash));
      if (found === reason) continue;
      const what = found
        ? 'a refused line has another reason'
        : 'a bad line that was served is not stored';
      findings.push({ what, facts: { ...facts, reason, found, hash } });
    }
  }
  for (const one of stored) {
    if (served.has(name(one, one.hash))) continue;
    findings.push({ what: 'a refused line is stored that was never served', facts: { ...one } });
  }
  return findings;
}
