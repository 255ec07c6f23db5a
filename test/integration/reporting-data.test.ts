import { beforeEach, describe, expect, it } from 'vitest';
import { useDatabase } from '../support/database.ts';
import { address, SYNCED, storeHousehold, storeRows, WUJIANG } from '../support/reporting-world.ts';

const database = useDatabase();

const LATER = '2026-11-02T00:00:00Z';

beforeEach(async () => {
  await database.pool.query(
    'truncate vcc.address, vcc.supply_point, vcc.subscriber, vcc.meter, vcc.feed, vcc.org cascade',
  );
});

/** Rows of a query on the views, as the migrating role sees them. */
async function read(query: string): Promise<Record<string, unknown>[]> {
  return (await database.pool.query<Record<string, unknown>>(query)).rows;
}

describe('address_tree', () => {
  it('gives every address its level and its path from the province down', async () => {
    await storeRows(database.pool, 'addresses', WUJIANG);
    const rows = await read(
      `select address_code, level, path_codes, path_names, province, city, district, path_state
        from reporting.address_tree where address_code in ('32', '320509', 'B153') order by level`,
    );
    expect(rows).toEqual([
      {
        address_code: '32',
        level: 1,
        path_codes: ['32'],
        path_names: ['江苏省'],
        province: '江苏省',
        city: null,
        district: null,
        path_state: 'whole',
      },
      {
        address_code: '320509',
        level: 3,
        path_codes: ['32', '3205', '320509'],
        path_names: ['江苏省', '苏州市', '吴江区'],
        province: '江苏省',
        city: '苏州市',
        district: '吴江区',
        path_state: 'whole',
      },
      {
        address_code: 'B153',
        level: 6,
        path_codes: ['32', '3205', '320509', '320509001', '320509001001', 'B153'],
        path_names: ['江苏省', '苏州市', '吴江区', '松陵街道', '绿地太湖城', '153幢'],
        province: '江苏省',
        city: '苏州市',
        district: '吴江区',
        path_state: 'whole',
      },
    ]);
  });

  it('ends where parents lead back, and names each address of the cycle once', async () => {
    await storeRows(database.pool, 'addresses', [
      address('A', 'C', 'D', 'a'),
      address('B', 'A', 'S', 'b'),
      address('C', 'B', 'G', 'c'),
      address('D', 'B', 'B', 'd'),
      address('S', 'S', 'B', 'itself'),
    ]);
    const rows = await read(
      'select address_code, path_codes, path_state from reporting.address_tree order by 1',
    );
    expect(rows).toEqual([
      { address_code: 'A', path_codes: ['B', 'C', 'A'], path_state: 'cycle' },
      { address_code: 'B', path_codes: ['C', 'A', 'B'], path_state: 'cycle' },
      { address_code: 'C', path_codes: ['A', 'B', 'C'], path_state: 'cycle' },
      { address_code: 'D', path_codes: ['C', 'A', 'B', 'D'], path_state: 'cycle' },
      { address_code: 'S', path_codes: ['S'], path_state: 'cycle' },
    ]);
  });

  it('begins below a parent that is not here, or belongs to another organisation', async () => {
    await storeRows(database.pool, 'addresses', [
      address('G1', 'gone', 'G', 'compound'),
      address('B1', 'G1', 'B', 'building'),
      { ...address('gone', null, 'D', 'of others'), org_code: 'NJ0101' },
    ]);
    const rows = await read(
      `select address_code, path_codes, path_state from reporting.address_tree
        where org_code = 'WJ0105' order by 1`,
    );
    expect(rows).toEqual([
      { address_code: 'B1', path_codes: ['G1', 'B1'], path_state: 'orphan' },
      { address_code: 'G1', path_codes: ['G1'], path_state: 'orphan' },
    ]);
  });

  it('says what codes mean, in Chinese and English, and nothing of one outside its list', async () => {
    await storeRows(database.pool, 'addresses', [
      address('1', null, 'D', 'x'),
      address('2', null, '6', 'y'),
    ]);
    const rows = await read(
      `select address_type, address_type_zh, address_type_en, state_zh, state_en
        from reporting.address_tree order by address_code`,
    );
    const used = { state_zh: '可用', state_en: 'in use' };
    expect(rows).toEqual([
      {
        address_type: 'D',
        address_type_zh: '区(县)',
        address_type_en: 'district or county',
        ...used,
      },
      { address_type: '6', address_type_zh: null, address_type_en: null, ...used },
    ]);
  });
});

