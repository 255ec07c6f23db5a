import { setTimeout as sleep } from 'node:timers/promises';

/** How long a part of BullMQ may take to close, in milliseconds: without its store it would take for ever. */
const CLOSE_LIMIT = 2_000;

/** A queue or worker of BullMQ. */
interface Closable {
  close(): Promise<void>;
  disconnect(): Promise<void>;
}

/** Closes a queue or worker, and cuts its connections where that does not come to an end. */
export async function closeWithin(part: Closable, closing = part.close()): Promise<void> {
  const closed = closing.then(
    () => true,
    () => false,
  );
  const limit = new AbortController();
  const expired = sleep(CLOSE_LIMIT, false, { signal: limit.signal }).catch(() => false);
  const orderly = await Promise.race([closed, expired]);
  limit.abort();
  // Not waited for: what it waits for is gone.
  if (!orderly) void part.disconnect().catch(() => {});
}
