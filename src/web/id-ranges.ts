/** Ranges in one address: it must fit into what servers and proxies take as a header. */
const MOST_RANGES = 100;

/**
 * Writes numbers as short as an address needs them. Should they not follow one another so often that
 * there would be too many ranges, the smallest gaps between them are closed.
 *
 * @example formatIds([7, 1201, 1202, 1203]) // '7,1201-1203'
 */
export function formatIds(ids: readonly number[]): string {
  const sorted = ids.toSorted((a, b) => a - b);
  const steps = sorted.slice(1).map((id, index) => id - sorted[index]!);
  const widest = steps.toSorted((a, b) => b - a)[MOST_RANGES - 1] ?? 1;
  const starts = [0, ...steps.flatMap((step, index) => (step > widest ? [index + 1] : []))];
  const ranges = starts.map((start, index) => sorted.slice(start, starts[index + 1]));
  return ranges
    .filter((range) => range.length > 0)
    .map((range) => [...new Set([range[0], range.at(-1)])].join('-'))
    .join(',');
}

/** Reads what `formatIds` has written; of anything else what can be read, and `most` numbers of it. */
export function parseIds(text: string, most: number): number[] {
  const ids: number[] = [];
  for (const range of text.split(',')) {
    const [, from, to = from] = /^(\d{1,15})(?:-(\d{1,15}))?$/.exec(range) ?? [];
    for (let id = Number(from); id <= Number(to) && ids.length < most; id += 1) ids.push(id);
  }
  return ids;
}
