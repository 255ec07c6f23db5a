/** What must not be found where it does not belong. */
export interface Needle {
  /** What it is, for the test's message. */
  readonly what: string;
  readonly text: string;
}

/** Texts by the place where they were found. */
export type Haystack = ReadonlyMap<string, string>;

/** What people put between the digits of a number. */
const SEPARATORS = /[\s().+‐-―-]/g;

/**
 * Looks for needles in all places, and answers each find as `place: what`.
 *
 * A needle is found in either case, as JSON, URLs, HTML and Postgres escape it, as UTF-8 that was read
 * for Latin 1; a number of digits also with separators in it and in full-width digits.
 */
export function findNeedles(haystack: Haystack, needles: readonly Needle[]): string[] {
  return [...haystack].flatMap(([place, text]) => {
    const forms = readings(text);
    const squeezed = forms.map((form) => form.normalize('NFKC').replace(SEPARATORS, ''));
    return needles
      .filter(({ text: needle }) => {
        const isNumber = /^\d+$/.test(needle);
        const hex = Buffer.from(needle).toString('hex');
        const here = isNumber ? [...forms, ...squeezed] : forms;
        return here.some((form) => form.includes(needle.toLowerCase()) || form.includes(hex));
      })
      .map(({ what }) => `${place}: ${what}`);
  });
}

/** A text in all the ways in which it may be meant, in lower case. */
function readings(text: string): string[] {
  const ways = [
    text,
    text.replace(/\\u([0-9a-f]{4})/gi, (_, code: string) =>
      String.fromCharCode(Number.parseInt(code, 16)),
    ),
    text.replace(/(?:%[0-9a-f]{2})+/gi, (run) =>
      Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'),
    ),
    text.replace(/&#x([0-9a-f]+);/gi, (_, code: string) =>
      String.fromCodePoint(Number.parseInt(code, 16)),
    ),
    text.replace(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code))),
    Buffer.from(text, 'latin1').toString('utf8'),
  ];
  return [...new Set(ways)].map((way) => way.toLowerCase());
}
