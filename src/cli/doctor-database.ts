import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import type { PoolClient } from 'pg';
import { assertSchema } from '../store/migrate.ts';
import { openDatabase, openPool } from '../store/pool.ts';
import { databaseFailure, describeDatabase } from './failure.ts';
import { type Finding, failed, failedBy, ok, warning } from './finding.ts';

/** Oldest Postgres that will do, as `server_version_num`. */
const OLDEST = 150_000;

/** Clocks further apart than this are worth a warning, in milliseconds. */
export const CLOCK_LIMIT = 60_000;

/** How often session state is looked for again. */
const ROUND_TRIPS = 3;

/** How long a statement may wait for another session: no direct connection ever does; in milliseconds. */
const POOLER_LIMIT = 5_000;

/** Opens the database for the checks; each finding says what it could do there. */
export async function* checkDatabase(databaseUrl: string): AsyncGenerator<Finding> {
  let pool: pg.Pool;
  try {
    pool = openPool(databaseUrl, { max: 4, name: 'vcc-sync doctor' });
  } catch (error) {
    yield failedBy('database', databaseFailure(databaseUrl, error));
    return;
  }
  try {
    const reached = await reach(pool, databaseUrl);
    yield* reached;
    if (reached.some(({ result }) => result === 'failed')) return;
    yield await checkSchema(pool);
    yield await checkSessions(pool);
    yield await checkTermination(pool);
    yield await checkOrgs(pool);
  } finally {
    await pool.end();
  }
}

async function reach(pool: pg.Pool, databaseUrl: string): Promise<Finding[]> {
  const name = describeDatabase(databaseUrl);
  try {
    const { rows: versions } = await pool.query<{ version: string; number: number }>(
      `select current_setting('server_version') as version, current_setting('server_version_num')::int as number`,
    );
    const { version, number } = versions[0]!;
    const before = Date.now();
    const { rows } = await pool.query<{ now: number }>(
      'select (extract(epoch from clock_timestamp()) * 1000)::float8 as now',
    );
    const database =
      number >= OLDEST
        ? ok('database', `${name} answers, Postgres ${version}`)
        : failed('database', `${name} is Postgres ${version}`, 'Postgres 15 or newer is needed');
    return [database, clockFinding('clock of Postgres', rows[0]!.now - (before + Date.now()) / 2)];
  } catch (error) {
    return [failedBy('database', databaseFailure(databaseUrl, error))];
  }
}

/** Judges the difference of a clock to ours; milliseconds. */
export function clockFinding(check: string, difference: number): Finding {
  const off = Math.round(Math.abs(difference) / 1000);
  if (Math.abs(difference) <= CLOCK_LIMIT) return ok(check, off === 0 ? 'agrees' : `${off}s off`);
  const direction = difference > 0 ? 'ahead of' : 'behind';
  return warning(check, `${off}s ${direction} ours`, 'set the clocks by NTP');
}

async function checkSchema(pool: pg.Pool): Promise<Finding> {
  try {
    await assertSchema(openDatabase(pool));
    return ok('schema', 'up to date');
  } catch (error) {
    return failedBy('schema', error);
  }
}

/**
 * Finds a proxy that shares server connections between transactions: our locks and staging tables
 * would vanish or land in another's session.
 *
 * A setting is made in one session; then a second one opens a transaction, and so takes hold of the
 * server connection that such a proxy got back from the first. A direct connection notices nothing.
 */
export async function checkSessions(pool: Pick<pg.Pool, 'connect'>): Promise<Finding> {
  const clients: PoolClient[] = [];
  try {
    for (let opened = 0; opened < 3; opened += 1) clients.push(await pool.connect());
    for (let round = 0; round < ROUND_TRIPS; round += 1) {
      if ((await inTime(keepsState(clients))) !== true) return pooled();
    }
    return ok('sessions', 'state survives between statements, no pooling proxy in between');
  } catch (error) {
    return failedBy('sessions', error);
  } finally {
    // Closed rather than given back: what they hold shall not live on.
    for (const client of clients) client.release(true);
  }
}

/** Whether the first session finds its setting again while the others have transactions open. */
async function keepsState([one, ...others]: readonly PoolClient[]): Promise<boolean> {
  const mark = randomUUID();
  const before = await sessionOf(one!, `select set_config('vcc_sync.doctor', $1, false)`, [mark]);
  for (const other of others) await other.query('begin');
  const after = await sessionOf(one!);
  for (const other of others) await other.query('rollback');
  return after.pid === before.pid && after.mark === mark;
}

function pooled(): Finding {
  return failed(
    'sessions',
    'state of a session is lost between statements: a proxy pools transactions (PgBouncer?)',
    'connect to Postgres directly, or set the proxy to pool sessions (pool_mode = session)',
  );
}

interface Session {
  readonly pid: number;
  readonly mark: string | null;
}

async function sessionOf(
  client: PoolClient,
  statement?: string,
  values?: unknown[],
): Promise<Session> {
  if (statement) await client.query(statement, values);
  const { rows } = await client.query<Session>(
    `select pg_backend_pid() as pid, current_setting('vcc_sync.doctor', true) as mark`,
  );
  return rows[0]!;
}

/** Null if there is no answer in time: a proxy with a single connection makes sessions wait. */
async function inTime<T>(work: Promise<T>): Promise<T | null> {
  const ended = new AbortController();
  const limit = delay(POOLER_LIMIT, null, { signal: ended.signal }).catch(() => null);
  work.catch(() => {});
  try {
    return await Promise.race([work, limit]);
  } finally {
    ended.abort();
  }
}

async function checkTermination(pool: pg.Pool): Promise<Finding> {
  const check = 'own backends';
  const advice = 'connect as the role that owns the sessions, or grant it pg_signal_backend';
  const victim = await pool.connect();
  try {
    const { pid } = await sessionOf(victim);
    const { rows } = await pool.query<{ ended: boolean }>(
      'select pg_terminate_backend($1) as ended',
      [pid],
    );
    if (rows[0]!.ended) return ok(check, 'may be ended, so a run that hangs can be taken over');
    return failed(check, 'could not be ended, so a run that hangs blocks its feed', advice);
  } catch (error) {
    return failedBy(check, error, advice);
  } finally {
    victim.release(true);
  }
}

async function checkOrgs(pool: pg.Pool): Promise<Finding> {
  const check = 'organisations';
  const advice = 'add one with vcc-sync org add CODE, or list some in VCC_ORG_CODES';
  try {
    const { rows } = await pool.query<{ orgs: number; feeds: number }>(
      `select count(distinct o.org_code) as orgs, count(f.id) filter (where f.enabled and not f.paused) as feeds
        from vcc.org o left join vcc.feed f using (org_code) where o.enabled`,
    );
    const { orgs, feeds } = rows[0]!;
    if (orgs === 0) return warning(check, 'none is enabled, so nothing is synchronised', advice);
    return ok(check, `${orgs} enabled, with ${feeds} active feeds`);
  } catch (error) {
    return failedBy(check, error, 'run vcc-sync migrate first');
  }
}
