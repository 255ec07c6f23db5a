import { DATASETS } from '../datasets/catalogue.ts';

/** A call of the document: its code, and its path below the base URL. */
export interface Interface {
  readonly interfaceCode: string;
  readonly path: string;
}

/** Calls beside the four tables whose paths are documented (P4, P8). */
export const CALLS = {
  token: { interfaceCode: '1002', path: '/oauth2/getToken' },
  upload: { interfaceCode: '2001', path: '/media/upload' },
  media: { interfaceCode: '2002', path: '/media/get' },
  subscriber: { interfaceCode: '3005', path: '/subs/getSubsByCode' },
  bound: { interfaceCode: '3006', path: '/user/querySubsByUserCode' },
  search: { interfaceCode: '3007', path: '/subs/querySubs' },
} as const satisfies Record<string, Interface>;

/** The interface code of a documented path, or null: most headings have no path in the document (P8). */
export function interfaceOf(path: string): string | null {
  const known: readonly Interface[] = [...Object.values(CALLS), ...DATASETS];
  return known.find((one) => one.path === path)?.interfaceCode ?? null;
}
