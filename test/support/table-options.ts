import type { Dataset } from '../../src/core/dataset.ts';
import type { TableOptions } from '../../src/core/table/table-reader.ts';

/** How a table of one organisation is read with default settings. */
export function tableOptions(
  dataset: Dataset,
  orgCode: string,
  declaredCharset: string | null = null,
): TableOptions {
  return {
    dataset,
    orgCode,
    acceptOrg: () => false,
    declaredCharset,
    forcedCharset: 'auto',
    quotes: 'none',
  };
}
