import type { Dataset } from '../core/dataset.ts';
import { orgCode } from './org-code.ts';

/** 3004: meters (P6). */
export const meters: Dataset = {
  name: 'meters',
  table: 'meter',
  title: '表具信息',
  comment: 'meters',
  path: '/meter/download',
  interfaceCode: '3004',
  key: 'meter_code',
  columns: [
    { name: 'meter_code', header: '表具编号', required: true, maxLength: 20, comment: 'row key' },
    {
      name: 'meter_type',
      header: '表具类型',
      required: true,
      maxLength: 2,
      comment: 'type; the codes are undocumented',
    },
    {
      name: 'model',
      header: '型号',
      required: true,
      maxLength: 2,
      comment: 'model; the codes are undocumented',
    },
    {
      name: 'inlet_side',
      header: '表向',
      required: true,
      maxLength: 1,
      comment: 'side of the gas inlet; the codes are undocumented',
    },
    {
      name: 'state',
      header: '状态',
      required: true,
      maxLength: 1,
      codes: { A: { zh: '可用', en: 'in use' }, X: { zh: '不可用', en: 'removed' } },
      comment: 'A in use, X removed',
    },
    {
      name: 'location',
      header: '位置',
      required: false,
      maxLength: 60,
      comment: 'where the meter hangs',
    },
    {
      name: 'subscriber_code',
      header: '气户编号',
      required: true,
      maxLength: 20,
      comment: 'subscriber; may not equal a code in table subscriber',
    },
    {
      name: 'management_mode',
      header: '管理模式',
      required: false,
      maxLength: 1,
      comment: 'management mode; the codes are undocumented',
    },
    {
      name: 'manufacturer_code',
      header: '厂商代码',
      required: false,
      maxLength: 20,
      comment: 'manufacturer',
    },
    orgCode,
  ],
};
