import { FatalError } from './errors.ts';

/** What COPY's text format writes for characters that it treats as special. */
const UNESCAPED: Readonly<Record<string, string>> = {
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/**
 * Reads repaired lines as psql's `\copy (select id, line …) to` writes them: id, tab, line, in COPY's
 * text format. A line without text (`\N`) is null.
 *
 * @param name the file's name, for errors; they never quote it
 * @throws FatalError CONFIG that names the line that can not be read, or the id that stands twice
 */
export function readRepairs(text: string, name: string): Map<number, string | null> {
  const repairs = new Map<number, string | null>();
  const lines = text.replace(/^\ufeff/, '').split('\n');
  for (const [index, raw] of lines.entries()) {
    // COPY escapes a CR of the line's own; a plain one is an editor's.
    const line = raw.replace(/\r$/, '');
    if (line === '\\.') break;
    if (line === '') continue;
    const parts = /^([1-9]\d{0,15})\t([^\t]*)$/.exec(line);
    if (!parts) {
      throw new FatalError(
        'CONFIG',
        `${name}: line ${index + 1} is not an id, a tab and a line as psql's \\copy writes them`,
      );
    }
    const id = Number(parts[1]);
    if (repairs.has(id)) throw new FatalError('CONFIG', `${name}: id ${id} stands there twice`);
    repairs.set(id, parts[2] === '\\N' ? null : unescapeCopy(parts[2]!));
  }
  return repairs;
}

/**
 * Undoes the backslash escapes of COPY's text format.
 *
 * @example unescapeCopy('a\\tb\\\\c') // 'a', a tab, 'b\c'
 */
export function unescapeCopy(field: string): string {
  return field.replace(
    /\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|([\s\S]))/g,
    (_, octal?: string, hex?: string, other?: string) => {
      if (other !== undefined) return UNESCAPED[other] ?? other;
      return String.fromCharCode(
        octal ? Number.parseInt(octal, 8) & 0xff : Number.parseInt(hex!, 16),
      );
    },
  );
}
