import type { Dataset } from '../core/dataset.ts';
import { orgCode } from './org-code.ts';

/** 3003: subscribers, with names and phone numbers (P6). */
export const subscribers: Dataset = {
  name: 'subscribers',
  table: 'subscriber',
  title: '气户数据',
  comment: 'subscribers; holds names and phone numbers',
  path: '/subs/download',
  interfaceCode: '3003',
  key: 'subscriber_code',
  columns: [
    {
      name: 'subscriber_code',
      header: '气户户号',
      required: true,
      maxLength: 20,
      comment: 'row key',
    },
    {
      name: 'name',
      header: '气户名称',
      required: true,
      maxLength: 60,
      comment: 'name of the person or company',
    },
    {
      name: 'address_code',
      header: '地址编码',
      required: true,
      maxLength: 20,
      comment: 'address, as in table address',
    },
    {
      name: 'address_detail',
      header: '地址明细',
      required: true,
      maxLength: 60,
      comment: 'place below the address',
    },
    {
      name: 'subscriber_type',
      header: '气户类型',
      required: true,
      maxLength: 1,
      codes: { '1': { zh: '民用', en: 'residential' }, '2': { zh: '商用', en: 'commercial' } },
      comment: '1 residential, 2 commercial',
    },
    {
      name: 'state',
      header: '气户状态',
      required: true,
      maxLength: 1,
      comment: 'state; the codes are undocumented',
    },
    {
      name: 'telephone',
      header: '联系电话',
      required: false,
      maxLength: 20,
      comment: 'contact telephone',
    },
    {
      name: 'mobile',
      header: '手机号码',
      required: false,
      maxLength: 20,
      comment: 'mobile number',
    },
    orgCode,
  ],
};
