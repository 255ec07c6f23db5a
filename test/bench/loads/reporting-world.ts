import type pg from 'pg';
import { addressesOf } from '../../../src/simulator/excerpt.ts';
import { ORG } from '../rows.ts';

/** Whose real trees are taken, and how often each: some 20,000 compounds and villages together. */
const TREES = ['NJ0101', 'WJ0105', 'WX0102'];
const COPIES = 8;

/** What is asked for by name. */
export const NAMED = { district: '1320509', building: 'B000012345', subscriber: 'S000012345' };

/**
 * Fills the tables as if loaded: real address trees with buildings below, in each a home or two with a
 * subscriber, a supply point and a meter, and a ledger of runs; as many of each as `rows`.
 */
export async function fillReporting(pool: pg.Pool, rows: number): Promise<void> {
  await addTrees(pool);
  for (const [table, columns, select] of TABLES) {
    await pool.query(
      `insert into vcc.${table} (${columns}, org_code, first_seen_at, changed_at, synced_through, run_id)
        select ${select}, '${ORG}', now(), now(), '2026-11-01', 1 from generate_series(1, ${rows}) as n
        ${table === 'address' ? `join village on village.place = n / 50 % (select count(*) from village)` : ''}`,
    );
  }
  // One in ten thousand has moved, is flagged or lacks its subscriber.
  await pool.query(
    `insert into vcc.meter (meter_code, state, subscriber_code, org_code, first_seen_at, changed_at, synced_through, run_id)
      select meter_code, 'A', subscriber_code, 'ELSE', now(), now(), '2026-11-02', 1
      from vcc.meter where right(meter_code, 4) = '0000'`,
  );
  await pool.query(
    `update vcc.subscriber set flags = '{state:missing}' where right(subscriber_code, 4) = '1111'`,
  );
  await pool.query(
    `update vcc.meter set subscriber_code = 'nobody' where right(meter_code, 4) = '2222'`,
  );
  await addRuns(pool, rows);
  await pool.query('vacuum (analyze)');
}

const TABLES = [
  [
    'address',
    'address_code, parent_address_code, address_type, name, full_address, state',
    `'B' || lpad(n::text, 9, '0'), code, 'B', n % 200 || '幢', whole || n % 200 || '幢', 'A'`,
  ],
  [
    'subscriber',
    'subscriber_code, name, address_code, address_detail, subscriber_type, state, telephone, mobile',
    `'S' || lpad(n::text, 9, '0'), '张三' || n % 100, ${building()}, ${place()},
      case when n % 20 = 0 then '2' else '1' end, 'A', '0512-01234567', '12' || lpad(n::text, 9, '0')`,
  ],
  [
    'supply_point',
    'supply_point_code, supply_point_type, gas_source_type, building_code, address_detail, riser_passes_through',
    `'P' || lpad(n::text, 9, '0'), '1', '1', ${building()}, ${place()}, 'N'`,
  ],
  [
    'meter',
    'meter_code, meter_type, model, inlet_side, state, location, subscriber_code, manufacturer_code',
    `'M' || lpad(n::text, 9, '0'), '01', '02', '1', case when n % 50 = 0 then 'X' else 'A' end, '厨房',
      'S' || lpad(n::text, 9, '0'), 'F' || n % 30`,
  ],
] as const;

/** A building in no order, the same for the same number. */
function building(): string {
  return `'B' || lpad((1 + n::bigint * 7919 % (select count(*) from vcc.address where address_type = 'B'))::text, 9, '0')`;
}

function place(): string {
  return `n % 30 || '0' || n % 4 || '室'`;
}

async function addTrees(pool: pg.Pool): Promise<void> {
  const tree = TREES.flatMap((org) => addressesOf(org));
  await pool.query(
    `insert into vcc.address (address_code, parent_address_code, address_type, name, full_address, state, org_code,
        first_seen_at, changed_at, synced_through, run_id)
      select copy || a.address_code, copy || a.parent_address_code, a.address_type, a.name, a.full_address, a.state, '${ORG}',
        now(), now(), '2026-11-01', 1
      from json_to_recordset($1) as a (address_code text, parent_address_code text, address_type text, name text,
        full_address text, state text), generate_series(1, ${COPIES}) as copy
      on conflict do nothing`,
    [JSON.stringify(tree)],
  );
  await pool.query(
    `create table village as select address_code as code, full_address as whole,
        row_number() over (order by address_code) - 1 as place from vcc.address where address_type = 'G'`,
  );
  await pool.query('analyze village');
}

/** Runs of the last half year, one after another. */
async function addRuns(pool: pg.Pool, rows: number): Promise<void> {
  await pool.query(`insert into vcc.org (org_code) values ($1)`, [ORG]);
  await pool.query(
    `insert into vcc.feed (org_code, dataset, since, baseline_at, coverage)
      select $1, unnest('{addresses,supply_points,subscribers,meters}'::text[]), '2026-10-01Z', '2026-10-01Z',
        '{[2026-10-01Z,2026-10-05Z),[2026-10-06Z,2026-11-01Z)}'`,
    [ORG],
  );
  await pool.query(
    `insert into vcc.run (feed_id, org_code, dataset, trigger, window_from, window_to, status, started_at, finished_at,
        lines, accepted, inserted, worker)
      select f.id, f.org_code, f.dataset, 'schedule', '2026-10-01Z', '2026-10-01Z', 'done', at, at, 20, 20, 20, 'bench'
      from vcc.feed f, generate_series(1, $1::int / 4) as n,
        lateral (select now() - n * interval '180 days' / ($1::int / 4) as at) as t`,
    [rows],
  );
}
