import { once } from 'node:events';
import type { Harness } from './sync-harness.ts';

/**
 * Lets one kind of download hang from now on, and waits until the first does; answers how to end that:
 * the platform gives the hanging ones up.
 */
export async function hang(h: Harness): Promise<() => void> {
  const giveUp = new AbortController();
  await new Promise<void>((begun) => {
    h.interfere = async (_request, response, { record }) => {
      if (record.interface !== '3004') return false;
      begun();
      const over = once(response, 'close');
      giveUp.signal.addEventListener('abort', () => response.destroy());
      await over;
      return true;
    };
  });
  return () => {
    h.interfere = null;
    giveUp.abort();
  };
}
