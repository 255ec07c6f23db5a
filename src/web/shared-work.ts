/**
 * Shares work among all who ask for it: while it is under way, and for a moment after, everyone gets
 * the same; so those who ask often can not use up the connections.
 *
 * @param fresh milliseconds for which what was found holds; a failure holds for none
 */
export function shared<T>(work: () => Promise<T>, fresh = 0): () => Promise<T> {
  let known: Promise<T> | null = null;
  const forget = () => {
    known = null;
  };
  return () => {
    if (known === null) {
      known = work();
      known.then(() => (fresh === 0 ? forget() : setTimeout(forget, fresh).unref()), forget);
    }
    return known;
  };
}
