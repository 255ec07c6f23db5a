import { setMaxListeners } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import { DAY, HOUR, MINUTE, parseChinaTime, SECOND } from '../../src/core/china-time.ts';
import type { FeedName } from '../../src/core/dataset.ts';
import type { Interfere } from '../../src/simulator/simulator.ts';
import { catchUp } from '../../src/sync/catch-up.ts';
import { planTick } from '../../src/sync/plan.ts';
import { type Harness, useHarness } from '../support/sync-harness.ts';

const ORGS = [
  { code: 'WJ0105', name: '吴江' },
  { code: 'NJ0101', name: '南京' },
];

/** One tick of the planner and everything that it wakes; answers how many went through. */
async function tick({ sync }: Harness): Promise<number> {
  const signal = new AbortController().signal;
  // Every feed listens to it, as in a worker.
  setMaxListeners(0, signal);
  const serve = (feed: FeedName) =>
    catchUp(sync, feed, { trigger: 'schedule' }, signal).catch((error) => error.code as string);
  const outcomes = await Promise.all((await planTick(sync)).map(serve));
  return outcomes.filter((outcome) => outcome === 'caught-up').length;
}

type Answer = (...call: Parameters<Interfere>) => void;

/** What was logged of the end of a wait. */
function goesOn({ log }: Harness): readonly object[] {
  return log.lines.filter(({ message }) => message.includes('goes on'));
}

describe('a platform that is away', () => {
  const h = useHarness({ world: { orgs: ORGS }, runs: 8 });

  const page: Answer = (_request, response) => {
    response.setHeader('content-type', 'text/html').end('<html>系统维护</html>');
  };
  const refuse: Answer = (_request, response) => {
    response.writeHead(503).end();
  };

  it.each<[string, readonly Answer[]]>([
    ['closes every connection', [(request) => request.socket.destroy()]],
    ['shows a maintenance page', [page]],
    // As by two nodes of a gateway, of which now the one is met and now the other.
    ['answers now with a page, now with 503', [page, refuse]],
    ['mostly answers with 503', [refuse, refuse, page]],
  ])(
    'for an hour, and %s, makes the queue wait as a whole and costs no feed hours',
    async (_, answers) => {
      const { current } = h;
      await current.addOrgs(ORGS.map(({ code }) => code));
      expect(await tick(current)).toBe(8);
      current.now += 20 * MINUTE;
      current.world.change(40, current.now - MINUTE);
      let asked = 0;
      current.interfere = (request, response, call) => {
        answers[asked % answers.length]!(request, response, call);
        asked += 1;
        return true;
      };
      const away = current.simulator.requests.length;
      for (const end = current.now + HOUR; current.now < end; current.now += 10 * SECOND) {
        expect(await tick(current)).toBe(0);
      }
      // Eight that found out, then a probe every half minute: not eight every few seconds.
      expect(current.simulator.requests.length - away).toBeLessThan(160);
      const said = current.log.lines.filter(({ message }) => message.includes('waits as a whole'));
      expect(said).toHaveLength(1);
      expect(goesOn(current)).toEqual([]);
      const [{ most }] = (await current.query<{ most: number }>(
        'select max(consecutive_failures) as most from vcc.feed',
      )) as [{ most: number }];
      expect(most).toBeLessThanOrEqual(2);

      current.interfere = null;
      const back = current.now;
      let through = 0;
      while (through < 8 && current.now < back + MINUTE) {
        current.now += 10 * SECOND;
        through += await tick(current);
      }
      expect(through).toBe(8);
      expect(goesOn(current)).toHaveLength(1);
      await current.expectEqual();
      expect(await tick(current)).toBe(0);
      const [state] = await current.query('select blocked_since from vcc.platform_state');
      expect(state).toEqual({ blocked_since: null });
    },
  );

  it('is probed by another feed where the one that is due first is held for long', async () => {
    const { current } = h;
    await current.addOrgs(ORGS.map(({ code }) => code));
    expect(await tick(current)).toBe(8);
    current.now += 20 * MINUTE;
    current.interfere = (request) => {
      request.socket.destroy();
      return true;
    };
    for (let count = 0; count < 12; count += 1) {
      await tick(current);
      current.now += 10 * SECOND;
    }
    // As by an import that takes an hour: its feed stays due, the longest of all.
    const [first] = await current.query<{ id: number }>(
      `update vcc.feed set next_due_at = '-infinity' where id = (select min(id) from vcc.feed) returning id`,
    );
    const holder = await current.store.feeds.claim(first!.id, new AbortController().signal);
    onTestFinished(() => holder!.release());
    current.interfere = null;
    for (const end = current.now + MINUTE; current.now < end; current.now += 10 * SECOND) {
      await tick(current);
    }
    const others = await current.query(
      'select from vcc.feed where id <> $1 and consecutive_failures = 0 and next_due_at > $2',
      [first!.id, new Date(current.now)],
    );
    expect(others.length).toBe(7);
    await holder!.release();
    expect(await tick(current)).toBe(1);
  });

  it('for one feed alone stops that feed alone', async () => {
    const { current } = h;
    await current.addOrgs(ORGS.map(({ code }) => code));
    current.simulator.refuse('WJ0105', 'meters');
    for (let round = 0; round < 30; round += 1) {
      current.now += 5 * MINUTE;
      await tick(current);
    }
    const behind = await current.query<{ dataset: string; failures: number }>(
      `select org_code, dataset, consecutive_failures as failures from vcc.feed
        where consecutive_failures > 0`,
    );
    expect(behind).toMatchObject([{ org_code: 'WJ0105', dataset: 'meters' }]);
    expect(behind[0]!.failures).toBeGreaterThan(3);
    expect(
      await current.query('select from vcc.platform_state where blocked_since is not null'),
    ).toEqual([]);
  });
});

