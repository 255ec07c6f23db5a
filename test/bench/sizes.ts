/** How much each load loads. */
export interface Sizes {
  /** Rows of the big table. */
  readonly rows: number;
  /** Windows on top of twice as many rows: rows of each, and how many. */
  readonly windows: readonly { readonly rows: number; readonly count: number }[];
  readonly sweep: { readonly orgs: number; readonly rows: number };
  /** Feeds of a planner tick. */
  readonly feeds: readonly number[];
  /** Feeds, all due at different times, of which so many are due. */
  readonly due: { readonly few: number; readonly many: number; readonly due: number };
  /** Runs over which the catalogue is watched. */
  readonly runs: number;
}

/** Rows of the issue's own figures. */
export const FULL = 1_000_000;

/** The sizes of a run; all shrink with the rows of the big table, so that a quick run is quick. */
export function sizesFor(rows: number): Sizes {
  const share = Math.min(1, rows / FULL);
  const scaled = (full: number, least: number) => Math.max(least, Math.round(full * share));
  const windows = [
    { rows: 20, count: scaled(1_000, 20) },
    { rows: 200, count: scaled(400, 10) },
    // As many rows as in those of 20,000, which are compared with them: after a checkpoint the first
    // change of each page costs more.
    { rows: 2_000, count: scaled(100, 10) },
    { rows: 20_000, count: scaled(10, 1) },
  ];
  const few = scaled(10_000, 100);
  return {
    rows,
    // A window takes its rows out of the table, so it can not be most of it.
    windows: windows.filter((window) => window.rows <= rows),
    sweep: { orgs: scaled(300, 10), rows: 20 },
    feeds: [scaled(1_200, 40), scaled(12_000, 200), 10 * few],
    due: { few, many: 10 * few, due: Math.round(few / 10) },
    runs: scaled(5_000, 100),
  };
}
