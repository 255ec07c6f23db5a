import type { Dataset } from '../core/dataset.ts';
import { orgCode } from './org-code.ts';

/** 3002: gas supply points (P6); the platform spells the path `suppypoint`. */
export const supplyPoints: Dataset = {
  name: 'supply_points',
  table: 'supply_point',
  title: '供气信息',
  comment: 'gas supply points; a removal is invisible at the source',
  path: '/suppypoint/download',
  interfaceCode: '3002',
  key: 'supply_point_code',
  columns: [
    {
      name: 'supply_point_code',
      header: '供气点编码',
      required: true,
      maxLength: 20,
      comment: 'row key',
    },
    {
      name: 'supply_point_type',
      header: '供气点类型',
      required: true,
      maxLength: 1,
      codes: { '1': { zh: '民用', en: 'residential' }, '2': { zh: '商用', en: 'commercial' } },
      comment: '1 residential, 2 commercial',
    },
    {
      name: 'gas_source_type',
      header: '气源类型',
      required: true,
      maxLength: 1,
      codes: {
        '1': { zh: '管道天然气', en: 'piped natural gas' },
        '2': { zh: '管道液化气', en: 'piped liquefied gas' },
      },
      comment: '1 piped natural gas, 2 piped liquefied gas',
    },
    {
      name: 'building_code',
      header: '楼栋编码',
      required: true,
      maxLength: 20,
      comment: 'address of the building',
    },
    {
      name: 'address_detail',
      header: '地址明细',
      required: false,
      maxLength: 60,
      comment: 'place within the building',
    },
    {
      name: 'riser_passes_through',
      header: '是否穿层户',
      required: true,
      maxLength: 1,
      codes: { Y: { zh: '是', en: 'yes' }, N: { zh: '否', en: 'no' } },
      comment: 'Y if the riser passes through the premises, else N',
    },
    orgCode,
  ],
};
