import { describe, expect, it } from 'vitest';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/core/china-time.ts';
import type { Interval } from '../../src/core/interval.ts';
import { reach } from '../../src/core/window.ts';
import { openGapStore } from '../../src/store/gap-acceptance.ts';
import { readStatus } from '../../src/store/ledgers.ts';
import { acceptGaps, type GapWish } from '../../src/sync/gap-acceptance.ts';
import { useHarness } from '../support/sync-harness.ts';

const NOW = Date.UTC(2026, 9, 20, 4, 0, 0);
const HORIZON = reach(NOW);
const SINCE = HORIZON - 10 * DAY;
const SETTINGS = { every: 15 * MINUTE, settle: 30 * SECOND };

const h = useHarness({ now: NOW, world: { subscribersPerOrg: 0, changesPerDay: 0 } });

function accept(from: number, to: number, over: Partial<GapWish> = {}) {
  const { store, sync } = h.current;
  return acceptGaps(
    { gaps: openGapStore(store.db), clock: sync.clock, settings: SETTINGS },
    {
      orgCode: 'WJ0105',
      dataset: 'meters',
      during: { from, to },
      reason: 'the archive burnt',
      acceptedBy: 'test:somebody',
      ...over,
    },
  );
}

async function status() {
  const { feeds } = await readStatus(h.current.store.db, SETTINGS, NOW, { dataset: 'meters' });
  return feeds[0]!;
}

/** Covers these intervals and all that the platform serves from a day after reach on. */
async function cover(...intervals: Interval[]): Promise<void> {
  await h.current.addOrgs(['WJ0105'], SINCE);
  for (const { from, to } of [...intervals, { from: HORIZON + DAY, to: NOW - MINUTE }]) {
    await h.current.query(
      `update vcc.feed set coverage = coverage + tstzmultirange(tstzrange($1, $2)) where dataset = 'meters'`,
      [new Date(from), new Date(to)],
    );
  }
}

const recorded = () => h.current.query('select * from vcc.gap_acceptance order by during');

describe('the acceptance of gaps', () => {
  it('takes exactly the expired parts of the interval and writes down who and why', async () => {
    await cover({ from: SINCE + DAY, to: SINCE + 2 * DAY });
    const { accepted } = await accept(SINCE + HOUR, NOW);
    expect(accepted).toEqual([
      { from: SINCE + HOUR, to: SINCE + DAY },
      { from: SINCE + 2 * DAY, to: HORIZON },
    ]);
    const rows = await h.current.query(
      `select lower(during) as from, upper(during) as to, reason, accepted_by,
          accepted_at > now() - interval '1 hour' as fresh from vcc.gap_acceptance order by during`,
    );
    expect(rows).toEqual(
      accepted.map(({ from, to }) => ({
        from: new Date(from),
        to: new Date(to),
        reason: 'the archive burnt',
        accepted_by: 'test:somebody',
        fresh: true,
      })),
    );
    const { gaps } = await status();
    expect(gaps.map(({ from, to, state }) => ({ from, to, state }))).toEqual([
      { from: SINCE, to: SINCE + HOUR, state: 'expired' },
      { from: HORIZON, to: HORIZON + DAY, state: 'open' },
    ]);
  });

  it('is bridged by complete through, up to the next hole', async () => {
    await cover();
    expect((await status()).completeThrough).toBe(SINCE);
    await accept(SINCE, HORIZON);
    expect((await status()).completeThrough).toBe(HORIZON);
    await h.current.run('meters', 'WJ0105');
    expect(await status()).toMatchObject({
      completeThrough: NOW - 30 * SECOND,
      gaps: [],
      state: 'in step',
    });
  });

  it('is refused, with nothing recorded, where there is nothing expired, no reason or no interval', async () => {
    await cover({ from: SINCE, to: HORIZON });
    await expect(accept(SINCE, NOW)).rejects.toThrow(/has no expired gap from .*vcc-sync gaps/);
    await expect(accept(HORIZON, HORIZON + DAY)).rejects.toThrow(/no expired gap/);
    await expect(accept(SINCE, NOW, { reason: ' ' })).rejects.toThrow(/needs a reason/);
    await expect(accept(NOW, SINCE)).rejects.toThrow(/ends before it begins/);
    await expect(accept(SINCE, SINCE)).rejects.toThrow(/is empty/);
    await expect(accept(SINCE, NOW, { orgCode: 'NOBODY' })).rejects.toThrow(/is not known/);
    expect(await recorded()).toEqual([]);
  });

  it('is not repeated: a second one takes what the first has left', async () => {
    await cover();
    await accept(SINCE, SINCE + DAY);
    expect((await accept(SINCE, SINCE + 2 * DAY)).accepted).toEqual([
      { from: SINCE + DAY, to: SINCE + 2 * DAY },
    ]);
    await expect(accept(SINCE, SINCE + 2 * DAY)).rejects.toThrow(/no expired gap/);
    expect(await recorded()).toHaveLength(2);
  });

  it('by two at once records each instant once', async () => {
    await cover();
    const both = await Promise.allSettled([accept(SINCE, HORIZON), accept(SINCE, HORIZON)]);
    expect(both.map((one) => one.status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(await recorded()).toHaveLength(1);
  });
});
