import { expect } from 'vitest';
import type { Queue } from '../torture/stage.ts';
import { torture } from '../torture/torture.ts';

/** Milliseconds: the torture itself, and the patience of the calm that follows. */
export const TORTURE_LIMIT = 900_000;

/** How long the calm may take on a machine that has much else to do, in milliseconds. */
const PATIENCE = 600_000;

/** A short torture with a seed that never changes; `npm run torture` is the long one. */
export async function shortTorture(seed: number, minutes: number, queue: Queue): Promise<void> {
  const report = await torture({ seed, minutes, queue, patience: PATIENCE });
  expect(report.findings).toEqual([]);
  // Without these it would have proved nothing.
  expect(report.queue).toBe(queue);
  expect(report.runs.done).toBeGreaterThan(40);
  expect(Object.keys(report.faults).length).toBeGreaterThan(5);
  expect(report.deeds).toMatchObject({ SIGKILL: expect.any(Number), SIGSTOP: expect.any(Number) });
  expect(report.rows).toBeGreaterThan(1000);
}
