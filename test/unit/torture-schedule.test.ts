import { describe, expect, it } from 'vitest';
import { MINUTE } from '../../src/core/china-time.ts';
import { drawSchedule } from '../torture/schedule.ts';

describe("the torture's schedule", () => {
  it('is the same for the same seed, and another for another', () => {
    const options = { lasts: 10 * MINUTE, queue: 'redis' } as const;
    const drawn = drawSchedule({ ...options, seed: 1 });
    expect(drawSchedule({ ...options, seed: 1 })).toEqual(drawn);
    expect(drawSchedule({ ...options, seed: 2 })).not.toEqual(drawn);
  });

  it('has every kind of deed however short it is, by time and never beyond its end', () => {
    const kinds = ['kill', 'platform', 'proxy', 'restart Postgres', 'resync', 'stop', 'terminate'];
    for (const [queue, all] of [
      ['postgres', [...kinds, 'token death']],
      ['redis', [...kinds, 'token death', 'lose Redis']],
    ] as const) {
      const events = drawSchedule({ seed: 3, lasts: MINUTE / 4, queue });
      expect([...new Set(events.map(({ kind }) => kind))].sort()).toEqual([...all].sort());
      const times = events.map(({ at }) => at);
      expect(times).toEqual([...times].sort((a, b) => a - b));
      expect(times.at(-1)).toBeLessThanOrEqual(MINUTE / 4);
    }
  });

  it('stops processes for two minutes at most, and for longer than a silent holder is waited for', () => {
    const events = drawSchedule({ seed: 5, lasts: 600 * MINUTE, queue: 'redis' });
    const stops = events.flatMap((event) => (event.kind === 'stop' ? event.lasts : []));
    expect(Math.max(...stops)).toBeLessThanOrEqual(2 * MINUTE + 1000);
    expect(Math.max(...stops)).toBeGreaterThan(1.5 * MINUTE);
  });
});
