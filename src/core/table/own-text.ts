/**
 * A text in memory of its own, for what is kept: a piece of a table's text would keep all of that alive.
 *
 * @param text well-formed Unicode, as every decoded text is
 */
export function ownText(text: string): string {
  return Buffer.from(text).toString();
}
