import { describe, expect, it } from 'vitest';
import { type Column, DATASET_NAMES, isDatasetName, type Meaning } from '../../src/core/dataset.ts';
import { CATALOGUE, DATASETS, KNOWN_HEADERS } from '../../src/datasets/catalogue.ts';

/** The document's facts as P6 lists them: ! row key, * required, (n) longest length in characters. */
const DOCUMENT = {
  addresses: {
    path: '/addr/download',
    interfaceCode: '3001',
    table: 'address',
    key: 'address_code',
    columns: [
      'address_code 地址代码!*(20)',
      'parent_address_code 父地址代码(20)',
      'address_type 地址类型*(1)',
      'name 地址名称*(60)',
      'full_address 地址全称(255)',
      'org_code 组织机构编码*(20)',
      'state 状态*(1)',
    ],
    codes: {
      address_type: {
        P: '省(直辖市)',
        C: '市',
        D: '区(县)',
        T: '镇(大道)',
        S: '街道(乡)',
        G: '小区(村)',
        B: '楼栋',
      },
      state: { A: '可用', X: '不可用' },
    },
  },
  supply_points: {
    path: '/suppypoint/download',
    interfaceCode: '3002',
    table: 'supply_point',
    key: 'supply_point_code',
    columns: [
      'supply_point_code 供气点编码!*(20)',
      'supply_point_type 供气点类型*(1)',
      'gas_source_type 气源类型*(1)',
      'building_code 楼栋编码*(20)',
      'address_detail 地址明细(60)',
      'riser_passes_through 是否穿层户*(1)',
      'org_code 组织机构编码*(20)',
    ],
    codes: {
      supply_point_type: { 1: '民用', 2: '商用' },
      gas_source_type: { 1: '管道天然气', 2: '管道液化气' },
      riser_passes_through: { Y: '是', N: '否' },
    },
  },
  subscribers: {
    path: '/subs/download',
    interfaceCode: '3003',
    table: 'subscriber',
    key: 'subscriber_code',
    columns: [
      'subscriber_code 气户户号!*(20)',
      'name 气户名称*(60)',
      'address_code 地址编码*(20)',
      'address_detail 地址明细*(60)',
      'subscriber_type 气户类型*(1)',
      'state 气户状态*(1)',
      'telephone 联系电话(20)',
      'mobile 手机号码(20)',
      'org_code 组织机构编码*(20)',
    ],
    codes: { subscriber_type: { 1: '民用', 2: '商用' } },
  },
  meters: {
    path: '/meter/download',
    interfaceCode: '3004',
    table: 'meter',
    key: 'meter_code',
    columns: [
      'meter_code 表具编号!*(20)',
      'meter_type 表具类型*(2)',
      'model 型号*(2)',
      'inlet_side 表向*(1)',
      'state 状态*(1)',
      'location 位置(60)',
      'subscriber_code 气户编号*(20)',
      'management_mode 管理模式(1)',
      'manufacturer_code 厂商代码(20)',
      'org_code 组织机构编码*(20)',
    ],
    codes: { state: { A: '可用', X: '不可用' } },
  },
};

function meanings(codes: NonNullable<Column['codes']>, language: keyof Meaning) {
  return Object.fromEntries(Object.entries(codes).map(([code, text]) => [code, text[language]]));
}

describe.each(DATASET_NAMES)('%s (P6)', (name) => {
  const dataset = CATALOGUE[name];
  const facts = DOCUMENT[name];

  it('has its path, interface code, table and key', () => {
    const { path, interfaceCode, table, key } = facts;
    expect(dataset).toMatchObject({ name, path, interfaceCode, table, key });
  });

  it("has the document's columns in its order, with lengths and what is required", () => {
    const written = dataset.columns.map(({ name, header, required, maxLength }) => {
      const marks = `${name === dataset.key ? '!' : ''}${required ? '*' : ''}`;
      return `${name} ${header}${marks}(${maxLength})`;
    });
    expect(written).toEqual(facts.columns);
  });

  it("has the document's code lists and no others", () => {
    const codes = dataset.columns.flatMap((column) =>
      column.codes ? [[column.name, meanings(column.codes, 'zh')] as const] : [],
    );
    expect(Object.fromEntries(codes)).toEqual(facts.codes);
  });

  it('says in English, too, what every code means', () => {
    for (const { codes = {} } of dataset.columns) {
      const english = Object.values(meanings(codes, 'en'));
      expect(english.every((text) => /^[a-z ]+$/.test(text))).toBe(true);
      expect(new Set(english).size).toBe(english.length);
    }
  });

  it('has a comment for the table and for every column', () => {
    expect(dataset.title).toMatch(/\p{Script=Han}/u);
    for (const { comment } of [dataset, ...dataset.columns]) expect(comment).not.toBe('');
  });

  it('knows 机构编码 as the organisation and nothing else by another name', () => {
    const aliases = dataset.columns.flatMap(({ name, aliases = [] }) =>
      aliases.map((alias) => [name, alias]),
    );
    expect(aliases).toEqual([['org_code', '机构编码']]);
  });

  it('has no name or header twice', () => {
    const names = dataset.columns.map((column) => column.name);
    const headers = dataset.columns.flatMap(({ header, aliases = [] }) => [header, ...aliases]);
    expect(new Set(names).size).toBe(names.length);
    expect(new Set(headers).size).toBe(headers.length);
  });
});

describe('the catalogue', () => {
  it("has the four datasets in the document's order", () => {
    expect(DATASETS.map(({ name }) => name)).toEqual([...DATASET_NAMES]);
    expect(DATASETS.map(({ interfaceCode }) => interfaceCode)).toEqual([
      '3001',
      '3002',
      '3003',
      '3004',
    ]);
  });

  it('knows every header of every dataset, under either name', () => {
    const headers = DATASETS.flatMap(({ columns }) => columns.map(({ header }) => header));
    expect(KNOWN_HEADERS).toEqual(new Set([...headers, '机构编码']));
  });

  it('tells names of datasets from other text', () => {
    expect(DATASET_NAMES.every(isDatasetName)).toBe(true);
    expect(['', 'address', 'Meters', 'toString'].some(isDatasetName)).toBe(false);
  });
});
