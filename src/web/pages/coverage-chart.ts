import { formatChinaIso, HOUR } from '../../core/china-time.ts';
import type { Stretch, StretchState } from '../../core/time-line.ts';
import { CHART_COLOURS, drawChart, type Theme } from '../chart.ts';

/** Size of the chart in pixels. */
export const COVERAGE_SIZE = { width: 960, height: 210 } as const;

/** What is drawn, from the top; the colours are those of the theme. */
const LANES = [
  ['covered', 'good'],
  ['open', 'warn'],
  ['expired', 'bad'],
  ['accepted', 'busy'],
  ['pending', 'none'],
] as const satisfies readonly (readonly [StretchState, keyof (typeof CHART_COLOURS)['light']])[];

/** A stretch is never drawn narrower, in pixels: a short gap shall be seen. */
const NARROWEST = 3;

/** ECharts knows no zones: the axis is drawn in UTC, of times that are China's. */
const shown = (at: number) => at + 8 * HOUR;

/** How a custom series reads its own data and axes. */
interface Drawing {
  value(dimension: number): number;
  coord(point: readonly [number, number]): [number, number];
  size(extent: readonly [number, number]): [number, number];
}

/** What the chart says. */
interface ChartNames {
  readonly stretch: Readonly<Record<StretchState, string>>;
  readonly reach: string;
}

/**
 * Draws the time line of a feed, a lane for each state.
 *
 * @param reach how far back the platform serves, in milliseconds
 */
export function drawCoverage(
  line: readonly Stretch[],
  reach: number,
  theme: Theme,
  names: ChartNames,
): string {
  const colours = CHART_COLOURS[theme];
  const data = line.flatMap(({ from, to, state }) => {
    const lane = LANES.findIndex(([name]) => name === state);
    return lane < 0 ? [] : [[lane, shown(from), shown(to)]];
  });
  const option = {
    useUTC: true,
    grid: { left: 8, right: 24, top: 26, bottom: 4, outerBoundsMode: 'same' },
    xAxis: {
      type: 'time',
      min: shown(line[0]!.from),
      max: shown(line.at(-1)!.to),
      axisLabel: { color: colours.text, hideOverlap: true, formatter: axisLabel },
      axisLine: { lineStyle: { color: colours.line } },
      axisTick: { lineStyle: { color: colours.line } },
      splitLine: { show: true, lineStyle: { color: colours.line } },
    },
    yAxis: {
      type: 'category',
      inverse: true,
      data: LANES.map(([state]) => names.stretch[state]),
      axisLabel: { color: colours.text },
      axisLine: { show: false },
      axisTick: { show: false },
    },
    series: [
      {
        type: 'custom',
        data,
        encode: { x: [1, 2], y: 0 },
        clip: true,
        renderItem: (_: unknown, drawing: Drawing) => bar(drawing, colours),
      },
      {
        type: 'custom',
        data: [[0, shown(reach)]],
        encode: { x: 1, y: 0 },
        renderItem: (_: unknown, drawing: Drawing) => horizon(drawing, colours.text, names.reach),
      },
    ],
  };
  return drawChart(option, COVERAGE_SIZE.width, COVERAGE_SIZE.height);
}

/** Days as 10-20, years in full, hours within a day. */
function axisLabel(at: number): string {
  const text = formatChinaIso(at - 8 * HOUR);
  const [month, day, time] = [text.slice(5, 7), text.slice(8, 10), text.slice(11, 16)];
  if (time !== '00:00') return time;
  return month === '01' && day === '01' ? text.slice(0, 4) : `${month}-${day}`;
}

function bar(drawing: Drawing, colours: (typeof CHART_COLOURS)[Theme]) {
  const lane = drawing.value(0);
  const [x, y] = drawing.coord([drawing.value(1), lane]);
  const [end] = drawing.coord([drawing.value(2), lane]);
  const height = drawing.size([0, 1])[1] * 0.6;
  const width = Math.max(end - x, NARROWEST);
  const fill = colours[LANES[lane]![1]];
  // What has just begun grows to the left, where there is room.
  const shape = { x: end - width, y: y - height / 2, width, height, r: 2 };
  return { type: 'rect', shape, style: { fill } };
}

function horizon(drawing: Drawing, color: string, name: string) {
  const [x, top] = drawing.coord([drawing.value(1), 0]);
  const lane = drawing.size([0, 1])[1];
  const [start, end] = [top - lane / 2, top + lane * (LANES.length - 0.5)];
  return {
    type: 'group',
    children: [
      {
        type: 'line',
        shape: { x1: x, y1: start - 4, x2: x, y2: end },
        style: { stroke: color, lineDash: [4, 3] },
      },
      { type: 'text', style: { text: name, x: x + 4, y: start - 16, fill: color, fontSize: 12 } },
    ],
  };
}
