import { setTimeout as delay } from 'node:timers/promises';

/**
 * Repeats a check until it passes, and answers what it answered; a check fails by throwing.
 *
 * @param options.within milliseconds to go on for (45,000: machines have other work, too)
 * @throws what the check threw last
 * @example await eventually(() => expect(existsSync(folder)).toBe(false), { within: 5_000 })
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  options: { readonly within?: number } = {},
): Promise<T> {
  const deadline = Date.now() + (options.within ?? 45_000);
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await delay(25);
    }
  }
}
