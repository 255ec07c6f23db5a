import { DATASET_NAMES, type DatasetName } from '../core/dataset.ts';
import { CATALOGUE } from '../datasets/catalogue.ts';
import { createHistory, type History, type Row } from './history.ts';
import { integer, pick, type Random } from './random.ts';
import { editedRow, newBuilding, newMeter, newSubscriber, newSupplyPoint } from './rows.ts';

/** What a random change did; `reverted` is an edit back to the state before the last one (A, B, A). */
export type ChangeKind = 'created' | 'edited' | 'reverted' | 'removed';

/** One random change that was made. */
export interface WorldChange {
  readonly dataset: DatasetName;
  readonly orgCode: string;
  readonly key: string;
  readonly kind: ChangeKind;
  /** A whole second, in milliseconds since the epoch. */
  readonly at: number;
}

/** How often each dataset changes, in tenths. */
const WEIGHTS: readonly DatasetName[] = [
  ...['addresses' as const],
  ...Array<DatasetName>(2).fill('supply_points'),
  ...Array<DatasetName>(4).fill('subscribers'),
  ...Array<DatasetName>(3).fill('meters'),
];

/** What exists in an organisation, and what can be done to it; all at whole seconds, in milliseconds. */
export interface Stock {
  readonly histories: Readonly<Record<DatasetName, History>>;
  /** Records a row's new state and answers its key. */
  record(dataset: DatasetName, row: Row, at: number): string;
  /** Adds a row; where what it would refer to is missing, that instead. */
  create(dataset: DatasetName, random: Random, at: number): WorldChange;
  /** Adds, edits, reverts or removes some row. */
  change(random: Random, at: number): WorldChange;
}

/** The stock of an organisation whose addresses down to the villages are, or will be, those of the excerpt. */
export function createStock(excerpt: readonly Row[], orgCode: string): Stock {
  const histories = {} as Record<DatasetName, History>;
  for (const name of DATASET_NAMES) histories[name] = createHistory();
  const villages = excerpt.filter((row) => row.address_type === 'G');
  const buildings: Row[] = [];
  const homes: Row[] = [];
  const counts = { addresses: 0, supply_points: 0, subscribers: 0, meters: 0 };
  const lastEdited = new Map<DatasetName, string>();

  function record(dataset: DatasetName, row: Row, at: number): string {
    const key = row[CATALOGUE[dataset].key] as string;
    histories[dataset].add({ key, row, at, visibleAt: at });
    return key;
  }

  function create(dataset: DatasetName, random: Random, at: number): WorldChange {
    const building = buildings.at(-1);
    if (dataset === 'addresses' || !building) {
      counts.addresses += 1;
      const row = newBuilding(pick(random, villages), counts.addresses);
      buildings.push(row);
      return outcome('addresses', record('addresses', row, at), 'created', at);
    }
    const home = homes.at(-1);
    const made: DatasetName = dataset === 'meters' && !home ? 'subscribers' : dataset;
    counts[made] += 1;
    let row: Row;
    if (made === 'supply_points') {
      row = newSupplyPoint(random, building, counts[made]);
    } else if (made === 'subscribers') {
      row = newSubscriber(random, building, counts[made]);
      homes.push(row);
    } else {
      row = newMeter(random, home as Row, counts[made]);
    }
    return outcome(made, record(made, row, at), 'created', at);
  }

  function change(random: Random, at: number): WorldChange {
    const dataset = pick(random, WEIGHTS);
    const chance = random();
    // Now and then the same row again: else a large world would hardly ever go A, B, A.
    const again = random() < 0.2 ? lastEdited.get(dataset) : undefined;
    const key = again ?? existing(dataset, random, at);
    if (key === undefined || chance < 0.15) return create(dataset, random, at);
    const versions = histories[dataset].versions(key, at, Number.POSITIVE_INFINITY);
    const row = versions.at(-1)?.row;
    if (!row) return create(dataset, random, at);
    const before = versions.at(-2)?.row;
    const removable = dataset === 'addresses' || dataset === 'meters';
    if (removable && row.state === 'A' && chance < 0.25) {
      record(dataset, { ...row, state: 'X' }, at);
      return outcome(dataset, key, 'removed', at);
    }
    if (before && !sameRow(before, row) && chance < 0.5) {
      record(dataset, before, at);
      return outcome(dataset, key, 'reverted', at);
    }
    record(dataset, editedRow(random, dataset, row), at);
    lastEdited.set(dataset, key);
    return outcome(dataset, key, 'edited', at);
  }

  /** A random row that exists at `at`; of the addresses only villages and buildings, which do change. */
  function existing(dataset: DatasetName, random: Random, at: number): string | undefined {
    const history = histories[dataset];
    const lowest = dataset === 'addresses' ? excerpt.length - villages.length : 0;
    for (let attempt = 0; attempt < 8 && history.size > lowest; attempt += 1) {
      const key = history.keyAt(integer(random, lowest, history.size)) as string;
      if (history.state(key, at, Number.POSITIVE_INFINITY)) return key;
    }
    return undefined;
  }

  function outcome(dataset: DatasetName, key: string, kind: ChangeKind, at: number): WorldChange {
    return { dataset, orgCode, key, kind, at };
  }

  return { histories, record, create, change };
}

function sameRow(a: Row, b: Row): boolean {
  return Object.keys(a).every((column) => a[column] === b[column]);
}
