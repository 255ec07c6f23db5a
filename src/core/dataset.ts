/** The four remote tables (P6). */
export const DATASET_NAMES = ['addresses', 'supply_points', 'subscribers', 'meters'] as const;

/** The name of one remote table. */
export type DatasetName = (typeof DATASET_NAMES)[number];

/** A feed's name: one dataset of one organisation. */
export interface FeedName {
  readonly dataset: DatasetName;
  readonly orgCode: string;
}

/** What a code stands for. */
export interface Meaning {
  /** In the document's words. */
  readonly zh: string;
  readonly en: string;
}

/** One column of a dataset, as the document describes it (P6). */
export interface Column {
  /** The column's name in Postgres. */
  readonly name: string;
  /** The document's Chinese name, which heads the column in a table. */
  readonly header: string;
  /** Other names under which the document heads the same column. */
  readonly aliases?: readonly string[];
  readonly required: boolean;
  /** Longest documented length, in characters. */
  readonly maxLength: number;
  /** The document's code list, code to its meaning; absent where the list is empty or undocumented. */
  readonly codes?: Readonly<Record<string, Meaning>>;
  /** What the column holds, in English, for the comment in the database. */
  readonly comment: string;
}

/** One remote table: where it is fetched, how it is read and where it is kept (P6). */
export interface Dataset {
  readonly name: DatasetName;
  /** Its table in schema `vcc`. */
  readonly table: string;
  /** The document's Chinese name of the interface's data. */
  readonly title: string;
  /** What the table holds, in English, for the comment in the database. */
  readonly comment: string;
  /** Path below the platform's base URL. */
  readonly path: string;
  /** The interface's own code, which heads a `seq` (P2). */
  readonly interfaceCode: string;
  /** Name of the column that, with `org_code`, identifies a row. */
  readonly key: string;
  /** Columns in the document's order, `org_code` among them. */
  readonly columns: readonly Column[];
}

/** Whether a text names a dataset. */
export function isDatasetName(text: string): text is DatasetName {
  return (DATASET_NAMES as readonly string[]).includes(text);
}

/** A code of an organisation as the platform writes it. */
export const ORG_CODE = /^[A-Za-z0-9_-]{1,20}$/;
