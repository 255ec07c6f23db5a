import { formatChinaIso } from '../core/china-time.ts';

/** A time of the source in China time, to the second; a dash where there is none. */
export function Time({ at }: { readonly at: number | null }) {
  if (at === null || !Number.isFinite(at)) return <>–</>;
  const text = formatChinaIso(at);
  return <time datetime={text}>{text.slice(0, 19).replace('T', ' ')}</time>;
}
