/** Characters of a reason that somebody gives for the record. */
export const LONGEST_REASON = 500;

/** Makes a reason one line, so that every list can show it. */
export function oneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ').trim();
}