describe('address_below', () => {
  const below = async (code: string) =>
    (
      await read(
        `select address_code from reporting.address_below where ancestor_code = '${code}' order by 1`,
      )
    ).map((row) => row.address_code);

  it('lists what lies below an address at any depth, itself included', async () => {
    await storeRows(database.pool, 'addresses', WUJIANG);
    expect(await below('320509')).toEqual(['320509', '320509001', '320509001001', 'B151', 'B153']);
    expect(await below('B153')).toEqual(['B153']);
    expect(await below('nowhere')).toEqual([]);
  });

  it('lists each address of a cycle once', async () => {
    await storeRows(database.pool, 'addresses', [
      address('A', 'B', 'D', 'a'),
      address('B', 'A', 'S', 'b'),
    ]);
    expect(await below('A')).toEqual(['A', 'B']);
  });
});

describe('is_current', () => {
  it('takes addresses and meters in state A that are not absent, the others unless absent', async () => {
    const states = [
      { state: 'A' },
      { state: 'X' },
      { state: null },
      { state: 'A', absent_since: SYNCED },
    ];
    for (const [dataset, key] of [
      ['addresses', 'address_code'],
      ['meters', 'meter_code'],
      ['subscribers', 'subscriber_code'],
    ] as const) {
      await storeRows(
        database.pool,
        dataset,
        states.map((state, index) => ({ [key]: `K${index}`, ...state })),
      );
    }
    await storeRows(database.pool, 'supply_points', [
      { supply_point_code: 'K0' },
      { supply_point_code: 'K1', absent_since: SYNCED },
    ]);
    const current = async (view: string, key: string) =>
      (await read(`select ${key} as key from reporting.${view} where is_current order by 1`)).map(
        (row) => row.key,
      );
    expect(await current('address_tree', 'address_code')).toEqual(['K0']);
    expect(await current('meter', 'meter_code')).toEqual(['K0']);
    expect(await current('subscriber', 'subscriber_code')).toEqual(['K0', 'K1', 'K2']);
    expect(await current('supply_point', 'supply_point_code')).toEqual(['K0']);
    expect(await read('select count(*) from reporting.meter where is_current is null')).toEqual([
      { count: 0 },
    ]);
  });

  it.each([
    ['addresses', 'address_tree', 'address_code'],
    ['supply_points', 'supply_point', 'supply_point_code'],
    ['subscribers', 'subscriber', 'subscriber_code'],
    ['meters', 'meter', 'meter_code'],
  ] as const)(
    'of %s under several organisations is the newest; the others are in moved',
    async (dataset, view, key) => {
      const state = dataset === 'supply_points' ? {} : { state: 'A' };
      const row = (org_code: string, synced_through: string, more = {}) => ({
        ...state,
        [key]: 'K',
        org_code,
        synced_through,
        ...more,
      });
      await storeRows(database.pool, dataset, [
        row('A1', SYNCED),
        row('A2', LATER),
        row('A3', SYNCED),
        row('A4', '2026-11-03T00:00:00Z', { absent_since: LATER }),
        { ...row('A1', SYNCED), [key]: 'only here' },
        { ...row('A1', SYNCED), [key]: 'tie' },
        { ...row('A2', SYNCED), [key]: 'tie' },
      ]);
      expect(
        await read(
          `select org_code, ${key} as key from reporting.${view} where is_current order by 2, 1`,
        ),
      ).toEqual([
        { org_code: 'A2', key: 'K' },
        { org_code: 'A1', key: 'only here' },
        { org_code: 'A1', key: 'tie' },
      ]);
      const moved = await read('select * from reporting.moved order by row_key, org_code');
      const entry = {
        dataset,
        row_key: 'K',
        synced_through: new Date(SYNCED),
        current_org_code: 'A2',
        current_synced_through: new Date(LATER),
      };
      expect(moved).toEqual([
        { ...entry, org_code: 'A1' },
        { ...entry, org_code: 'A3' },
        {
          ...entry,
          org_code: 'A2',
          row_key: 'tie',
          current_org_code: 'A1',
          current_synced_through: new Date(SYNCED),
        },
      ]);
    },
  );

  // The newest row in use counts, not the newest of all: an organisation that tells late that a key has
  // left it must not take it from where it went.
  it.each([
    ['stays where it went when where it was removes it later', 'A1', 'A2'],
    ['is back where it was when where it went removes it', 'A2', 'A1'],
  ])('of a key that has moved %s', async (_, removing, current) => {
    const removed = { state: 'X', synced_through: '2026-11-05T00:00:00Z' };
    const row = (org_code: string, synced_through: string) => ({
      meter_code: 'M',
      state: 'A',
      org_code,
      synced_through,
      ...(org_code === removing && removed),
    });
    await storeRows(database.pool, 'meters', [row('A1', SYNCED), row('A2', LATER)]);
    expect(await read('select org_code from reporting.meter where is_current')).toEqual([
      { org_code: current },
    ]);
    expect(await read('select * from reporting.moved')).toEqual([]);
  });
});

