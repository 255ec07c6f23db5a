import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { floorSecond, SECOND } from '../../src/core/china-time.ts';
import { completeThrough } from '../../src/core/coverage.ts';
import { listFeeds } from '../../src/store/feeds.ts';
import { eventually } from './eventually.ts';
import { hasStarted, type ServiceProcess, spawnServiceProcess } from './service-process.ts';
import {
  APP_ID,
  BASE_KEY,
  type Harness,
  type HarnessOptions,
  openHarness,
} from './sync-harness.ts';

/** Real processes of the service around one harness, for the tests of a file or suite. */
export interface ServiceHarness {
  readonly current: Harness;
  /** Starts a process with production's settings but for short intervals. */
  start(over?: Record<string, string>, args?: readonly string[]): Promise<ServiceProcess>;
  /** Those settings. */
  settings(over?: Record<string, string>): Record<string, string>;
  /** Waits until every feed is complete beyond a time (milliseconds), and compares then. */
  expectEqualAfter(at: number): Promise<void>;
}

/** For each test a harness of its own. */
const PER_TEST = { before: beforeEach, after: afterEach } as const;

/** One harness for all tests of a suite, which begins with those that only look. */
export const PER_SUITE = { before: beforeAll, after: afterAll } as const;

/** A fresh harness on real time for each test, or suite; processes that are left are killed. */
export function useService(
  queue: Record<string, string>,
  reading: 'then' | 'now' = 'then',
  options: () => Promise<HarnessOptions> = async () => ({}),
  { before, after }: typeof PER_TEST | typeof PER_SUITE = PER_TEST,
): ServiceHarness {
  let h: Harness;
  let processes: ServiceProcess[];

  before(async () => {
    processes = [];
    h = await openHarness({
      now: Date.now(),
      world: {
        orgs: [
          { code: 'WJ0105', name: '吴江' },
          { code: 'NJ0101', name: '南京' },
        ],
        subscribersPerOrg: 40,
        changesPerDay: 20,
      },
      simulator: { clock: Date.now, reading },
      ...(await options()),
    });
  });

  after(async () => {
    for (const one of processes) one.kill('SIGKILL');
    await h.close();
  });

  const settings = (over: Record<string, string> = {}): Record<string, string> => ({
    DATABASE_URL: h.databaseUrl,
    VCC_BASE_URL: h.simulator.url,
    VCC_APP_ID: APP_ID,
    VCC_BASE_KEY: BASE_KEY,
    VCC_ORG_CODES: 'WJ0105,NJ0101',
    SYNC_EVERY: '1s',
    SYNC_TICK: '500ms',
    SYNC_SETTLE: '0',
    ...queue,
    ...over,
  });

  const start = async (over: Record<string, string> = {}, args: readonly string[] = []) => {
    const one = spawnServiceProcess(settings(over), args);
    processes.push(one);
    await hasStarted(one);
    return one;
  };

  async function expectEqualAfter(at: number): Promise<void> {
    await eventually(
      async () => {
        const feeds = await listFeeds(h.store.db);
        const behind = feeds.filter((feed) => (completeThrough(feed) ?? 0) <= at);
        expect(feeds.length).toBe(8);
        expect(behind.map(({ id, lastErrorCode }) => ({ id, lastErrorCode }))).toEqual([]);
      },
      { within: 300_000 },
    );
    h.now = Date.now();
    await h.expectEqual();
  }

  return {
    get current() {
      return h;
    },
    start,
    settings,
    expectEqualAfter,
  };
}

/** Ends a process, which must be in order and well within the time that a service manager grants. */
export async function stopsInOrder(one: ServiceProcess): Promise<void> {
  const { code, ms } = await one.stop();
  expect(code).toBe(0);
  expect(ms).toBeLessThan(25 * SECOND);
}

/** What the service is asked to do with three processes, on one queue backend. */
export function serviceSuite(queue: Record<string, string>, reading: 'then' | 'now'): void {
  const service = useService(queue, reading);

  it('keeps the copy equal with three processes over 50 rounds of changes, and loads no feed twice at once', async () => {
    const { current: h, expectEqualAfter } = service;
    // Connections are few where several files work on one server.
    const few = { SYNC_CONCURRENCY: '2' };
    const processes = await Promise.all([1, 2, 3].map(() => service.start(few)));
    await expectEqualAfter(Date.now());
    for (let round = 0; round < 50; round += 1) {
      h.world.change(10, Date.now());
      await expectEqualAfter(floorSecond(Date.now()));
    }
    expect(h.simulator.maxConcurrentPerFeed).toBe(1);
    const workers = await h.query(`select distinct worker from vcc.run where status = 'done'`);
    expect(workers.length).toBe(3);
    const unsound = await h.query(
      `select id from vcc.run where status not in ('done', 'running')
        or (status = 'done' and lines <> accepted + rejected)`,
    );
    expect(unsound).toEqual([]);
    expect(h.simulator.tokensIssued).toBe(1);
    await Promise.all(processes.map(stopsInOrder));
    const [{ running }] = (await h.query<{ running: number }>(
      `select count(*)::int as running from vcc.run where status = 'running'`,
    )) as [{ running: number }];
    expect(running).toBe(0);
  }, 900_000);
}
