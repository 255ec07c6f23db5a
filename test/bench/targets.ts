import type { Sizes } from './sizes.ts';
import { type Figure, median } from './stage.ts';

/** One of the targets: a number that the figures give, and its limit. */
interface Target {
  readonly about: string;
  /** `at most` or `at least`. */
  readonly bound: 'most' | 'least';
  /** Null for what is only shown. */
  readonly limit: number | null;
  readonly unit: string;
  /** Null where something was not measured. */
  readonly measure: (of: Medians) => number | null;
}

/** The median of what was measured under a load; null if it was not. */
type Medians = (load: string, what: string) => number | null;

/** What has become of a target. */
export interface Verdict {
  readonly about: string;
  /** Null where the ratio is only shown. */
  readonly limit: string | null;
  readonly measured: number | null;
  readonly met: boolean | null;
}

const ratio = (above: number | null, below: number | null): number | null =>
  above === null || below === null ? null : above / below;

/** The service's own name in the figures, to which others are compared. */
export const OURS = 'vcc-sync';

/** Time of the service to that of another, under one load. */
function against(load: string, about: string, what: string, limit: number | null): Target {
  return {
    about: `${about}: time to that of ${what}`,
    bound: 'most',
    limit,
    unit: '×',
    measure: (of) => ratio(of(load, OURS), of(load, what)),
  };
}

function sweep(queue: string, limit: number): Target {
  return {
    about: `sweep, concurrency 8: feeds/s on ${queue} to those of the bare loop`,
    bound: 'least',
    limit,
    unit: '×',
    measure: (of) => ratio(of('sweep', `${queue}, 8 at once`), of('sweep', 'bare loop, 8 at once')),
  };
}

/** The targets, in order, for figures of these sizes. */
function targetsFor({ rows, due }: Sizes): Target[] {
  const once = rowsName(rows);
  const tenTimes = rowsName(10 * rows);
  return [
    against('empty', '(a) into an empty table', 'the floor: COPY', 2.4),
    against('empty', '(a) into an empty table', 'curl | psql', 0.8),
    against('empty', '(a) into an empty table', TUNED, null),
    against('empty', '(a) into an empty table', 'Kysely batches', 0.3),
    against('empty', '(a) into an empty table', 'curl | pgloader', 0.25),
    against('unchanged', '(b) unchanged', 'curl | psql', 0.6),
    against('unchanged', '(b) unchanged', TUNED, null),
    against('changed', '(c) changed', 'curl | psql', 0.7),
    against('changed', '(c) changed', TUNED, null),
    against('two at once', 'two catch-ups at once', 'curl | psql', 0.9),
    against('two at once', 'two catch-ups at once', TUNED, null),
    {
      about: '(d) merges of 20 rows/s to those with a temporary table per run',
      bound: 'least',
      limit: 2,
      unit: '×',
      measure: (of) =>
        ratio(of('windows of 20', ROWS_ALONE), of('windows of 20', ROWS_ALONE_TEMPORARY)),
    },
    {
      about: '(d) the same with download, checks and ledger',
      bound: 'least',
      limit: null,
      unit: '×',
      measure: (of) => ratio(of('windows of 20', OURS), of('windows of 20', TEMPORARY)),
    },
    {
      about: '(d) rows/s in windows of 20,000 to those of 2,000',
      bound: 'least',
      limit: 1,
      unit: '×',
      measure: (of) => {
        const windows = ratio(of('windows of 20000', OURS), of('windows of 2000', OURS));
        return windows === null ? null : windows * 10;
      },
    },
    sweep('Redis', 0.7),
    sweep('Postgres', 0.5),
    {
      about: `peak memory, ${tenTimes}`,
      bound: 'most',
      limit: 200,
      unit: 'MB',
      measure: (of) => of('memory', tenTimes),
    },
    {
      about: `peak memory, ${once}: share of the smaller by which it differs from that`,
      bound: 'most',
      limit: 0.1,
      unit: '',
      measure: (of) => {
        const share = ratio(of('memory', once), of('memory', tenTimes));
        return share === null ? null : Math.max(share, 1 / share) - 1;
      },
    },
    {
      about: 'planner tick, ten times the feeds with as many due: time',
      bound: 'most',
      limit: 1.5,
      unit: '×',
      measure: (of) =>
        ratio(
          of('planner', feedsName(due.many, due.due)),
          of('planner', feedsName(due.few, due.due)),
        ),
    },
    {
      about: 'growth of the catalogue over the runs',
      bound: 'most',
      limit: 0,
      unit: 'MB',
      measure: (of) => of('catalogue', OURS),
    },
    {
      about: `reporting, ${once}: the slowest typical question`,
      bound: 'most',
      limit: 1,
      unit: 's',
      measure: (of) => of('reporting', SLOWEST_QUESTION),
    },
  ];
}

/** Names of what is measured that targets look for. */
export const TEMPORARY = 'the same, a temporary table per run';
export const ROWS_ALONE = 'its merges alone';
export const ROWS_ALONE_TEMPORARY = 'its merges alone, a temporary table per run';
export const SCRIPT = 'script, a temporary table per run';
export const TUNED = 'curl | psql, tuned';

/** The slowest of the questions to the views. */
export const SLOWEST_QUESTION = 'the slowest typical question';

/** The name of a table by its size. */
export const rowsName = (rows: number): string => `${rows.toLocaleString('en')} rows`;

/** The name of a ledger of feeds, of which some are due. */
export const feedsName = (feeds: number, due: number): string =>
  `${feeds.toLocaleString('en')} feeds, ${due.toLocaleString('en')} due`;

/** Compares the figures with the targets. */
export function judgeTargets(figures: readonly Figure[], sizes: Sizes): Verdict[] {
  const of: Medians = (load, what) => {
    const figure = figures.find((one) => one.load === load && one.what === what);
    return figure ? median(figure.values) : null;
  };
  return targetsFor(sizes).map(({ about, bound, limit, unit, measure }) => {
    const measured = measure(of);
    if (limit === null) return { about, limit: null, measured, met: null };
    const met = measured === null ? null : bound === 'most' ? measured <= limit : measured >= limit;
    return { about, limit: `at ${bound} ${limit} ${unit}`.trim(), measured, met };
  });
}