describe('subscriber, supply_point and meter', () => {
  it('carry the path of their address and what their codes mean', async () => {
    await storeHousehold(database.pool);
    const path = { level: 6, district: '吴江区', building: '153幢' };
    expect(
      await read(
        `select subscriber_type_zh as zh, subscriber_type_en as en, address_level as level, district,
            path_names[6] as building from reporting.subscriber where subscriber_code = 'S1'`,
      ),
    ).toEqual([{ zh: '民用', en: 'residential', ...path }]);
    expect(
      await read(
        `select supply_point_type_en as type, gas_source_type_zh as gas, riser_passes_through_en as riser,
            address_level as level, district, path_names[6] as building
          from reporting.supply_point where supply_point_code = 'P1'`,
      ),
    ).toEqual([{ type: 'residential', gas: '管道液化气', riser: 'yes', ...path }]);
    expect(
      await read(
        `select state_en, subscriber_name, subscriber_known, subscriber_type_zh, address_level as level, district,
            path_names[6] as building from reporting.meter where meter_code = 'M3'`,
      ),
    ).toEqual([
      {
        state_en: 'removed',
        subscriber_name: '张三丰',
        subscriber_known: true,
        subscriber_type_zh: '民用',
        ...path,
      },
    ]);
  });

  it('link a supply point to the current subscribers of the same place in its building', async () => {
    await storeHousehold(database.pool);
    const flat = { address_code: 'B153', address_detail: '203室' };
    await storeRows(database.pool, 'subscribers', [
      { subscriber_code: 'S3', ...flat },
      { subscriber_code: 'S4', ...flat, absent_since: LATER },
      { subscriber_code: 'S5', ...flat, address_code: 'B151' },
      { subscriber_code: 'S6', ...flat, org_code: 'NJ0101' },
    ]);
    await storeRows(database.pool, 'supply_points', [
      { supply_point_code: 'P3', building_code: 'B153' },
    ]);
    expect(
      await read(
        'select supply_point_code as code, subscriber_codes from reporting.supply_point order by 1',
      ),
    ).toEqual([
      { code: 'P1', subscriber_codes: ['S1', 'S3'] },
      { code: 'P2', subscriber_codes: [] },
      { code: 'P3', subscriber_codes: [] },
    ]);
  });

  it('keep rows whose subscriber or address is not here', async () => {
    await storeRows(database.pool, 'meters', [{ meter_code: 'M', subscriber_code: 'nobody' }]);
    await storeRows(database.pool, 'subscribers', [{ subscriber_code: 'S', address_code: 'no' }]);
    expect(
      await read('select meter_code, subscriber_known, path_codes from reporting.meter'),
    ).toEqual([{ meter_code: 'M', subscriber_known: false, path_codes: null }]);
    expect(
      await read('select subscriber_code, address_level, path_codes from reporting.subscriber'),
    ).toEqual([{ subscriber_code: 'S', address_level: null, path_codes: null }]);
  });
});

