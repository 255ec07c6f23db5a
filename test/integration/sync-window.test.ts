import { describe, expect, it } from 'vitest';
import { MINUTE, SECOND } from '../../src/core/china-time.ts';
import { balances } from '../../src/core/receipt.ts';
import { useHarness } from '../support/sync-harness.ts';

describe.each(['then', 'now'] as const)('with old windows read as rows of %s', (reading) => {
  const h = useHarness({ simulator: { reading } });

  it('brings all four datasets from empty to equal, and keeps them so over 50 rounds of changes', async () => {
    const { current } = h;
    await current.addOrgs(['WJ0105']);
    const first = await current.runAll();
    expect(first.every(({ receipt }) => balances(receipt))).toBe(true);
    await current.expectEqual();
    for (let round = 0; round < 50; round += 1) {
      current.now += MINUTE;
      current.world.change(5, current.now);
      current.now += 31 * SECOND;
      await current.runAll();
      await current.expectEqual();
    }
  });
});
