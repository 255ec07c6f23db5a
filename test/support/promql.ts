/** One selection of series in a PromQL expression. */
export interface Selector {
  readonly metric: string;
  readonly matchers: readonly Matcher[];
}

interface Matcher {
  readonly label: string;
  readonly operator: '=' | '!=' | '=~' | '!~';
  readonly value: string;
}

/** One sample of Prometheus's text format. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The samples of a scrape; throws at a line that is none. */
export function readSamples(text: string): Sample[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name, labels, value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      if (name === undefined) throw new Error(`not a sample: ${line}`);
      const read = [...(labels ?? '').matchAll(/(\w+)="([^"]*)"/g)];
      return {
        name,
        labels: Object.fromEntries(read.map(([, label, text]) => [label!, text!])),
        value: Number(value),
      };
    });
}

/** Words of PromQL that stand where a metric may, once groupings are taken out. */
const WORDS = ['and', 'or', 'unless', 'offset', 'bool'];

/** Every selection of series in an expression; a name before a parenthesis is a function's. */
export function readSelectors(expr: string): Selector[] {
  const bare = expr.replace(/\b(by|without|on|ignoring)\s*\([^)]*\)/g, ' ');
  return [...bare.matchAll(/\b([A-Za-z_]\w*)\b(?!\s*\()\s*(\{[^}]*\})?/g)]
    .filter(([, metric]) => !WORDS.includes(metric!))
    .map(([, metric, braces]) => ({ metric: metric!, matchers: readMatchers(braces ?? '') }));
}

function readMatchers(braces: string): Matcher[] {
  return [...braces.matchAll(/(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g)].map(
    ([, label, operator, value]) => ({
      label: label!,
      operator: operator as Matcher['operator'],
      value: value!,
    }),
  );
}

/** The labels by which an expression groups or matches. */
export function readGroupings(expr: string): string[] {
  const lists = expr.matchAll(/\b(?:by|without|on|ignoring)\s*\(([^)]*)\)/g);
  return [...lists].flatMap(([, list]) => list!.split(',').map((label) => label.trim()));
}
