import type { Dataset, DatasetName } from '../core/dataset.ts';
import { addresses } from './addresses.ts';
import { meters } from './meters.ts';
import { subscribers } from './subscribers.ts';
import { supplyPoints } from './supply-points.ts';

/** Every dataset by name: to add one, describe it in a file of its own and list it here. */
export const CATALOGUE: Readonly<Record<DatasetName, Dataset>> = {
  addresses,
  supply_points: supplyPoints,
  subscribers,
  meters,
};

/** All datasets, in the document's order. */
export const DATASETS: readonly Dataset[] = Object.values(CATALOGUE);

/** Every name under which a column of any dataset is headed: a line without one heads no table (P5). */
export const KNOWN_HEADERS: ReadonlySet<string> = new Set(
  DATASETS.flatMap(({ columns }) =>
    columns.flatMap(({ header, aliases }) => [header, ...(aliases ?? [])]),
  ),
);
