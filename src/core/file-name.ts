/** The longest name that is taken over. */
const LONGEST = 100;

/**
 * The file name that a `Content-Disposition` proposes, if it is safe in any folder: letters, digits,
 * `.`, `_` and `-`, not beginning with a dot or dash, with no way out of the folder. Null otherwise.
 *
 * @example proposedName('attachment; filename="abc.jpg"') // 'abc.jpg'
 * @example proposedName('attachment; filename="../../etc/passwd"') // null
 */
export function proposedName(disposition: string | null): string | null {
  const [, quoted, plain] =
    /(?:^|;)\s*filename\s*=\s*(?:"([^"\\]*)"|([^\s;"]+))/i.exec(disposition ?? '') ?? [];
  const name = quoted ?? plain ?? '';
  return /^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(name) && name.length <= LONGEST ? name : null;
}
