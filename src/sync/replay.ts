import type { FeedName } from '../core/dataset.ts';
import { FatalError, type SyncError, toSyncError } from '../core/errors.ts';
import { EMPTY_RECEIPT, type Receipt } from '../core/receipt.ts';
import { documentHeader } from '../core/table/header.ts';
import { hashLine } from '../core/table/table-reader.ts';
import { CATALOGUE } from '../datasets/catalogue.ts';
import { type ClaimOptions, claimFeed } from './feed-claim.ts';
import { type LoadWorld, loadTable } from './load.ts';
import type { FeedClaim, OpenReject, RejectStore, ReplayFilter } from './ports.ts';
import { LineTable } from './replay-table.ts';

/** What a replay needs of the world: all but the platform. */
export interface ReplayWorld extends LoadWorld {
  readonly rejects: RejectStore;
}

/** Refused lines that somebody wants loaded after all. */
export interface ReplayWish {
  readonly filter: ReplayFilter;
  /** Repaired lines by id, null for one without text; null: the stored lines as they are. */
  readonly repairs: ReadonlyMap<number, string | null> | null;
  readonly reason: string | null;
  readonly requestedBy: string;
}

/** Why a line was left: its text is gone, or was altered when it was stored, and nobody repaired it. */
export type LeftReason = 'text gone' | 'text altered';

/** What became of one feed's refused lines. */
export interface ReplayedFeed extends FeedName {
  readonly runs: readonly number[];
  /** All runs together. */
  readonly receipt: Receipt;
  /** Lines that were refused again, by reason; they stay open. */
  readonly refused: Readonly<Record<string, number>>;
  readonly left: Readonly<Record<string, number>>;
  /** Why the rest of the feed's lines could not be loaded; null if all were. */
  readonly error: SyncError | null;
}

/** Lines that one run can load: of one feed, one header and one window's end. */
type Group = readonly [OpenReject, ...OpenReject[]];

/**
 * Loads refused lines after all: each read by its own header, and no newer than the window that
 * delivered it; one run for each header and window's end. Those that go in are resolved in the same
 * commit, those that are refused again stay open.
 *
 * A line whose stored text is not the line itself is left, unless it comes repaired.
 *
 * @throws FatalError CONFIG, with nothing recorded, for repairs of lines that are not open
 */
export async function replayRejects(
  world: ReplayWorld,
  wish: ReplayWish,
  options: { readonly onBusy?: (feed: FeedName) => void },
  signal: AbortSignal,
): Promise<ReplayedFeed[]> {
  const open = await world.rejects.open(wish.filter);
  if (wish.repairs) checkRepairs(wish.repairs, open);
  const wanted = open.filter(({ id }) => wish.repairs?.has(id) ?? true);
  const results: ReplayedFeed[] = [];
  for (const rejects of groupBy(wanted, ({ feedId }) => String(feedId))) {
    const { dataset, orgCode } = rejects[0];
    const onBusy = () => options.onBusy?.({ dataset, orgCode });
    results.push(await replayFeed(world, wish, rejects, { onBusy }, signal));
  }
  return results;
}

/** Most ids that an error lists. */
const LISTED = 20;

function checkRepairs(
  repairs: NonNullable<ReplayWish['repairs']>,
  open: readonly OpenReject[],
): void {
  const known = new Set(open.map(({ id }) => id));
  const unknown = [...repairs.keys()].filter((id) => !known.has(id));
  if (unknown.length === 0) return;
  const more = unknown.length > LISTED ? ` and ${unknown.length - LISTED} more` : '';
  throw new FatalError(
    'CONFIG',
    `these ids are of no unresolved reject that was asked for: ${unknown.slice(0, LISTED).join(', ')}${more}; take them out of the file`,
  );
}

/** Groups in the order in which they first appear. */
function groupBy(rejects: readonly OpenReject[], key: (reject: OpenReject) => string): Group[] {
  const groups = new Map<string, [OpenReject, ...OpenReject[]]>();
  for (const reject of rejects) {
    const group = groups.get(key(reject));
    if (group) group.push(reject);
    else groups.set(key(reject), [reject]);
  }
  return [...groups.values()];
}

