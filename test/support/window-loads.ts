import { afterEach, beforeEach, expect } from 'vitest';
import { MINUTE } from '../../src/core/china-time.ts';
import type { Dataset } from '../../src/core/dataset.ts';
import type { Receipt } from '../../src/core/receipt.ts';
import { type Header, readHeader } from '../../src/core/table/header.ts';
import type { Row } from '../../src/core/table/row.ts';
import { CATALOGUE, DATASETS } from '../../src/datasets/catalogue.ts';
import { Store } from '../../src/store/store.ts';
import type { FeedClaim, Merged, MergeOptions } from '../../src/sync/ports.ts';
import { type TestDatabase, useDatabase } from './database.ts';

/** The organisation whose feeds are loaded. */
export const ORG = 'WJ0105';

/** Where windows end that are told no other end, in milliseconds. */
export const T0 = Date.UTC(2026, 9, 20);

const never = new AbortController().signal;
const { subscribers } = CATALOGUE;

/** A row's columns by name. */
export type Values = Readonly<Record<string, string | null>>;

/** The document's header, without some columns. */
export function headerOf(dataset: Dataset, lacking: readonly string[] = []): Header {
  const columns = dataset.columns.filter(({ name }) => !lacking.includes(name));
  return readHeader(
    columns.map(({ header }) => header),
    dataset,
  );
}

/** Lines of a table: columns that are not given are null, `org_code` is ours unless given. */
export function lines(dataset: Dataset, rows: readonly Values[], from = 2): Row[] {
  return rows.map((row, index) => {
    const values = dataset.columns.map(({ name }) =>
      name === 'org_code' ? (row.org_code ?? ORG) : (row[name] ?? null),
    );
    const text = values.some((value) => /[|\n]/.test(value ?? '')) ? null : values.join('|');
    const key = row[dataset.key] ?? '';
    return {
      lineNo: from + index,
      key,
      orgCode: row.org_code ?? ORG,
      values,
      flags: null,
      extra: null,
      text,
    };
  });
}

/** Rows as they come. */
export async function* batches(rows: readonly Row[], size = 300): AsyncGenerator<readonly Row[]> {
  for (let start = 0; start < rows.length; start += size) yield rows.slice(start, start + size);
}

/** How rows are loaded. */
export interface Load {
  readonly dataset?: Dataset;
  readonly header?: Header;
  readonly through?: number;
  readonly force?: boolean;
  readonly signal?: AbortSignal;
  /** Whether a preview is to foresee what happens. */
  readonly foresee?: boolean;
}

/** A row as it lies in its table. */
export interface Stored {
  readonly key: string;
  readonly content: Values;
  readonly changed_at: Date;
  readonly synced_through: Date;
  readonly run_id: number;
}

/** What loads windows into the feeds of an organisation, all empty before each test. */
export interface WindowLoads {
  readonly database: TestDatabase;
  readonly store: Store;
  query<R extends object>(text: string, values?: unknown[]): Promise<R[]>;
  /** The feed of a dataset. */
  feedOf(dataset: Dataset): number;
  /** Claims a feed, and begins a run of the minute that ends at `through`. */
  claimFor(dataset: Dataset, through: number, signal?: AbortSignal): Promise<FeedClaim>;
  /** Loads rows as one window that ends at `through`, and answers what was counted. */
  load(
    rows: AsyncIterable<readonly Row[]> | readonly Row[],
    how?: Load,
  ): Promise<Merged & { receipt: Receipt }>;
  /** The rows of a dataset, by their keys. */
  stored(dataset?: Dataset): Promise<Map<string, Stored>>;
  /** Opens the store anew, as another process would. */
  reopen(): Promise<void>;
}

