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
