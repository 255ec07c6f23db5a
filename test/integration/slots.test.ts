import { describe, expect, it } from 'vitest';
import { DAY, MINUTE, SECOND } from '../../src/core/china-time.ts';
import type { FeedName } from '../../src/core/dataset.ts';
import { RetryableError } from '../../src/core/errors.ts';
import { type CatchUpOptions, catchUp } from '../../src/sync/catch-up.ts';
import { type Harness, useHarness } from '../support/sync-harness.ts';

const METERS: FeedName = { dataset: 'meters', orgCode: 'WJ0105' };

/** Serves the feed as a worker does. */
function serve({ sync }: Harness, options: Pick<CatchUpOptions, 'onWindow'> = {}) {
  return catchUp(sync, METERS, { trigger: 'schedule', ...options }, new AbortController().signal);
}

/** Adds the feed and makes it due after a failed run that took so many milliseconds. */
async function afterFailing(h: Harness, ms: number): Promise<Harness> {
  await h.addOrgs(['WJ0105']);
  h.interfere = (_request, response, { record }) => {
    if (record.interface !== '3004') return false;
    response.writeHead(503).end();
    return true;
  };
  await expect(serve(h)).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
  h.interfere = null;
  await h.query(`update vcc.run set started_at = finished_at - $1 * interval '1 ms'`, [ms]);
  h.now += 2 * MINUTE;
  return h;
}

describe('while every slot for feeds that are slow to fail is taken, a feed', () => {
  const h = useHarness({ world: { subscribersPerOrg: 5 }, failing: 0 });

  it('that was slow is put off, and stays due', async () => {
    const current = await afterFailing(h.current, 5 * SECOND);
    expect(await serve(current)).toBe('put-off');
    const feeds = await current.query(
      `select next_due_at <= $1 as due from vcc.feed where dataset = 'meters'`,
      [new Date(current.now)],
    );
    expect(feeds).toEqual([{ due: true }]);
  });

  it('that failed at once is served like any other', async () => {
    expect(await serve(await afterFailing(h.current, SECOND))).toBe('caught-up');
  });

  it('that was slow is served all the same as the probe for which the whole queue waits', async () => {
    const current = await afterFailing(h.current, MINUTE);
    const away = new RetryableError('SOURCE_UNAVAILABLE', 'the platform is away');
    await current.sync.platformState.block(away, current.now);
    current.now += MINUTE;
    expect(await serve(current)).toBe('caught-up');
  });
});

describe('a feed that was slow to fail', () => {
  const h = useHarness({
    world: { subscribersPerOrg: 5 },
    failing: 1,
    settings: { maxWindow: 7 * DAY },
  });

  it('gives its slot back with the first window that goes through, whatever it has to catch up with', async () => {
    const current = await afterFailing(h.current, MINUTE);
    const isTaken: boolean[] = [];
    const onWindow = () => {
      const leave = current.sync.failing.take();
      isTaken.push(leave === null);
      leave?.();
    };
    expect(await serve(current, { onWindow })).toBe('caught-up');
    expect(isTaken.length).toBeGreaterThan(2);
    expect(isTaken).toEqual(isTaken.map((_, index) => index === 0));
  });
});