/** Gives each test of a file empty feeds to load windows into, on a database of the file's own. */
export function useWindowLoads(): WindowLoads {
  const database = useDatabase();
  let store: Store;
  const feeds = new Map<string, number>();

  // One connection for runs: what one leaves behind, the next one meets.
  const open = () => new Store(database.url, { runs: 1 });

  beforeEach(async () => {
    store = open();
    await query(`truncate vcc.address, vcc.supply_point, vcc.subscriber, vcc.meter, vcc.reject,
      vcc.run, vcc.request, vcc.feed, vcc.org restart identity cascade`);
    await query('insert into vcc.org (org_code) values ($1)', [ORG]);
    const rows = await query<{ id: number; dataset: string }>(
      'insert into vcc.feed (org_code, dataset) select $1, unnest($2::text[]) returning id, dataset',
      [ORG, DATASETS.map(({ name }) => name)],
    );
    for (const { id, dataset } of rows) feeds.set(dataset, id);
  });
  afterEach(async () => {
    await store.close();
  });

  async function query<R extends object>(text: string, values: unknown[] = []): Promise<R[]> {
    return (await database.pool.query<R>(text, values)).rows;
  }

  async function claimFor(dataset: Dataset, through: number, signal = never): Promise<FeedClaim> {
    const claim = (await store.feeds.claim(feeds.get(dataset.name)!, signal))!;
    const window = { from: through - MINUTE, to: through };
    try {
      await claim.start({ trigger: 'schedule', requestId: null, window, requested: window });
    } catch (error) {
      await claim.release();
      throw error;
    }
    return claim;
  }

  /** What a preview says of rows. */
  async function preview(
    rows: AsyncIterable<readonly Row[]>,
    dataset: Dataset,
    header: Header,
    options: MergeOptions,
  ): Promise<Merged> {
    const staging = await store.feeds.preview(feeds.get(dataset.name)!, never);
    if (typeof staging === 'string') throw new Error(staging);
    try {
      await staging.stage(header, rows);
      return await staging.classify(options);
    } finally {
      await staging.release();
    }
  }

  /** Loads rows as one window that ends at `through`, and answers what was counted. */
  async function load(
    rows: AsyncIterable<readonly Row[]> | readonly Row[],
    {
      dataset = subscribers,
      header = headerOf(dataset),
      through = T0,
      force = false,
      signal,
      foresee = true,
    }: Load = {},
  ): Promise<Merged & { receipt: Receipt }> {
    const options = { from: through - MINUTE, syncedThrough: through, force };
    const again = () => (Array.isArray(rows) ? batches(rows) : (rows as AsyncIterable<Row[]>));
    const foreseen =
      foresee && Array.isArray(rows) && (await preview(again(), dataset, header, options));
    const claim = await claimFor(dataset, through, signal);
    try {
      await claim.stage(header, again(), options);
      const merged = await claim.merge(options);
      if (foreseen) expect(merged).toEqual(foreseen);
      const { inserted, updated, unchanged, stale, duplicate } = merged.counts;
      const accepted = inserted + updated + unchanged + stale + duplicate;
      const receipt = {
        ...merged.counts,
        accepted,
        lines: accepted,
        rejected: 0,
        flagged: merged.flagged,
      };
      await claim.commit({
        window: { from: through - MINUTE, to: through },
        receipt,
        facts: { seq: null, httpStatus: 200, bytes: 0, sha256: null, clockSkew: null },
        rejects: merged.superseded,
        seen: [],
        since: through - MINUTE,
        nextDueAt: through,
        noticeDueAt: through,
        finishedRequests: [],
        deep: null,
        missed: 0,
      });
      return { ...merged, receipt };
    } catch (error) {
      await claim.release();
      throw error;
    }
  }

  async function stored(dataset: Dataset = subscribers): Promise<Map<string, Stored>> {
    const rows = await query<Stored>(
      `select ${dataset.key} as key, changed_at, synced_through, run_id, jsonb_build_object(${dataset.columns
        .map(({ name }) => `'${name}', ${name}`)
        .join(', ')}) as content
      from vcc.${dataset.table} order by ${dataset.key}`,
    );
    return new Map(rows.map((row) => [row.key, row]));
  }

  return {
    database,
    get store() {
      return store;
    },
    query,
    feedOf: (dataset) => feeds.get(dataset.name)!,
    claimFor,
    load,
    stored,
    async reopen() {
      await store.close();
      store = open();
    },
  };
}
