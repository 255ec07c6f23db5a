import type pg from 'pg';
import type { DatasetName } from '../../src/core/dataset.ts';
import { CATALOGUE } from '../../src/datasets/catalogue.ts';

/** A row by its columns; bookkeeping that is left out is that of a good row of run 1. */
export type Row = Readonly<Record<string, unknown>>;

/** When the rows of a hand-made world were synchronised through, unless they say otherwise. */
export const SYNCED = '2026-11-01T00:00:00Z';

/** Stores rows of a dataset as a run would leave them. */
export async function storeRows(
  pool: pg.Pool,
  dataset: DatasetName,
  rows: readonly Row[],
): Promise<void> {
  const bookkeeping = {
    org_code: 'WJ0105',
    first_seen_at: SYNCED,
    changed_at: SYNCED,
    synced_through: SYNCED,
    run_id: 1,
  };
  for (const row of rows) {
    const whole: Row = { ...bookkeeping, ...row };
    const names = Object.keys(whole);
    await pool.query(
      `insert into vcc.${CATALOGUE[dataset].table} (${names.join(', ')})
        values (${names.map((_, index) => `$${index + 1}`).join(', ')})`,
      Object.values(whole),
    );
  }
}

/** An address in use. */
export function address(code: string, parent: string | null, type: string, name: string): Row {
  return {
    address_code: code,
    parent_address_code: parent,
    address_type: type,
    name,
    state: 'A',
  };
}

/** From Jiangsu down to building 153 of a compound in Wujiang. */
export const WUJIANG: readonly Row[] = [
  address('32', null, 'P', '江苏省'),
  address('3205', '32', 'C', '苏州市'),
  address('320509', '3205', 'D', '吴江区'),
  address('320509001', '320509', 'S', '松陵街道'),
  address('320509001001', '320509001', 'G', '绿地太湖城'),
  address('B153', '320509001001', 'B', '153幢'),
  address('B151', '320509001001', 'B', '151幢'),
];

/** Zhang San with a flat, a meter and a supply point, and a company without any. */
export async function storeHousehold(pool: pg.Pool): Promise<void> {
  await storeRows(pool, 'addresses', WUJIANG);
  await storeRows(pool, 'subscribers', [
    {
      subscriber_code: 'S1',
      name: '张三丰',
      address_code: 'B153',
      address_detail: '203室',
      subscriber_type: '1',
      state: 'A',
      telephone: '0512-63001234',
      mobile: '13600000001',
      extra: { 联系人: '李四' },
    },
    {
      subscriber_code: 'S2',
      name: '苏州食品有限公司',
      address_code: 'B151',
      address_detail: '苏州食品有限公司 63001234',
      subscriber_type: '2',
      state: 'A',
      telephone: '10086',
    },
  ]);
  const point = { supply_point_type: '1', gas_source_type: '2', riser_passes_through: 'Y' };
  await storeRows(pool, 'supply_points', [
    { ...point, supply_point_code: 'P1', building_code: 'B153', address_detail: '203室' },
    { ...point, supply_point_code: 'P2', building_code: 'B153', address_detail: '204室' },
  ]);
  const meter = { meter_type: '01', model: '02', inlet_side: '1', subscriber_code: 'S1' };
  await storeRows(pool, 'meters', [
    { ...meter, meter_code: 'M1', state: 'A', location: '厨房' },
    { ...meter, meter_code: 'M2', state: 'A', location: '阳台' },
    { ...meter, meter_code: 'M3', state: 'X' },
    { ...meter, meter_code: 'M4', state: 'A', absent_since: SYNCED },
  ]);
}
