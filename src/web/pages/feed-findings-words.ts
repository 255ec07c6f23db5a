import type { Words } from '../messages.ts';

const EN = {
  title: 'Is the copy right?',
  none: 'Not compared yet. vcc-sync audit and vcc-sync reconcile compare it with the source.',
  hint: 'Rows by their keys and columns by their names; values are not kept.',
  kinds: { extract: 'full extract', window: 'audit', sample: 'sample' },
  what: 'Compared with',
  when: 'When',
  asOf: 'As of',
  open: 'not done yet',
  repaired: (run: number) => `repaired by run ${run}`,
  refused: (code: string) => `not compared: ${code}`,
  sourceRows: 'At the source',
  ownRows: 'Here',
  compared: 'Compared',
  missing: 'Missing',
  changed: 'Changed',
  extra: 'Extra',
  stale: 'Stale',
  findings: 'Findings',
  finding: {
    missing: 'missing: only at the source',
    changed: 'changed: other content here',
    extra: 'extra: only here',
  },
  kind: 'Finding',
  key: 'Key',
  columns: 'Columns',
  during: 'Changed at the source',
  late: 'Late by more than',
};

const ZH: typeof EN = {
  title: '副本是否正确？',
  none: '尚未核对。vcc-sync audit 和 vcc-sync reconcile 可与来源核对。',
  hint: '行只记键，列只记名；不保留任何值。',
  kinds: { extract: '全量文件', window: '核对窗口', sample: '抽样' },
  what: '核对对象',
  when: '时间',
  asOf: '截至',
  open: '未完成',
  repaired: (run) => `由运行 ${run} 修复`,
  refused: (code) => `未能核对：${code}`,
  sourceRows: '来源行数',
  ownRows: '本地行数',
  compared: '已核对',
  missing: '缺失',
  changed: '不同',
  extra: '多余',
  stale: '过时',
  findings: '核对结果',
  finding: {
    missing: '缺失：仅来源有',
    changed: '不同：本地内容不一致',
    extra: '多余：仅本地有',
  },
  kind: '结果',
  key: '键',
  columns: '列',
  during: '来源变更时间',
  late: '至少晚到',
};

/** Words of a feed's findings. */
export type FindingsWords = typeof EN;

/** The same in each language. */
export const FINDINGS_WORDS: Words<typeof EN> = { en: EN, zh: ZH };
