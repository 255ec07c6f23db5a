/** Aborts on Ctrl-C and SIGTERM, as long as the command goes on. */
export function stopSignal(defer: (close: () => unknown) => void): AbortSignal {
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, stop);
    defer(() => process.off(signal, stop));
  }
  return stopping.signal;
}
