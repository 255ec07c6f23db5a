const STARS = /[*＊]+/;

/**
 * Whether a text as the platform shows it, parts of it starred, can be that of a row (P8). Stars stand
 * for anything, in any number: how many there are does not tell how much they hide.
 *
 * @param shown null is not told, and says nothing
 * @example agreesMasked('张**', '张三') // true
 */
export function agreesMasked(shown: string | null, stored: string | null): boolean {
  if (shown === null) return true;
  const [first = '', ...rest] = shown.split(STARS);
  if (rest.length === 0) return shown === stored;
  const last = rest.pop()!;
  const text = stored ?? '';
  if (text.length < first.length + last.length) return false;
  if (!text.startsWith(first) || !text.endsWith(last)) return false;
  let from = first.length;
  for (const part of rest) {
    const at = text.indexOf(part, from);
    if (at === -1) return false;
    from = at + part.length;
  }
  return from <= text.length - last.length;
}

/**
 * The columns in which a row as the platform shows it can not be the stored one; what it does not tell
 * proves nothing.
 */
export function differingColumns(
  shown: Readonly<Record<string, string | null>>,
  stored: Readonly<Record<string, string | null>>,
): string[] {
  return Object.keys(stored).filter((name) => !agreesMasked(shown[name] ?? null, stored[name]!));
}
