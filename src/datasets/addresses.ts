import type { Dataset } from '../core/dataset.ts';
import { orgCode } from './org-code.ts';

/** 3001: the tree of addresses, from province down to building (P6). */
export const addresses: Dataset = {
  name: 'addresses',
  table: 'address',
  title: '地址信息',
  comment: 'addresses: a tree from province down to building',
  path: '/addr/download',
  interfaceCode: '3001',
  key: 'address_code',
  columns: [
    {
      name: 'address_code',
      header: '地址代码',
      required: true,
      maxLength: 20,
      comment: 'row key',
    },
    {
      name: 'parent_address_code',
      header: '父地址代码',
      required: false,
      maxLength: 20,
      comment: 'the address above; null at the top',
    },
    {
      name: 'address_type',
      header: '地址类型',
      required: true,
      maxLength: 1,
      codes: {
        P: '省(直辖市)',
        C: '市',
        D: '区(县)',
        T: '镇(大道)',
        S: '街道(乡)',
        G: '小区(村)',
        B: '楼栋',
      },
      comment:
        'P province, C city, D district, T town, S street, G village or compound, B building',
    },
    { name: 'name', header: '地址名称', required: true, maxLength: 60, comment: 'own name' },
    {
      name: 'full_address',
      header: '地址全称',
      required: false,
      maxLength: 255,
      comment: 'names of the whole path',
    },
    orgCode,
    {
      name: 'state',
      header: '状态',
      required: true,
      maxLength: 1,
      codes: { A: '可用', X: '不可用' },
      comment: 'A in use, X removed',
    },
  ],
};
