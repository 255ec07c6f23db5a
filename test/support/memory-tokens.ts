import type { SessionToken, TokenStore } from '../../src/sync/ports.ts';

/** A token store of one process, with what is stored in the open. */
export function memoryTokens(
  stored: SessionToken | null = null,
): TokenStore & { stored: SessionToken | null } {
  let last: Promise<unknown> = Promise.resolve();
  const store = {
    stored,
    read: async () => store.stored,
    replace(
      _appId: string,
      _fingerprint: string,
      renew: (stored: SessionToken | null) => Promise<SessionToken>,
    ) {
      const next = last.then(async () => {
        store.stored = await renew(store.stored);
        return store.stored;
      });
      last = next.catch(() => {});
      return next;
    },
  };
  return store;
}
