import type pg from 'pg';
import { SIMULATOR_BASE_KEY } from '../../src/cli/simulate.ts';
import { missing, watermark } from '../../src/core/coverage.ts';
import { CATALOGUE } from '../../src/datasets/catalogue.ts';
import type { Row } from '../../src/simulator/history.ts';
import type { World } from '../../src/simulator/world.ts';
import { listFeeds } from '../../src/store/feeds.ts';
import type { Feed } from '../../src/sync/ports.ts';
import { findBackwards, notedStates } from './back-watch.ts';
import type { Finding, Journal } from './journal.ts';
import { type LedgerRun, ledgerRuns } from './ledger.ts';
import { findOverlaps } from './overlaps.ts';
import { findRejectFaults, storedRejects } from './refused-lines.ts';
import type { Stage } from './stage.ts';

/** Keys that a finding names at most. */
const NAMED = 3;

/** What the oracle saw besides what it found. */
export interface Judgement {
  readonly findings: readonly Finding[];
  readonly runs: readonly LedgerRun[];
  /** Rows that were compared, field by field. */
  readonly rows: number;
  /** States of rows that were followed. */
  readonly states: number;
}

/**
 * Judges what the torture has left behind, once all is calm and every process has ended in order.
 *
 * @param calmAt when nothing disturbed any more (milliseconds): all before it must be covered
 */
export async function judge(stage: Stage, journal: Journal, calmAt: number): Promise<Judgement> {
  const { pool, db, world, simulator } = stage;
  const feeds = await listFeeds(db);
  const runs = await ledgerRuns(pool);
  const states = await notedStates(pool);
  const rows = await findDifferences(pool, world, feeds);
  const { requests, injected } = simulator;
  return {
    runs,
    rows: rows.compared,
    states: states.length,
    findings: [
      ...rows.findings,
      ...findHoles(feeds, calmAt),
      ...findBackwards(states, world),
      ...findOverlaps({ requests, runs, incidents: journal.incidents }),
      ...findRejectFaults(runs, injected, await storedRejects(pool)),
      ...(await findLedgerFaults(pool)),
      ...(await findSecrets(stage)),
    ],
  };
}

/** Compares every field of every row with the source, as of now: nothing changes any more. */
export async function findDifferences(
  pool: pg.Pool,
  world: World,
  feeds: readonly Pick<Feed, 'dataset' | 'orgCode'>[],
): Promise<{ readonly findings: Finding[]; readonly compared: number }> {
  const findings: Finding[] = [];
  let compared = 0;
  for (const { dataset, orgCode } of feeds) {
    const { table, key, columns } = CATALOGUE[dataset];
    const names = columns.map(({ name }) => name);
    const source = world.rows(dataset, orgCode, Date.now());
    const { rows } = await pool.query<Row>(
      `select ${names.join(', ')} from vcc.${table} where org_code = $1`,
      [orgCode],
    );
    const stored = new Map(rows.map((row) => [row[key] as string, row]));
    compared += stored.size;
    const say = (what: string, keys: readonly string[]) => {
      const facts = { dataset, orgCode, rows: keys.length, keys: keys.slice(0, NAMED) };
      if (keys.length > 0) findings.push({ what, facts });
    };
    say(
      'rows of the source are missing',
      [...source.keys()].filter((one) => !stored.has(one)),
    );
    say(
      'rows are stored that the source has not',
      [...stored.keys()].filter((one) => !source.has(one)),
    );
    const differs = (one: string, row: Row) =>
      stored.has(one) && names.some((name) => stored.get(one)![name] !== row[name]);
    say(
      'rows differ from the source',
      [...source].flatMap(([one, row]) => (differs(one, row) ? one : [])),
    );
  }
  return { findings, compared };
}

/** Finds what is not covered though the platform serves it, and what is covered before it has been. */
export function findHoles(
  feeds: readonly Pick<Feed, 'dataset' | 'orgCode' | 'since' | 'coverage'>[],
  calmAt: number,
): Finding[] {
  const findings: Finding[] = [];
  const shown = ({ from, to }: { from: number; to: number }) =>
    [from, to].map((at) => (Number.isFinite(at) ? new Date(at).toISOString() : String(at)));
  for (const { dataset, orgCode, ...feed } of feeds) {
    const holes = missing(feed, calmAt, Date.now());
    const facts = { dataset, orgCode, holes: holes.map(shown) };
    if (holes.length > 0) findings.push({ what: 'the coverage has a hole', facts });
    if ((watermark(feed.coverage) ?? 0) > Date.now()) {
      findings.push({ what: 'the coverage reaches into the future', facts: { dataset, orgCode } });
    }
  }
  return findings;
}

/** What one query finds, and what that is called; it answers `id` and any facts. */
const LEDGER_RULES: readonly { readonly what: string; readonly query: string }[] = [
  {
    what: 'a receipt does not balance',
    query: `select id from vcc.run where status = 'done' and not coalesce(lines = accepted + rejected
      and accepted = inserted + updated + unchanged + stale + duplicate, false)`,
  },
  {
    what: 'a run is left running',
    query: `select id, dataset, org_code, worker, heartbeat_at from vcc.run where status = 'running'`,
  },
  {
    what: 'a request is not finished',
    query: `select q.id, f.dataset, f.org_code, q.during::text, q.requested_at from vcc.request q
      join vcc.feed f on f.id = q.feed_id where q.finished_at is null`,
  },
  {
    what: 'a row names a run that did not commit',
    query: ['address', 'supply_point', 'subscriber', 'meter']
      .map(
        (table) => `select distinct run_id as id, '${table}' as data from vcc.${table} d
          where not exists (select from vcc.run r where r.id = d.run_id and r.status = 'done')`,
      )
      .join(' union all '),
  },
];

/** Finds what the ledger must not hold. */
export async function findLedgerFaults(pool: pg.Pool): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { what, query } of LEDGER_RULES) {
    const { rows } = await pool.query<Finding['facts']>(query);
    findings.push(...rows.map((facts) => ({ what, facts })));
  }
  return findings;
}

/** Finds the base key, and every session token that was ever stored, in what the processes wrote. */
async function findSecrets({ pool, services }: Stage): Promise<Finding[]> {
  const { rows } = await pool.query<{ token: string }>('select distinct token from torture.token');
  const secrets = [SIMULATOR_BASE_KEY, ...rows.map(({ token }) => token)];
  return services.flatMap(({ process }) =>
    process.all.flatMap((one): Finding[] => {
      const text = one.stderr();
      const shown = secrets.filter((secret) => text.includes(secret)).length;
      const what = 'a secret stands in a log';
      return shown > 0 ? [{ what, facts: { pid: one.pid, secrets: shown } }] : [];
    }),
  );
}
