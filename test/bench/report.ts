import { type Figure, median } from './stage.ts';
import { OURS, type Verdict } from './targets.ts';

/** Writes the figures of one load as a table for people. */
export function figureTable(figures: readonly Figure[]): string {
  const base = figures.find(({ what }) => what === OURS);
  const head = ['', 'median', 'least to most', 'rows/s', base ? `× ${OURS}` : ''];
  const lines = figures.map((figure) => {
    const { what, unit, values } = figure;
    const middle = median(values);
    const range = `${shown(Math.min(...values))} to ${shown(Math.max(...values))}`;
    const comparable = base && base.unit === unit && median(base.values) > 0;
    return [
      what,
      `${shown(middle)} ${unit}`,
      values.length > 1 ? range : '',
      rowsPerSecond(figure),
      comparable ? (middle / median(base.values)).toFixed(2) : '',
    ];
  });
  return textTable([head, ...lines]);
}

function rowsPerSecond({ unit, rows, values }: Figure): string {
  if (rows === undefined) return '';
  const middle = median(values);
  return Math.round(unit === '/s' ? rows * middle : rows / middle).toLocaleString('en');
}

/** Writes what has become of the targets. */
export function targetTable(verdicts: readonly Verdict[]): string {
  const lines = verdicts.map(({ about, limit, measured, met }) => [
    about,
    limit,
    measured === null ? '–' : shown(measured),
    met === null ? 'not measured' : met ? 'met' : 'NOT MET',
  ]);
  return textTable([['target', 'limit', 'measured', ''], ...lines]);
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