describe('a platform that takes connections and never answers', () => {
  const h = useHarness({ world: { orgs: ORGS }, runs: 8, client: { idleTimeout: 700 } });

  it('makes the queue wait as a whole, and costs no feed more than a few failures', async () => {
    const { current } = h;
    await current.addOrgs(ORGS.map(({ code }) => code));
    expect(await tick(current)).toBe(8);
    current.now += 20 * MINUTE;
    current.interfere = () => true;
    for (const end = current.now + 10 * MINUTE; current.now < end; current.now += 15 * SECOND) {
      expect(await tick(current)).toBe(0);
    }
    const [state] = await current.query('select error_code from vcc.platform_state');
    expect(state).toEqual({ error_code: 'DOWNLOAD_TIMEOUT' });
    const [worst] = await current.query<{ most: number }>(
      'select max(consecutive_failures) as most from vcc.feed',
    );
    expect(worst!.most).toBeLessThanOrEqual(2);

    current.interfere = null;
    let through = 0;
    for (const end = current.now + MINUTE; current.now < end; current.now += 10 * SECOND) {
      through += await tick(current);
    }
    expect(through).toBe(8);
    await current.expectEqual();
  });

  it('in time for long windows halves them, and does not wait as a whole', async () => {
    const { current } = h;
    await current.addOrgs(ORGS.map(({ code }) => code));
    // Tables alone: a token does not come sooner for a shorter window, so it would tell of an outage.
    current.interfere = (_request, _response, { record: { from, to } }) =>
      from !== null && parseChinaTime(to!)! - parseChinaTime(from)! > 10 * DAY;
    let through = 0;
    for (let round = 0; round < 4; round += 1) {
      through += await tick(current);
      expect(
        await current.query('select from vcc.platform_state where blocked_since is not null'),
      ).toEqual([]);
      current.now += 5 * MINUTE;
    }
    expect(through).toBe(8);
    const failed = await current.query(
      `select error_code, count(*)::int as runs, count(distinct feed_id)::int as feeds from vcc.run
        where status = 'failed' group by 1`,
    );
    // Twice the whole, which then is halved, and the half once.
    expect(failed).toEqual([{ error_code: 'DOWNLOAD_TIMEOUT', runs: 24, feeds: 8 }]);
    await current.expectEqual();
  });
});
