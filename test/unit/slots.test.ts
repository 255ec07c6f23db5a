import { describe, expect, it } from 'vitest';
import { openSlots, slotsForFailing } from '../../src/core/slots.ts';

describe('slots', () => {
  it('are taken until none is left, and again once one is given back', () => {
    const slots = openSlots(2);
    const [first, second] = [slots.take(), slots.take()];
    expect(slots.take()).toBeNull();
    first!();
    first!();
    expect(slots.take()).not.toBeNull();
    expect(slots.take()).toBeNull();
    second!();
    expect(slots.take()).not.toBeNull();
  });

  it('for failing feeds are half of all, but one at least', () => {
    expect([1, 2, 3, 4, 9].map(slotsForFailing)).toEqual([1, 1, 1, 2, 4]);
  });
});
