import { expect, it } from 'vitest';
import { MINUTE, SECOND } from '../../src/core/china-time.ts';
import { useHarness } from '../support/sync-harness.ts';

const h = useHarness();

const ORG = 'WJ0105';
const KEY = 'JUMP';

it.each([
  ['ahead', 10 * MINUTE],
  ['behind', -10 * MINUTE],
])(
  'a clock of the platform that is ten minutes %s for a while sets no row back',
  async (_, offset) => {
    const { current } = h;
    const put = (place: string) => {
      const row = { supply_point_code: KEY, address_detail: place };
      current.world.put('supply_points', ORG, row, current.now);
    };
    await current.addOrgs([ORG]);
    put('00');
    const seen: string[] = [];
    // Runs follow one another faster than the settle time, as they do when somebody asks for them.
    for (let round = 1; round < 60; round += 1) {
      if (round === 10) current.simulator.faults.during({}, { kind: 'clock', offset });
      if (round === 40) await current.simulator.faults.clear();
      if (round % 3 === 0) put(String(round).padStart(2, '0'));
      current.now += 5 * SECOND;
      await current.run('supply_points', ORG);
      const [row] = await current.query<{ place: string }>(
        'select address_detail as place from vcc.supply_point where supply_point_code = $1',
        [KEY],
      );
      if (row) seen.push(row.place);
    }
    expect(seen).toEqual([...seen].sort());
    current.now += 11 * MINUTE;
    await current.run('supply_points', ORG);
    await current.expectEqual(['supply_points']);
  },
);
