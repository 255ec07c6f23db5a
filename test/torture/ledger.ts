import type pg from 'pg';
import { formatChinaTime } from '../../src/core/china-time.ts';
import type { DatasetName } from '../../src/core/dataset.ts';

/** A run as the ledger has it; times in milliseconds since the epoch. */
export interface LedgerRun {
  readonly id: number;
  readonly feedId: number;
  readonly orgCode: string;
  readonly dataset: DatasetName;
  readonly status: 'running' | 'done' | 'failed' | 'interrupted';
  readonly startedAt: number;
  readonly finishedAt: number | null;
  /** `lastTimestamp` and `timestamp` as sent. */
  readonly from: string;
  readonly to: string;
  readonly seq: string | null;
  readonly rejected: number;
  readonly duplicate: number;
  readonly errorCode: string | null;
  /** Process that ran it. */
  readonly pid: number;
}

interface RunRow extends Omit<LedgerRun, 'from' | 'to' | 'pid'> {
  readonly requestedFrom: number;
  readonly requestedTo: number;
  readonly worker: string;
}

/** All runs, in the order in which they began. */
export async function ledgerRuns(pool: pg.Pool): Promise<LedgerRun[]> {
  const ms = (column: string) => `(extract(epoch from ${column}) * 1000)::float8`;
  const { rows } = await pool.query<RunRow>(
    `select id, feed_id as "feedId", org_code as "orgCode", dataset, status, seq, rejected, duplicate, worker,
        error_code as "errorCode", ${ms('started_at')} as "startedAt", ${ms('finished_at')} as "finishedAt",
        ${ms('requested_from')} as "requestedFrom", ${ms('requested_to')} as "requestedTo"
      from vcc.run order by id`,
  );
  return rows.map(({ requestedFrom, requestedTo, worker, ...run }) => ({
    ...run,
    from: formatChinaTime(requestedFrom),
    to: formatChinaTime(requestedTo),
    pid: Number(worker.split(':').at(-1)),
  }));
}