describe('household', () => {
  it('is one row per subscriber, with its current meters and the supply points of the same place', async () => {
    await storeHousehold(database.pool);
    await storeRows(database.pool, 'meters', [
      {
        meter_code: 'M2',
        org_code: 'NJ0101',
        state: 'A',
        subscriber_code: 'S1',
        synced_through: LATER,
      },
    ]);
    expect(
      await read(
        `select subscriber_code, district, path_names[6] as building, supply_point_codes,
            meter_codes, is_current from reporting.household order by subscriber_code`,
      ),
    ).toEqual([
      {
        subscriber_code: 'S1',
        district: '吴江区',
        building: '153幢',
        supply_point_codes: ['P1'],
        meter_codes: ['M1'],
        is_current: true,
      },
      {
        subscriber_code: 'S2',
        district: '吴江区',
        building: '151幢',
        supply_point_codes: [],
        meter_codes: [],
        is_current: true,
      },
    ]);
  });
});

describe('orphan', () => {
  /** An organisation with feeds, of which some have a baseline, holes or lag. */
  async function addFeed(dataset: string, changes: Record<string, unknown> = {}): Promise<void> {
    const feed = {
      since: '2026-10-01T00:00:00Z',
      baseline_at: '2026-10-01T00:00:00Z',
      coverage: '{[2026-10-01T00:00:00Z,2026-11-05T00:00:00Z)}',
      ...changes,
    };
    await database.pool.query(
      `insert into vcc.org (org_code) values ('WJ0105') on conflict do nothing`,
    );
    await database.pool.query(
      `insert into vcc.feed (org_code, dataset, since, baseline_at, coverage) values ('WJ0105', $1, $2, $3, $4)`,
      [dataset, feed.since, feed.baseline_at, feed.coverage],
    );
  }

  const causes = () =>
    read(
      `select dataset, row_key, parent_key, parent_is, cause, parent_may_be_in_gap as gap,
        parent_may_be_before_baseline as early from reporting.orphan order by dataset, row_key`,
    );

  it('finds every kind of row in use that refers to nothing in use, and no other', async () => {
    await storeHousehold(database.pool);
    await storeRows(database.pool, 'addresses', [
      { ...address('BX', '32', 'B', 'removed'), state: 'X' },
      address('BO', 'nowhere', 'B', 'lost'),
    ]);
    await storeRows(database.pool, 'subscribers', [
      { subscriber_code: 'S3', address_code: 'BX' },
      { subscriber_code: 'S4', address_code: 'nowhere' },
      { subscriber_code: 'S5', address_code: 'nowhere', absent_since: SYNCED },
    ]);
    await storeRows(database.pool, 'supply_points', [
      { supply_point_code: 'P3', building_code: 'nowhere' },
    ]);
    await storeRows(database.pool, 'meters', [
      { meter_code: 'M5', state: 'A', subscriber_code: 'S9' },
      { meter_code: 'M6', state: 'X', subscriber_code: 'S9' },
      { meter_code: 'M7', state: 'A', subscriber_code: 'S5' },
      { meter_code: 'M8', state: 'A' },
    ]);
    const known = { gap: false, early: false };
    const missing = { parent_is: 'missing', cause: 'no feed', ...known };
    expect(await causes()).toEqual([
      { dataset: 'addresses', row_key: 'BO', parent_key: 'nowhere', ...missing },
      { dataset: 'meters', row_key: 'M5', parent_key: 'S9', ...missing },
      {
        dataset: 'meters',
        row_key: 'M7',
        parent_key: 'S5',
        parent_is: 'removed',
        cause: 'removed',
        ...known,
      },
      {
        dataset: 'meters',
        row_key: 'M8',
        parent_key: null,
        parent_is: 'unnamed',
        cause: 'unnamed',
        ...known,
      },
      {
        dataset: 'subscribers',
        row_key: 'S3',
        parent_key: 'BX',
        parent_is: 'removed',
        cause: 'removed',
        ...known,
      },
      { dataset: 'subscribers', row_key: 'S4', parent_key: 'nowhere', ...missing },
      { dataset: 'supply_points', row_key: 'P3', parent_key: 'nowhere', ...missing },
    ]);
  });

  it('counts no row that has moved to another organisation', async () => {
    const addresses = [address('320509', null, 'D', '吴江区')];
    await storeRows(database.pool, 'addresses', addresses);
    const both = { org_code: 'A2', synced_through: LATER };
    const lost = { subscriber_code: 'S', address_code: 'nowhere' };
    const meter = { meter_code: 'M', state: 'A', subscriber_code: 'nobody' };
    const point = { supply_point_code: 'P', building_code: 'nowhere' };
    const below = address('B', 'nowhere', 'B', 'lost');
    await storeRows(database.pool, 'subscribers', [lost, { ...lost, ...both }]);
    await storeRows(database.pool, 'meters', [meter, { ...meter, ...both }]);
    await storeRows(database.pool, 'supply_points', [point, { ...point, ...both }]);
    await storeRows(database.pool, 'addresses', [below, { ...below, ...both }]);
    expect(await read('select org_code, row_key from reporting.orphan order by 2')).toEqual([
      { org_code: 'A2', row_key: 'B' },
      { org_code: 'A2', row_key: 'M' },
      { org_code: 'A2', row_key: 'P' },
      { org_code: 'A2', row_key: 'S' },
    ]);
  });

  it('leaves alone what lies below addresses that organisations share, whoever delivered them last', async () => {
    const org = (code: string, synced_through = SYNCED) => [
      { ...address('32', null, 'P', '江苏省'), org_code: code, synced_through },
      { ...address(`${code}-C`, '32', 'C', 'a city'), org_code: code },
    ];
    await storeRows(database.pool, 'addresses', [...org('A1'), ...org('A2', LATER)]);
    await storeRows(database.pool, 'subscribers', [
      { subscriber_code: 'S', address_code: '32', org_code: 'A1' },
    ]);
    await storeRows(database.pool, 'supply_points', [
      { supply_point_code: 'P', building_code: '32', org_code: 'A1' },
    ]);
    expect(await read('select * from reporting.orphan')).toEqual([]);
    await database.pool.query(
      `update vcc.address set state = 'X' where org_code = 'A1' and address_code = '32'`,
    );
    expect(
      await read(
        'select dataset, row_key, parent_is, parent_org_code from reporting.orphan order by 1',
      ),
    ).toEqual(
      [
        { dataset: 'addresses', row_key: 'A1-C' },
        { dataset: 'subscribers', row_key: 'S' },
        { dataset: 'supply_points', row_key: 'P' },
      ].map((row) => ({ ...row, parent_is: 'moved', parent_org_code: 'A2' })),
    );
  });

  it('says where the row is current that a row refers to under its own organisation', async () => {
    const gone = { subscriber_code: 'S1', absent_since: SYNCED };
    await storeRows(database.pool, 'subscribers', [
      gone,
      { subscriber_code: 'S1', org_code: 'A2', address_code: 'K' },
      { subscriber_code: 'S2', address_code: 'K' },
      { subscriber_code: 'S2', org_code: 'A2', synced_through: LATER, address_code: 'K' },
      { subscriber_code: 'S3', org_code: 'A2', address_code: 'K' },
      { subscriber_code: 'S4', address_code: 'K' },
      { subscriber_code: 'S4', org_code: 'A2', absent_since: LATER, synced_through: LATER },
    ]);
    const key = address('K', null, 'B', 'both');
    await storeRows(database.pool, 'addresses', [key, { ...key, org_code: 'A2' }]);
    await storeRows(
      database.pool,
      'meters',
      ['S1', 'S2', 'S3', 'S4'].map((subscriber_code) => ({
        meter_code: `M${subscriber_code}`,
        state: 'A',
        subscriber_code,
      })),
    );
    const moved = { parent_is: 'moved', cause: 'moved', parent_org_code: 'A2' };
    expect(
      await read(`select row_key, parent_is, cause, parent_org_code from reporting.orphan
        where dataset = 'meters' order by 1`),
    ).toEqual([
      { row_key: 'MS1', ...moved },
      { row_key: 'MS2', ...moved },
      { row_key: 'MS3', ...moved },
    ]);
  });

  it.each([
    [
      'a hole of the other dataset',
      {
        coverage:
          '{[2026-10-01T00:00:00Z,2026-10-10T00:00:00Z),[2026-10-11T00:00:00Z,2026-11-05T00:00:00Z)}',
      },
      { cause: 'gap', gap: true, early: false },
    ],
    ['a hole only after the row', {}, { cause: 'unexplained', gap: false, early: false }],
    ['no baseline', { baseline_at: null }, { cause: 'before baseline', gap: false, early: true }],
  ] as const)('names the likeliest cause: %s', async (_, changes, expected) => {
    await addFeed('subscribers', changes);
    await storeRows(database.pool, 'meters', [
      { meter_code: 'M', state: 'A', subscriber_code: 'S' },
    ]);
    expect(await causes()).toEqual([expect.objectContaining(expected)]);
  });

  it('says that the other dataset is merely loaded less far, and how old the row is', async () => {
    const minute = (ago: number) => {
      const at = new Date(Date.now() - ago * 60_000);
      at.setMilliseconds(0);
      return at.toISOString();
    };
    // Younger than twice the interval: work, not a gap.
    await addFeed('subscribers', {
      since: minute(60),
      baseline_at: minute(60),
      coverage: `{[${minute(60)},${minute(10)})}`,
    });
    await storeRows(database.pool, 'meters', [
      {
        meter_code: 'M',
        state: 'A',
        subscriber_code: 'S',
        synced_through: minute(5),
        first_seen_at: minute(120),
      },
    ]);
    expect(await causes()).toEqual([expect.objectContaining({ cause: 'behind' })]);
    expect(
      await read(`select age between '119 minutes' and '125 minutes' as ok from reporting.orphan`),
    ).toEqual([{ ok: true }]);
  });
});

describe('flag_summary', () => {
  it('counts flagged rows by organisation, dataset, column and problem', async () => {
    await storeRows(database.pool, 'meters', [
      { meter_code: 'M1', flags: ['state:code', 'location:length'] },
      { meter_code: 'M2', flags: ['state:code'], changed_at: LATER },
      { meter_code: 'M3' },
    ]);
    await storeRows(database.pool, 'addresses', [{ address_code: 'A', flags: ['name:missing'] }]);
    const entry = { org_code: 'WJ0105', flagged_rows: 1 };
    const times = { oldest_change: new Date(SYNCED), newest_change: new Date(SYNCED) };
    expect(
      await read('select * from reporting.flag_summary order by dataset, column_name'),
    ).toEqual([
      { ...entry, dataset: 'addresses', column_name: 'name', problem: 'missing', ...times },
      { ...entry, dataset: 'meters', column_name: 'location', problem: 'length', ...times },
      {
        ...entry,
        dataset: 'meters',
        column_name: 'state',
        problem: 'code',
        ...times,
        flagged_rows: 2,
        newest_change: new Date(LATER),
      },
    ]);
  });
});
