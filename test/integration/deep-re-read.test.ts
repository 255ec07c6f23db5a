import { beforeEach, describe, expect, it } from 'vitest';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/core/china-time.ts';
import { type Harness, useHarness } from '../support/sync-harness.ts';

const ORG = 'WJ0105';
const h = useHarness({ world: { subscribersPerOrg: 0, changesPerDay: 0 } });

/** Puts a meter into the source that is only seen so much later than it happened. */
function putLate(harness: Harness, code: string, at: number, late: number): void {
  const row = { meter_code: code, meter_type: '01', state: 'A', location: code };
  harness.world.put('meters', ORG, row, at, at + late);
}

interface FeedRow {
  readonly missed: number;
  readonly next_deep_at: Date | null;
  readonly due: boolean;
}

async function feedRow(): Promise<FeedRow> {
  const [row] = await h.current.query<FeedRow>(
    `select missed, next_deep_at, next_due_at <= to_timestamp($1 / 1000.0) as due from vcc.feed
      where dataset = 'meters'`,
    [h.current.now],
  );
  return row!;
}

function requests(): Promise<{ kind: string; open: boolean; requested_by: string }[]> {
  return h.current.query(
    'select kind, finished_at is null as open, requested_by from vcc.request order by id',
  );
}

describe('the deep re-read', () => {
  beforeEach(() => h.current.addOrgs([ORG]));

  it('finds what a late source had hidden from every window, and counts it', async () => {
    const harness = h.current;
    await harness.run('meters', ORG);
    const first = await feedRow();
    expect(first).toMatchObject({ missed: 0, due: false });
    expect(await requests()).toEqual([]);
    // Later than the overlap: seen by no window, since none asks for that time again.
    putLate(harness, 'LATE', harness.now + 30 * MINUTE, 40 * MINUTE);
    harness.now += HOUR + MINUTE;
    await harness.run('meters', ORG);
    harness.now += HOUR;
    await harness.run('meters', ORG);
    await expect(harness.expectEqual(['meters'])).rejects.toThrow();

    harness.now = Math.max(harness.now, first.next_deep_at!.getTime()) + SECOND;
    await harness.run('meters', ORG);
    expect(await feedRow()).toMatchObject({ due: true });
    expect(await requests()).toEqual([{ kind: 'deep', open: true, requested_by: 'service' }]);
    await harness.run('meters', ORG);
    await harness.expectEqual(['meters']);
    expect(await feedRow()).toMatchObject({ missed: 1, due: false });
    expect(await requests()).toEqual([{ kind: 'deep', open: false, requested_by: 'service' }]);
    const told = harness.log.lines.filter(({ message }) => message.includes('missed'));
    expect(told.map(({ facts }) => facts)).toMatchObject([
      { org: ORG, dataset: 'meters', missed: 1 },
    ]);
  });

  it('counts nothing where nothing was missed, and comes again every day', async () => {
    const harness = h.current;
    for (let hour = 0; hour < 75; hour += 1) {
      putLate(harness, `M${hour}`, harness.now + MINUTE, 0);
      harness.now += HOUR;
      await harness.run('meters', ORG);
    }
    await harness.run('meters', ORG);
    await harness.expectEqual(['meters']);
    expect(await feedRow()).toMatchObject({ missed: 0 });
    expect(await requests()).toEqual([
      { kind: 'deep', open: false, requested_by: 'service' },
      { kind: 'deep', open: false, requested_by: 'service' },
      { kind: 'deep', open: false, requested_by: 'service' },
    ]);
  });

  it('leaves a row absent that an extract lacked within the time that it reads again', async () => {
    const harness = h.current;
    const changed = harness.now;
    await harness.run('meters', ORG);
    for (const code of ['GONE', 'KEPT']) putLate(harness, code, changed, 0);
    harness.now += HOUR;
    await harness.run('meters', ORG);
    const extractAt = harness.now;
    await harness.query(`update vcc.meter set absent_since = $1 where meter_code = 'GONE'`, [
      new Date(extractAt),
    ]);
    harness.now = (await feedRow()).next_deep_at!.getTime() + SECOND;
    await harness.run('meters', ORG);
    await harness.run('meters', ORG);
    const [reading] = await harness.query(
      `select bool_or(window_from < $1 and window_to > $2) as spans, sum(unchanged)::int as unchanged
        from vcc.run join vcc.request q on q.id = request_id where q.kind = 'deep'`,
      [new Date(changed), new Date(extractAt)],
    );
    expect(reading).toEqual({ spans: true, unchanged: 2 });
    const absent = await harness.query(
      'select meter_code from vcc.meter where absent_since is not null',
    );
    expect(absent).toEqual([{ meter_code: 'GONE' }]);
  });

  it('is not asked for a second time while the first is still to be done', async () => {
    const harness = h.current;
    await harness.run('meters', ORG);
    harness.now = (await feedRow()).next_deep_at!.getTime() + SECOND;
    await harness.run('meters', ORG);
    harness.simulator.refuse(ORG, 'meters');
    for (let day = 0; day < 3; day += 1) {
      harness.now += DAY;
      await expect(harness.run('meters', ORG)).rejects.toThrow();
    }
    harness.simulator.allow(ORG, 'meters');
    await harness.run('meters', ORG);
    await harness.run('meters', ORG);
    expect((await requests()).filter(({ open }) => open)).toEqual([]);
  });
});
