import type { DatasetName } from '../core/dataset.ts';
import { FatalError } from '../core/errors.ts';
import {
  checkImportSpan,
  type ImportSpan,
  importCovers,
  importWindow,
  type OwnRequest,
} from '../core/import.ts';
import type { Interval } from '../core/interval.ts';
import type { Receipt } from '../core/receipt.ts';
import type { KnownFeed } from '../core/request.ts';
import { reach, settledUntil, type WindowSettings } from '../core/window.ts';
import { inspectExtract } from './extract.ts';
import { chooseFeeds } from './feed-choice.ts';
import { type ClaimOptions, claimFeed } from './feed-claim.ts';
import { type LoadSettings, type LoadWorld, loadTable } from './load.ts';
import type { Comparison, FeedClaim, TableBytes } from './ports.ts';
import { checkLimit } from './resync.ts';

/** A table got by other means: what it stands for, who brings it and why. */
export interface ImportWish extends Pick<OwnRequest, 'maxRejects' | 'reason' | 'requestedBy'> {
  readonly orgCode: string;
  readonly dataset: DatasetName;
  readonly span: ImportSpan;
  /** What becomes of rows that a full extract lacks; undefined: they are left as they are. */
  readonly absent?: AbsentWish;
}

/** Rows that a full extract lacks are to be marked as absent. */
export interface AbsentWish {
  /** Percent of the rows that it may lack; null: the default. */
  readonly maxPercent: number | null;
}

/** What an import needs of the world: all but the platform. */
export interface ImportWorld extends LoadWorld {
  readonly settings: LoadSettings & Pick<WindowSettings, 'settle'>;
  /** The feeds of an organisation in the document's order; null if it is not known. */
  feedsOf(orgCode: string): Promise<readonly KnownFeed[] | null>;
}

/** What an import is given besides its wish. */
export interface ImportOptions extends Pick<ClaimOptions, 'onBusy'> {
  /** Opens the table; called once the wish has proved to be in order, and before the feed is taken. */
  open(): Promise<TableBytes>;
}

/** A committed import. */
export interface ImportOutcome {
  readonly runId: number;
  readonly feed: KnownFeed & { readonly orgCode: string };
  readonly window: Interval;
  readonly receipt: Receipt;
  /** How extract and table differed before, where absent rows were to be marked; else null. */
  readonly comparison: Comparison | null;
}

/**
 * Loads a table got by other means into its feed, the same way as a downloaded window; waits for a
 * feed that another process holds. Schedule and failures of the feed stay as they are.
 *
 * @throws FatalError CONFIG, with nothing recorded, if the wish is not in order
 * @throws SyncError why the run failed, after it was recorded
 */
export async function importTable(
  world: ImportWorld,
  wish: ImportWish,
  { open, onBusy }: ImportOptions,
  signal: AbortSignal,
): Promise<ImportOutcome> {
  const { orgCode, dataset, span } = wish;
  const feed = await checkImport(world, wish);
  const table = await open();
  // Waiting, it never comes back empty-handed.
  const claim = (await claimFeed(
    world,
    feed.id,
    { wait: true, ...(onBusy && { onBusy }) },
    signal,
  ))!;
  try {
    // Without a platform to ask, Postgres's clock rules too (design invariant 7).
    checkImportSpan(span, settledFor(world, Math.min(world.clock(), claim.databaseNow)));
    const { receipt, ...done } = await loadImport(world, claim, wish, table);
    world.log.info({ dataset, org: orgCode, run: done.runId, ...receipt }, 'file imported');
    return { ...done, receipt, feed: { ...feed, orgCode } };
  } finally {
    await claim.release();
  }
}

/** The end of what may count as past at a time; both in milliseconds. */
function settledFor({ settings }: ImportWorld, at: number): number {
  return settledUntil(at, settings.settle);
}

/**
 * Finds the feed of a wish that is in order.
 *
 * @throws FatalError CONFIG if it is not
 */
export async function checkImport(
  world: ImportWorld,
  wish: Pick<ImportWish, 'orgCode' | 'dataset' | 'span' | 'maxRejects' | 'reason'>,
): Promise<KnownFeed> {
  const { orgCode, dataset, span } = wish;
  checkImportSpan(span, settledFor(world, world.clock()));
  checkLimit(wish);
  const [feed] = chooseFeeds(await world.feedsOf(orgCode), orgCode, [dataset]);
  if (!feed) throw new FatalError('CONFIG', `there is no feed for ${dataset} ${orgCode}`);
  return feed;
}

/** Loads the table into the claimed feed. */
function loadImport(
  world: ImportWorld,
  claim: FeedClaim,
  { span, absent, maxRejects, reason, requestedBy }: ImportWish,
  table: TableBytes,
): Promise<Omit<ImportOutcome, 'feed'>> {
  const window = importWindow(span);
  const covers = importCovers(span);
  let comparison: Comparison | null = null;
  return loadTable(world, claim, {
    run: {
      trigger: 'import',
      requestId: null,
      own: {
        kind: absent ? 'reconcile' : 'import',
        during: covers,
        maxRejects,
        reason,
        requestedBy,
      },
      window,
      requested: null,
    },
    open: async () => table,
    maxRejects,
    ...(absent && {
      async inspect(unread: number) {
        comparison = await inspectExtract(claim, window.to, unread, absent);
      },
    }),
    merging: () => ({
      from: window.from,
      syncedThrough: window.to,
      coveredTo: window.to,
      force: false,
    }),
    async commit({ runId, coveredTo: _, ...loaded }) {
      if (comparison && comparison.extra !== null) await claim.markAbsent(window.to);
      await claim.commitImport({
        ...loaded,
        window,
        covers,
        since: reach(world.clock()),
        baselineAt: span.kind === 'as-of' && span.full ? span.asOf : null,
        resolved: [],
        comparison,
      });
      return { runId, window, receipt: loaded.receipt, comparison };
    },
    afterFailure: () => ({ nextDueAt: null, counts: false }),
  });
}
