import { type Expression, sql } from 'kysely';
import type { DatasetName } from '../core/dataset.ts';
import type { Database } from './pool.ts';
import { instant, milliseconds } from './time.ts';

/** What changed within one hour. */
export interface HourOfChanges {
  /** Start of the hour, in milliseconds since the epoch. */
  readonly at: number;
  readonly inserted: number;
  readonly updated: number;
}

/** A sum of counters as a number: Postgres's own is of a type that arrives as text. */
function sumOf(counter: Expression<number>) {
  return sql<number>`sum(${counter})::bigint`;
}

/** Rows that changed, by the hour, from `since` on (milliseconds); hours without changes are left out. */
export async function hourlyChanges(db: Database, since: number): Promise<HourOfChanges[]> {
  const hour = sql<Date>`date_trunc('hour', finished_at)`;
  return (
    db
      .selectFrom('vcc.run')
      .select(({ ref }) => [
        milliseconds(hour).as('at'),
        sumOf(ref('inserted')).as('inserted'),
        sumOf(ref('updated')).as('updated'),
      ])
      // As the index `run_thinning_idx` has it (see `CHANGED_NOTHING`): runs without changes are not even looked at.
      .where(sql<boolean>`(status = 'done' and inserted + updated + stale + rejected = 0) is false`)
      .where('finished_at', '>=', instant(since))
      .where('status', '=', 'done')
      .groupBy(hour)
      .orderBy(hour)
      .execute()
      .then((rows) => rows.map((row) => ({ ...row, at: row.at ?? since })))
  );
}

/** A run that is under way, or that failed; times in milliseconds. */
export interface RunInBrief {
  readonly id: number;
  readonly orgCode: string;
  readonly dataset: DatasetName;
  readonly windowFrom: number;
  readonly windowTo: number;
  readonly startedAt: number;
  readonly finishedAt: number | null;
  /** What was read so far; of a run under way, as of its last sign of life. */
  readonly lines: number;
  readonly bytes: number;
  /** Bytes of all of it, where the answer has told. */
  readonly bytesExpected: number | null;
  readonly errorCode: string | null;
  readonly errorMessage: string | null;
}

/** Runs that are under way, the oldest first. */
export function runningRuns(db: Database, limit: number): Promise<RunInBrief[]> {
  return brief(db).where('status', '=', 'running').orderBy('id').limit(limit).execute();
}

/** The runs that failed last, the newest first. */
export function lastFailures(db: Database, limit: number): Promise<RunInBrief[]> {
  // As the index `run_unfinished_idx` has it.
  return brief(db).where('status', '=', 'failed').orderBy('id', 'desc').limit(limit).execute();
}

function brief(db: Database) {
  return db
    .selectFrom('vcc.run')
    .select(({ ref }) => [
      'id',
      'org_code as orgCode',
      'dataset',
      milliseconds(ref('window_from')).as('windowFrom'),
      milliseconds(ref('window_to')).as('windowTo'),
      milliseconds(ref('started_at')).as('startedAt'),
      milliseconds(ref('finished_at')).as('finishedAt'),
      'lines',
      'bytes',
      'bytes_expected as bytesExpected',
      'error_code as errorCode',
      'error_message as errorMessage',
    ])
    .$narrowType<{ dataset: DatasetName }>();
}
