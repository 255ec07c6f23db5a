import { compareExtract } from './extract.ts';
import {
  type AbsentWish,
  checkImport,
  type ImportOptions,
  type ImportOutcome,
  type ImportWish,
  type ImportWorld,
  importTable,
} from './import.ts';
import { checkRejects } from './load.ts';
import type { Comparison, ComparisonRequest, TableBytes } from './ports.ts';
import { lookInto, stageTable } from './staged-table.ts';
import { Tally } from './tally.ts';

/** A full extract that the table is to be compared with, and whether what differs is repaired. */
export interface ExtractWish extends Omit<ImportWish, 'span' | 'absent'> {
  /** Time as of which it was made, in milliseconds. */
  readonly asOf: number;
  /** What becomes of absent rows when the table is repaired; null: nothing is repaired. */
  readonly repair: AbsentWish | null;
}

/** Where comparisons are written down. */
export interface ComparisonRecorder {
  /** Records a comparison that has ended, and who wanted it; answers the request's id. */
  record(request: ComparisonRequest, comparison: Comparison): Promise<number>;
}

/** What comparing an extract needs of the world: all but the platform. */
export interface ExtractWorld extends ImportWorld {
  readonly comparisons: ComparisonRecorder;
}

/** What a comparison with an extract has found. */
export interface ExtractOutcome {
  readonly comparison: Comparison;
  /** Refused lines that were passed over. */
  readonly rejected: number;
  /** The run that repaired it; null if nothing was to be repaired. */
  readonly repaired: ImportOutcome | null;
  /** The request under which it is on record; null: that of the run. */
  readonly requestId: number | null;
}

/**
 * Compares a full extract with its table, and on request repairs what differs: missing and changed
 * rows are loaded as by an import of a full extract, and rows that it lacks are marked absent, all in one
 * transaction. Rows that are newer than the extract are left alone (design invariant 4).
 *
 * Without a repair, nothing but the findings is written, and runs of the feed go on beside it.
 *
 * @throws FatalError CONFIG, with nothing recorded, if the wish is not in order
 * @throws SyncError why the table could not be compared or repaired
 */
export async function reconcileExtract(
  world: ExtractWorld,
  { repair, asOf, ...wish }: ExtractWish,
  options: ImportOptions,
  signal: AbortSignal,
): Promise<ExtractOutcome> {
  const span = { kind: 'as-of', asOf, full: true } as const;
  if (repair) {
    const repaired = await importTable(world, { ...wish, span, absent: repair }, options, signal);
    const { rejected } = repaired.receipt;
    return { comparison: repaired.comparison!, rejected, repaired, requestId: null };
  }
  const { id } = await checkImport(world, { ...wish, span });
  const table = await options.open();
  const { comparison, rejected } = await lookAt(world, id, { table, asOf, ...wish }, signal);
  const { reason, requestedBy } = wish;
  const requestId = await world.comparisons.record(
    { kind: 'reconcile', feedId: id, during: null, reason, requestedBy },
    comparison,
  );
  const { dataset, orgCode: org } = wish;
  const { findings: _, ...facts } = comparison;
  world.log.info({ dataset, org, ...facts }, 'extract compared');
  return { comparison, rejected, repaired: null, requestId };
}

/** Stages a full extract and compares it, beside the feed's runs. */
function lookAt(
  world: ExtractWorld,
  feedId: number,
  { table, asOf, maxRejects }: Pick<ExtractWish, 'asOf' | 'maxRejects'> & { table: TableBytes },
  signal: AbortSignal,
): Promise<{ comparison: Comparison; rejected: number }> {
  return lookInto(world, feedId, signal, async (staging) => {
    const tally = new Tally(async () => new Set());
    const report = () => world.onProgress?.({ runId: 0, bytes: table.bytes, lines: tally.lines });
    await stageTable(world, staging, table, tally, { report });
    checkRejects(tally, maxRejects);
    const comparison = await compareExtract(staging, asOf, tally.unread);
    return { comparison, rejected: tally.rejected };
  });
}
