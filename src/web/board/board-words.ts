import type { Words } from '../messages.ts';
import type { Refusal } from './board-writes.ts';

const EN = {
  lng: 'en-US',
  back: 'Back to the overview',
  loading: 'Loading …',
  needsScript: 'The queue dashboard needs JavaScript; the other pages do not.',
  waiting: 'The queue is still waited for: it has not been opened yet, or does not answer.',
  late: 'The queue does not answer. What was asked for may still be done once it does.',
  recorded: (id: number) =>
    `Request ${id} is recorded and will be carried out by itself; do not add it again. Only its job could not be added: the queue does not answer.`,
  refusals: {
    unknown:
      'This can not be done here: what is to be loaded is decided by coverage and requests, not by the queue.',
    planner: "The planner's queue is only shown here: it takes care of itself.",
    pause: 'Pausing the queue would stop every feed without a trace; pause feeds instead.',
    unfinished: 'Only jobs that have completed or failed can be removed.',
    onlyFailed: 'Only failed jobs can be retried all together.',
    notFinished: 'Only a job that has completed or failed can be retried or removed.',
  },
  noJob: 'There is no such job.',
  queues: {
    sync: 'Each job wakes one feed. A job that is added with from and to becomes a re-sync request.',
    plan: 'The planner: wakes the feeds that are due.',
  },
  schema: {
    dataset: 'which of the four datasets',
    orgCode: 'code of the organisation, such as WJ0105',
    from: 'start of the interval to load again: ISO 8601 or yyyyMMddHHmmss, China time unless it says otherwise; leave from and to empty to synchronise now',
    to: 'its end, not included',
    reason: 'why, for the record; with from and to',
  },
  data: {
    form: 'data takes dataset, orgCode, from, to and reason, and nothing else; they are texts',
    dataset: (names: string) => `dataset: there are ${names}`,
    orgCode: 'orgCode: up to 20 letters, digits, - or _, such as WJ0105',
    both: 'from and to go together: give both, or neither to synchronise now',
    reason: 'reason: up to 500 characters; it is recorded with an interval, so give from and to',
    inactive: 'the feed is paused or disabled; resume it first',
  },
};

/** What the dashboard says of our own, in one language. */
export type BoardWords = typeof EN & { readonly refusals: Readonly<Record<Refusal, string>> };

const ZH: BoardWords = {
  lng: 'zh-CN',
  back: '返回总览',
  loading: '正在加载……',
  needsScript: '队列面板需要 JavaScript，其他页面不需要。',
  waiting: '仍在等待队列：队列尚未打开或没有应答。',
  late: '队列没有应答。所请求的操作可能在其恢复后执行。',
  recorded: (id) => `请求 ${id} 已登记，将自动执行，请勿重复添加。仅作业未能加入：队列没有应答。`,
  refusals: {
    unknown: '此处不能执行该操作：加载什么由覆盖范围和请求决定，而不是由队列决定。',
    planner: '计划队列仅供查看，由系统自行维护。',
    pause: '暂停队列会使所有数据源停止且不留记录；请改为暂停数据源。',
    unfinished: '只能移除已完成或已失败的作业。',
    onlyFailed: '只能批量重试失败的作业。',
    notFinished: '只能重试或移除已完成或已失败的作业。',
  },
  noJob: '没有这个作业。',
  queues: {
    sync: '每个作业唤醒一个数据源。带 from 和 to 添加的作业会成为重新同步请求。',
    plan: '计划器：唤醒到期的数据源。',
  },
  schema: {
    dataset: '四个数据集之一',
    orgCode: '组织机构编码，例如 WJ0105',
    from: '要重新加载的时间段的起点：ISO 8601 或 yyyyMMddHHmmss，未注明时区时为中国时间；from 和 to 都留空则立即同步',
    to: '时间段的终点（不含）',
    reason: '原因，留作记录；与 from 和 to 一起填写',
  },
  data: {
    form: '数据只能包含 dataset、orgCode、from、to 和 reason，且均为文本',
    dataset: (names) => `dataset：可用的有 ${names}`,
    orgCode: 'orgCode：最多 20 个字母、数字、- 或 _，例如 WJ0105',
    both: 'from 和 to 必须同时填写；都留空则立即同步',
    reason: 'reason：最多 500 个字符；原因随时间段记录，请填写 from 和 to',
    inactive: '该数据源已暂停或停用，请先恢复',
  },
};

/** What the dashboard says of our own, by language. */
export const BOARD_WORDS: Words<BoardWords> = { en: EN, zh: ZH };
