import { BarChart, CustomChart } from 'echarts/charts';
import { AriaComponent, GridComponent, LegendComponent } from 'echarts/components';
import { type EChartsCoreOption, init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import type { FastifyReply } from 'fastify';

use([BarChart, CustomChart, GridComponent, LegendComponent, AriaComponent, SVGRenderer]);

/** Light or dark, as the browser prefers. */
export type Theme = 'light' | 'dark';

/** Colours of charts, by theme; those of the style sheet. */
export const CHART_COLOURS = {
  light: {
    text: '#5b6570',
    line: '#d9dee4',
    good: '#1e7e34',
    busy: '#0b5cad',
    warn: '#c98a00',
    bad: '#b3261e',
    none: '#c3cad2',
  },
  dark: {
    text: '#a3adb8',
    line: '#343b44',
    good: '#58c472',
    busy: '#6cb2f5',
    warn: '#e5b04a',
    bad: '#ff8a80',
    none: '#4a535e',
  },
} as const;

/** The font of the pages; without double quotes, which would end the attribute that it is written into. */
export const CHART_FONT =
  "system-ui, 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif";

/** Reads the theme that an address asks for. */
export function readTheme(text: unknown): Theme {
  return text === 'dark' ? 'dark' : 'light';
}

/** Draws a chart as SVG; sizes in pixels. */
export function drawChart(option: EChartsCoreOption, width: number, height: number): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    chart.setOption({ animation: false, textStyle: { fontFamily: CHART_FONT }, ...option });
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}

/** Answers a chart; its styles stand within it, which is all that it may have. */
export function sendChart(reply: FastifyReply, svg: string): FastifyReply {
  return reply
    .type('image/svg+xml; charset=utf-8')
    .header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'")
    .send(svg);
}
