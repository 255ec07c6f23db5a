import type { Column } from '../core/dataset.ts';

/** The organisation's code, a column of every dataset; the document heads it in two ways (P6). */
export const orgCode: Column = {
  name: 'org_code',
  header: '组织机构编码',
  aliases: ['机构编码'],
  required: true,
  maxLength: 20,
  comment: 'organisation that the row belongs to',
};
