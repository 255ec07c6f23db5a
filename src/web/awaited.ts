import type { FastifyReply } from 'fastify';

/** Does work that lasts; its signal aborts when whoever asked has gone away. */
export async function whileAwaited<T>(
  reply: FastifyReply,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const gone = new AbortController();
  const leave = () => gone.abort();
  reply.raw.once('close', leave);
  try {
    return await work(gone.signal);
  } finally {
    reply.raw.off('close', leave);
  }
}
