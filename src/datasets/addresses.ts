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
        P: { zh: '省(直辖市)', en: 'province or municipality' },
        C: { zh: '市', en: 'city' },
        D: { zh: '区(县)', en: 'district or county' },
        T: { zh: '镇(大道)', en: 'town or avenue' },
        S: { zh: '街道(乡)', en: 'street or township' },
        G: { zh: '小区(村)', en: 'compound or village' },
        B: { zh: '楼栋', en: 'building' },
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
      codes: { A: { zh: '可用', en: 'in use' }, X: { zh: '不可用', en: 'removed' } },
      comment: 'A in use, X removed',
    },
  ],
};
