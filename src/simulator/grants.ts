import type { DatasetName } from '../core/dataset.ts';

/** Which organisations and datasets are granted: all, but for those refused (P1). */
export interface Grants {
  /** Refuses a dataset of an organisation from now on, or all of it. */
  refuse(orgCode: string, dataset: DatasetName | null): void;
  /** Takes a refusal back: that of one dataset, or with null every one of the organisation. */
  allow(orgCode: string, dataset: DatasetName | null): void;
  /** Whether a call for an organisation is granted. */
  granted(orgCode: string, dataset: DatasetName): boolean;
}

/** Grants without a refusal, for the organisations that the platform knows. */
export function createGrants(orgCodes: readonly string[]): Grants {
  const refused = new Map(orgCodes.map((code) => [code, new Set<DatasetName | null>()]));

  function of(orgCode: string): Set<DatasetName | null> {
    const found = refused.get(orgCode);
    if (!found) throw new RangeError(`the simulator has no organisation ${orgCode}`);
    return found;
  }

  return {
    refuse: (orgCode, dataset) => void of(orgCode).add(dataset),
    allow(orgCode, dataset) {
      if (dataset === null) of(orgCode).clear();
      else of(orgCode).delete(dataset);
    },
    granted(orgCode, dataset) {
      const found = refused.get(orgCode);
      return found !== undefined && !found.has(null) && !found.has(dataset);
    },
  };
}
