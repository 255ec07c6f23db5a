import { TextDecoder } from 'node:util';

/** The charsets that a table may come in; GB18030 contains GBK and GB2312 (P6). */
export type Charset = 'utf-8' | 'gb18030';

/** What is known about a table's charset before its header is read. */
export interface CharsetOptions {
  /** The charset that the content type names, or null. */
  readonly declared: string | null;
  /** The charset that the settings force; `auto` forces none. */
  readonly forced: Charset | 'auto';
  /** Headers and aliases of all datasets. */
  readonly known: ReadonlySet<string>;
}

/** Names that gateways give the two charsets; any other name says nothing. */
const NAMES: Readonly<Record<string, Charset>> = {
  utf8: 'utf-8',
  'utf-8': 'utf-8',
  gbk: 'gb18030',
  gb2312: 'gb18030',
  gb18030: 'gb18030',
};

const BOM = [0xef, 0xbb, 0xbf];

/** Made once: to make one costs more than to decode a header. */
const DECODERS: Readonly<Record<Charset, TextDecoder>> = {
  'utf-8': new TextDecoder('utf-8'),
  gb18030: new TextDecoder('gb18030'),
};

/**
 * Chooses a table's charset by its first line: as forced, else as declared, else whichever turns
 * the header into known names, else UTF-8 (P6).
 *
 * A declared charset that yields no known name gives way to the other one if that does: gateways
 * name charsets carelessly, but a column's name never comes out right by chance.
 *
 * @param firstLine bytes of the header, with or without its line end
 * @example chooseCharset(gbkHeader, { declared: null, forced: 'auto', known }) // 'gb18030'
 */
export function chooseCharset(firstLine: Uint8Array, options: CharsetOptions): Charset {
  if (options.forced !== 'auto') return options.forced;
  const named = charsetNamed(options.declared);
  const utf8 = countKnown(decodeHeader(firstLine, 'utf-8'), options.known);
  const gb18030 = countKnown(decodeHeader(firstLine, 'gb18030'), options.known);
  if (named === 'utf-8') return utf8 === 0 && gb18030 > 0 ? 'gb18030' : 'utf-8';
  if (named === 'gb18030') return gb18030 === 0 && utf8 > 0 ? 'utf-8' : 'gb18030';
  return gb18030 > utf8 ? 'gb18030' : 'utf-8';
}

/**
 * Decodes a header line: a UTF-8 BOM and the line end are stripped, invalid bytes become U+FFFD (P6).
 *
 * @example decodeHeader(Buffer.from('\ufeff状态|型号\r'), 'utf-8') // '状态|型号'
 */
export function decodeHeader(firstLine: Uint8Array, charset: Charset): string {
  const bytes = BOM.every((byte, i) => firstLine[i] === byte) ? firstLine.subarray(3) : firstLine;
  const text = DECODERS[charset].decode(bytes).replace(/^\ufeff/, '');
  let end = text.length;
  // An expression for this takes the square of the time that a header of nothing but CR deserves.
  while (end > 0 && (text[end - 1] === '\r' || text[end - 1] === '\n')) end -= 1;
  return text.slice(0, end);
}

/**
 * Whether a first line heads a table: it holds `|` and a known column name in either charset (P5).
 *
 * @param known headers and aliases of all datasets
 */
export function looksLikeTable(firstLine: Uint8Array, known: ReadonlySet<string>): boolean {
  return (['utf-8', 'gb18030'] as const).some((charset) => {
    const header = decodeHeader(firstLine, charset);
    return header.includes('|') && countKnown(header, known) > 0;
  });
}

function charsetNamed(name: string | null): Charset | null {
  const key = (name ?? '').trim().toLowerCase();
  return Object.hasOwn(NAMES, key) ? (NAMES[key] ?? null) : null;
}

/** Fields may be padded, or quoted where a gateway adds quotes: neither changes which table it is. */
function countKnown(header: string, known: ReadonlySet<string>): number {
  const names = header.split('|').map((field) => field.trim().replace(/^"(.*)"$/, '$1'));
  return new Set(names.filter((name) => known.has(name))).size;
}
