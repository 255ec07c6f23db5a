import type { Words } from '../messages.ts';

const EN = {
  inStep: (count: number, all: number) => `${count} of ${all} feeds in step`,
  empty: 'No organisations yet. This adds one:',
  blocked: 'The queue waits as a whole since',
  nextTry: 'Next try:',
  totals: {
    label: 'Totals',
    worstLag: 'Largest lag',
    openGaps: 'Open gaps',
    expiredGaps: 'Expired gaps',
    failing: 'Failing feeds',
    rejects: 'Unresolved rejects',
    changes: 'Rows changed in 48 hours',
  },
  map: 'Organisations and datasets',
  mapHint:
    'Each cell shows state and lag, with a bar that grows at an hour, a day and a week; it leads to the feed.',
  org: 'Organisation',
  chart: 'Rows changed by the hour',
  chartText: (inserted: string, updated: string) =>
    `Bars for each hour of the last two days: ${inserted} rows inserted, ${updated} updated in all.`,
  inserted: 'inserted',
  updated: 'updated',
  now: 'Under way',
  nothingNow: 'Nothing is being loaded right now.',
  failures: 'Failed last',
  noFailures: 'No run on record has failed.',
  columns: {
    feed: 'Feed',
    window: 'Window',
    since: 'Since',
    age: 'Running for',
    read: 'Read so far',
    at: 'At',
    why: 'Why',
  },
  lag: 'lag',
  progress: (lines: string, size: string) => `${lines} lines, ${size}`,
  share: (percent: number, size: string) => `${percent} % of ${size}`,
};

const ZH: typeof EN = {
  inStep: (count, all) => `${all} 个数据源中 ${count} 个已同步`,
  empty: '尚无机构。用以下命令添加：',
  blocked: '队列整体等待，自',
  nextTry: '下次尝试：',
  totals: {
    label: '合计',
    worstLag: '最大滞后',
    openGaps: '可补缺口',
    expiredGaps: '过期缺口',
    failing: '失败的数据源',
    rejects: '未解决的拒收行',
    changes: '48 小时内变更行数',
  },
  map: '机构与数据集',
  mapHint: '每格显示状态和滞后，左侧色条在滞后达一小时、一天、一周时加宽；点击查看数据源。',
  org: '机构',
  chart: '每小时变更行数',
  chartText: (inserted, updated) =>
    `最近两天每小时的柱状图：共新增 ${inserted} 行，更新 ${updated} 行。`,
  inserted: '新增',
  updated: '更新',
  now: '正在运行',
  nothingNow: '当前没有正在加载的窗口。',
  failures: '最近失败',
  noFailures: '记录中没有失败的运行。',
  columns: {
    feed: '数据源',
    window: '窗口',
    since: '开始',
    age: '已用时',
    read: '已读取',
    at: '时间',
    why: '原因',
  },
  lag: '滞后',
  progress: (lines, size) => `${lines} 行，${size}`,
  share: (percent, size) => `${size} 的 ${percent} %`,
};

/** What the overview says, by language. */
export const OVERVIEW_WORDS: Words<typeof EN> = { en: EN, zh: ZH };

/** What the overview says, in one language. */
export type OverviewWords = typeof EN;
