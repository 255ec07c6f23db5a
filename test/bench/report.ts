import { type Failure, type Figure, median } from './stage.ts';
import { OURS, type Verdict } from './targets.ts';

/** A figure with what its values come to. */
export interface Result extends Figure {
  readonly median: number;
  readonly rowsPerSecond: number | null;
  /** The median as a multiple of the service's own under the same load. */
  readonly toOurs: number | null;
}

/** Works out what figures come to. */
export function resultsOf(figures: readonly Figure[]): Result[] {
  return figures.map((figure) => {
    const { load, unit, rows, values } = figure;
    const middle = median(values);
    const base = figures.find((one) => one.what === OURS && one.load === load && one.unit === unit);
    const ours = base ? median(base.values) : 0;
    const rate = rows === undefined ? null : unit === '/s' ? rows * middle : rows / middle;
    return {
      ...figure,
      median: middle,
      rowsPerSecond: rate === null ? null : Math.round(rate),
      toOurs: ours > 0 ? middle / ours : null,
    };
  });
}

/** Writes the results of one load as a table for people. */
export function resultTable(results: readonly Result[]): string {
  const hasOurs = results.some(({ toOurs }) => toOurs !== null);
  const head = ['', 'median', 'least to most', 'rows/s', hasOurs ? `× ${OURS}` : ''];
  const lines = results.map((result) => {
    const { what, unit, values } = result;
    const range = `${shown(Math.min(...values))} to ${shown(Math.max(...values))}`;
    return [
      what,
      `${shown(result.median)} ${unit}`,
      values.length > 1 ? range : '',
      result.rowsPerSecond?.toLocaleString('en') ?? '',
      result.toOurs?.toFixed(2) ?? '',
    ];
  });
  return textTable([head, ...lines]);
}

/** Writes what has become of the targets. */
export function targetTable(verdicts: readonly Verdict[]): string {
  const lines = verdicts.map(({ about, limit, measured, met }) => [
    about,
    limit ?? '–',
    measured === null ? '–' : shown(measured),
    measured === null ? 'not measured' : limit === null ? 'shown' : met ? 'met' : 'NOT MET',
  ]);
  return textTable([['target', 'limit', 'measured', ''], ...lines]);
}

/** Writes what could not be measured, and why. */
export function failureTable(failures: readonly Failure[]): string {
  return failures
    .map(({ load, what, error }) => `FAILED ${what === null ? load : `${load}: ${what}`}: ${error}`)
    .join('\n');
}

/** A number with three digits that count. */
export function shown(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en');
  return value.toFixed(value >= 10 ? 1 : value >= 0.1 ? 2 : 4);
}

function textTable(lines: readonly (readonly string[])[]): string {
  const widths = lines[0]!.map((_, column) =>
    Math.max(...lines.map((line) => widthOf(line[column]!))),
  );
  return lines
    .map((line) =>
      line
        .map((cell, column) => {
          const space = ' '.repeat(widths[column]! - widthOf(cell));
          return column === 0 ? cell + space : space + cell;
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

const widthOf = (text: string): number => [...text].length;
