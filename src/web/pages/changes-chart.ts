import { formatChinaIso, HOUR } from '../../core/china-time.ts';
import type { HourOfChanges } from '../../store/activity.ts';
import { CHART_COLOURS, drawChart, type Theme } from '../chart.ts';

/** Hours that the chart shows. */
export const HOURS_SHOWN = 48;

/** Size of the chart in pixels. */
export const CHANGES_SIZE = { width: 960, height: 200 } as const;

/** Start of the first hour that is shown, in milliseconds. */
export function firstHour(now: number): number {
  return Math.floor(now / HOUR) * HOUR - (HOURS_SHOWN - 1) * HOUR;
}

/** Draws rows inserted and updated, by the hour, over the last two days (China time). */
export function drawChanges(
  hours: readonly HourOfChanges[],
  now: number,
  theme: Theme,
  names: { readonly inserted: string; readonly updated: string },
): string {
  const colours = CHART_COLOURS[theme];
  const byHour = new Map(hours.map((hour) => [hour.at, hour]));
  const shown = Array.from({ length: HOURS_SHOWN }, (_, index) => firstHour(now) + index * HOUR);
  const series = (name: 'inserted' | 'updated', color: string) => ({
    type: 'bar',
    stack: 'rows',
    name: names[name],
    data: shown.map((at) => byHour.get(at)?.[name] ?? 0),
    itemStyle: { color },
  });
  const option = {
    grid: { left: 8, right: 8, top: 32, bottom: 4, outerBoundsMode: 'same' },
    legend: { top: 0, left: 0, itemGap: 24, textStyle: { color: colours.text } },
    xAxis: {
      type: 'category',
      data: shown.map(hourLabel),
      axisLabel: { color: colours.text, interval: 5 },
      axisLine: { lineStyle: { color: colours.line } },
      axisTick: { show: false },
    },
    yAxis: {
      type: 'value',
      minInterval: 1,
      axisLabel: { color: colours.text },
      splitLine: { lineStyle: { color: colours.line } },
    },
    series: [series('inserted', colours.busy), series('updated', colours.warn)],
  };
  return drawChart(option, CHANGES_SIZE.width, CHANGES_SIZE.height);
}

/** @example "10-20 12:00" */
function hourLabel(at: number): string {
  return `${formatChinaIso(at).slice(5, 13).replace('T', ' ')}:00`;
}
