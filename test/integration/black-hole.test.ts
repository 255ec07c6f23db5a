import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MINUTE } from '../../src/core/china-time.ts';
import { openBackend, type QueueBackend } from '../../src/queue/backend.ts';
import { guarded } from '../../src/store/database-error.ts';
import { openPlatformState } from '../../src/store/platform-state.ts';
import { openDatabase, openPool, openPrepared } from '../../src/store/pool.ts';
import { Store } from '../../src/store/store.ts';
import { openDatabaseGate } from '../../src/sync/database-gate.ts';
import { useDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { hang } from '../support/hanging-download.ts';
import { startQueueProcess } from '../support/queue-process.ts';
import { useRedis } from '../support/redis.ts';
import { APP_ID, type Harness, openHarness } from '../support/sync-harness.ts';

const redis = useRedis();

/** How long silence is borne in these tests, in milliseconds. */
const SILENCE = 1_500;

redis.describe('a process whose way to Postgres swallows everything', () => {
  let h: Harness;
  let proxy: FaultProxy;
  let holed: Store;
  let given: number;
  let stops: (() => Promise<unknown>)[];

  beforeEach(async () => {
    h = await openHarness({ world: { subscribersPerOrg: 20 }, runs: 8 });
    await h.addOrgs(['WJ0105']);
    const { hostname: host, port } = new URL(h.databaseUrl);
    proxy = await startFaultProxy({ target: { host, port: Number(port) } });
    given = 0;
    holed = new Store(proxy.url(h.databaseUrl), {
      runs: 4,
      heartbeat: 100,
      silence: SILENCE,
      statement: SILENCE,
      onCut: (connections) => {
        given += connections;
      },
    });
    stops = [];
  });

  afterEach(async () => {
    await proxy.restore();
    for (const stop of stops.reverse()) await stop();
    await holed.close();
    await proxy.close();
    await h.close();
  });

  async function openQueue(): Promise<QueueBackend> {
    const backend = openBackend({
      redisUrl: redis.url,
      databaseUrl: h.databaseUrl,
      namespace: await h.store.databaseName(),
      onError: () => {},
    });
    stops.push(() => backend.close());
    return backend;
  }

  async function expectInStep(): Promise<void> {
    const due = await h.query('select from vcc.feed where next_due_at <= $1', [new Date(h.now)]);
    expect(due.length).toBe(0);
  }

  it('gives up its runs and its ticks, so that others plan and take its feeds over, and goes on afterwards', async () => {
    const sync = {
      ...h.sync,
      feeds: holed.feeds,
      platformState: openPlatformState(holed.prepared, APP_ID),
      // On real time, so that it is tried again.
      databaseGate: openDatabaseGate(Date.now, h.log),
    };
    const stopHoled = await startQueueProcess({ sync, store: holed }, await openQueue(), {
      limit: SILENCE,
    });
    stops.push(stopHoled);
    await eventually(expectInStep);
    h.world.change(20, h.now + MINUTE);
    h.now += 20 * MINUTE;
    const giveUp = await hang(h);
    proxy.blackHole(true);
    // The minute has passed for those who look: its heartbeat is a minute older than it is.
    await h.query(
      `update vcc.run set heartbeat_at = now() - interval '61 seconds' where status = 'running'`,
    );
    await eventually(() => expect(given).toBeGreaterThan(1));
    h.interfere = null;
    const stopOther = await startQueueProcess(h, await openQueue(), { limit: SILENCE });
    await eventually(expectInStep);
    await h.expectEqual();
    giveUp();

    await proxy.restore();
    await stopOther();
    h.world.change(20, h.now + MINUTE);
    h.now += 20 * MINUTE;
    await eventually(expectInStep);
    await h.expectEqual();
    const left = await h.query(`select from vcc.run where status = 'running'`);
    expect(left).toEqual([]);
  });
});

describe('a short statement that is never answered', () => {
  const database = useDatabase();

  it.each([
    ['as it is', openDatabase],
    ['prepared', openPrepared],
  ])('costs its connection, and the next statement gets another (%s)', async (_, open) => {
    const pool = openPool(database.url, { max: 1, name: 'vcc-sync test', limit: 200 });
    const db = open(pool);
    await expect(guarded(sql`select pg_sleep(100)`.execute(db))).rejects.toMatchObject({
      code: 'DATABASE_AWAY',
    });
    const next = await eventually(() => sql<{ one: number }>`select 1 as one`.execute(db));
    expect(next.rows).toEqual([{ one: 1 }]);
    await pool.end();
    await database.pool.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where query like 'select pg_sleep%'`,
    );
  });
});
