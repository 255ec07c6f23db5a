import type { DatasetName } from '../core/dataset.ts';
import type { Row } from './history.ts';
import {
  companyName,
  flat,
  meterLocation,
  mobileNumber,
  personName,
  telephoneNumber,
} from './invention.ts';
import { integer, pick, type Random } from './random.ts';

/** A new building in a village, the `number`th of the organisation (3001). */
export function newBuilding(village: Row, number: number): Row {
  const name = `${number}幢`;
  return {
    address_code: `${village.address_code}${String(number).padStart(6, '0')}`,
    parent_address_code: village.address_code ?? null,
    address_type: 'B',
    name,
    full_address: `${village.full_address}${name}`,
    org_code: village.org_code ?? null,
    state: 'A',
  };
}

/** A new supply point in a building, the `number`th of the organisation (3002). */
export function newSupplyPoint(random: Random, building: Row, number: number): Row {
  return {
    supply_point_code: String(3_200_000_000 + number),
    supply_point_type: random() < 0.95 ? '1' : '2',
    gas_source_type: random() < 0.9 ? '1' : '2',
    building_code: building.address_code ?? null,
    address_detail: flat(random),
    riser_passes_through: random() < 0.2 ? 'Y' : 'N',
    org_code: building.org_code ?? null,
  };
}

/** A new subscriber in a building, the `number`th of the organisation (3003). */
export function newSubscriber(random: Random, building: Row, number: number): Row {
  const commercial = random() < 0.05;
  return {
    subscriber_code: String(1_400_000_000 + number),
    name: commercial ? companyName(random) : personName(random),
    address_code: building.address_code ?? null,
    address_detail: flat(random),
    subscriber_type: commercial ? '2' : '1',
    state: 'A',
    telephone: random() < 0.3 ? telephoneNumber(random) : null,
    mobile: random() < 0.95 ? mobileNumber(random) : null,
    org_code: building.org_code ?? null,
  };
}

/** A new meter of a subscriber, the `number`th of the organisation (3004). */
export function newMeter(random: Random, subscriber: Row, number: number): Row {
  return {
    meter_code: String(6_400_000_000_000 + number),
    meter_type: pick(random, ['01', '02', '03']),
    model: pick(random, ['01', '02', '04', '16']),
    inlet_side: pick(random, ['1', '2']),
    state: 'A',
    location: random() < 0.8 ? meterLocation(random) : null,
    subscriber_code: subscriber.subscriber_code ?? null,
    management_mode: random() < 0.5 ? pick(random, ['1', '2']) : null,
    manufacturer_code: random() < 0.9 ? String(integer(random, 10_001, 10_040)) : null,
    org_code: subscriber.org_code ?? null,
  };
}

/** What may happen to a row of each dataset, each a possible change of some of its columns. */
const EDITS: Readonly<Record<DatasetName, readonly ((random: Random, row: Row) => Row)[]>> = {
  addresses: [
    (_, row) => ({ name: renamed(row.name), full_address: renamed(row.full_address) }),
    () => ({ state: 'A' }),
  ],
  supply_points: [
    (random) => ({ address_detail: flat(random) }),
    (_, row) => ({ riser_passes_through: row.riser_passes_through === 'Y' ? 'N' : 'Y' }),
    (_, row) => ({ gas_source_type: row.gas_source_type === '1' ? '2' : '1' }),
  ],
  subscribers: [
    (random) => ({ mobile: mobileNumber(random) }),
    (random) => ({ name: personName(random), mobile: mobileNumber(random) }),
    (random, row) => ({ telephone: row.telephone === null ? telephoneNumber(random) : null }),
    (random) => ({ state: pick(random, ['A', 'S', 'C']) }),
  ],
  meters: [
    (random) => ({ location: meterLocation(random) }),
    (random) => ({ management_mode: pick(random, ['1', '2', null]) }),
    () => ({ state: 'A' }),
  ],
};

/** A row after one random edit; it always differs from before. */
export function editedRow(random: Random, dataset: DatasetName, row: Row): Row {
  for (;;) {
    const change = pick(random, EDITS[dataset])(random, row);
    if (Object.entries(change).some(([column, value]) => row[column] !== value)) {
      return { ...row, ...change };
    }
  }
}

const SUFFIX = '(东)';

function renamed(name: string | null | undefined): string {
  const text = name ?? '';
  return text.endsWith(SUFFIX) ? text.slice(0, -SUFFIX.length) : `${text}${SUFFIX}`;
}