async function replayFeed(
  world: ReplayWorld,
  wish: ReplayWish,
  rejects: Group,
  busy: Pick<ClaimOptions, 'onBusy'>,
  signal: AbortSignal,
): Promise<ReplayedFeed> {
  const { dataset, orgCode, feedId } = rejects[0];
  const left = new Counts();
  const refused = new Counts();
  const runs: number[] = [];
  let receipt = EMPTY_RECEIPT;
  let error: SyncError | null = null;
  const fit = rejects.filter((reject) => {
    const why = whyLeft(reject, wish.repairs);
    if (why) left.add(why);
    return why === null;
  });
  // Older ones first: what a newer window delivered wins in the end.
  const sorted = [...fit].sort((a, b) => a.windowTo - b.windowTo || a.id - b.id);
  try {
    for (const group of groupBy(sorted, (one) => `${one.windowTo} ${one.header ?? ''}`)) {
      const claim = (await claimFeed(world, feedId, { wait: true, ...busy }, signal))!;
      const done = await replayGroup(world, wish, claim, group).finally(() => claim.release());
      if (done === null) continue;
      runs.push(done.runId);
      receipt = sum(receipt, done.receipt);
      for (const reason of done.refused) refused.add(reason);
    }
  } catch (cause) {
    error = toSyncError(cause);
  }
  return { dataset, orgCode, runs, receipt, refused: refused.all, left: left.all, error };
}

/** Why a line can not be replayed; null if it can. */
function whyLeft(
  { id, hash, textHash }: OpenReject,
  repairs: ReplayWish['repairs'],
): LeftReason | null {
  const repaired = repairs?.get(id);
  const given = repaired == null ? textHash : hashLine(repaired);
  if (given === null || repaired === null) return 'text gone';
  // NULs, invalid bytes, an end cut off: the text that stands there is not what was delivered.
  return given === textHash && textHash !== hash ? 'text altered' : null;
}

/** Loads the lines of a group that are still open; null if there are none any more. */
async function replayGroup(
  world: ReplayWorld,
  { repairs, reason, requestedBy }: ReplayWish,
  claim: FeedClaim,
  group: Group,
): Promise<{ runId: number; receipt: Receipt; refused: readonly string[] } | null> {
  const { windowTo, header, dataset } = group[0];
  // Nobody else resolves them from here on.
  const texts = await world.rejects.texts(group.map(({ id }) => id));
  const lines = group.flatMap(({ id }) => {
    const line = texts.has(id) ? (repairs?.get(id) ?? texts.get(id)) : null;
    return line == null ? [] : [{ id, line }];
  });
  if (lines.length === 0) return null;
  const window = { from: windowTo, to: windowTo };
  const table = new LineTable(header ?? documentHeader(CATALOGUE[dataset]), lines);
  return loadTable(world, claim, {
    run: {
      trigger: 'import',
      requestId: null,
      own: { kind: 'replay', during: null, maxRejects: null, reason, requestedBy },
      window,
      requested: null,
    },
    open: async () => table.bytes,
    read: (_, options) => table.read(options),
    // The lines that are refused again are on record already.
    keepsRejects: false,
    maxRejects: 100,
    // Where the window that delivered them began is not on record for ever.
    merging: () => ({ from: windowTo, syncedThrough: windowTo, coveredTo: windowTo, force: false }),
    async commit({ runId, coveredTo: _, ...loaded }) {
      const gain = { covers: null, since: null, baselineAt: null, comparison: null };
      await claim.commitImport({ ...loaded, ...gain, window, resolved: table.accepted });
      const { receipt } = loaded;
      const { orgCode: org } = claim.feed;
      world.log.info({ dataset, org, run: runId, ...receipt }, 'rejects replayed');
      return { runId, receipt, refused: table.refused };
    },
    afterFailure: () => ({ nextDueAt: null, counts: false }),
  });
}

function sum(a: Receipt, b: Receipt): Receipt {
  const names = Object.keys(a) as (keyof Receipt)[];
  return Object.fromEntries(names.map((name) => [name, a[name] + b[name]])) as unknown as Receipt;
}

/** Counts by name. */
class Counts {
  readonly all: Record<string, number> = {};

  add(name: string): void {
    this.all[name] = (this.all[name] ?? 0) + 1;
  }
}
