import { setTimeout as delay } from 'node:timers/promises';

/** Milliseconds between checks. */
const FIRST_PAUSE = 10;
const LONGEST_PAUSE = 100;

/**
 * Repeats a check until it passes, and answers what it answered; a check fails by throwing.
 *
 * @param options.within milliseconds to go on for (90,000: machines have other work, too)
 * @throws what the check threw last
 * @example await eventually(() => expect(existsSync(folder)).toBe(false), { within: 5_000 })
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  options: { readonly within?: number } = {},
): Promise<T> {
  const deadline = Date.now() + (options.within ?? 90_000);
  // Often at first; what takes long is not to be slowed down by being asked for.
  for (let pause = FIRST_PAUSE; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await delay(pause);
    }
  }
}
