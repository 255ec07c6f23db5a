import type { DatasetName } from '../core/dataset.ts';
import { listComparisons } from '../store/comparison-ledger.ts';
import { openComparisons } from '../store/comparisons.ts';
import { reconcileExtract } from '../sync/reconcile-extract.ts';
import { run, type Surroundings } from './action.ts';
import { requestedBy } from './arguments.ts';
import { BRINGING_SETTINGS } from './bringing.ts';
import { openBroughtFile } from './brought-file.ts';
import { printComparisons } from './comparison-report.ts';
import type { ExitCode } from './failure.ts';
import { count } from './output.ts';

/** A full extract to compare a feed with. */
export interface FileOptions {
  readonly file: string;
  readonly org: string;
  readonly dataset: DatasetName;
  readonly asOf: number;
  readonly repair: boolean;
  readonly maxRejects: number | null;
  readonly maxAbsent: number | null;
  readonly reason: string | null;
  readonly json: boolean | undefined;
}

/** Compares a full extract with its table and prints what differs; repairs it on request. */
export const reconcileFile = run(BRINGING_SETTINGS, compare);

async function compare(
  surroundings: Surroundings<(typeof BRINGING_SETTINGS)[number]>,
  options: FileOptions,
): Promise<ExitCode> {
  const { out } = surroundings;
  const { file: path, org: orgCode, dataset, repair, maxAbsent, json } = options;
  const brought = await openBroughtFile(surroundings, path, { dataset, orgCode });
  const { store, world, signal } = brought;
  const { asOf, maxRejects, reason } = options;
  const outcome = await brought.read((file) =>
    reconcileExtract(
      { ...world, comparisons: openComparisons(store.db) },
      {
        orgCode,
        dataset,
        asOf,
        maxRejects,
        reason,
        requestedBy: requestedBy(),
        repair: repair ? { maxPercent: maxAbsent } : null,
      },
      file,
      signal,
    ),
  );
  const { repaired, requestId, comparison, rejected } = outcome;
  const which = repaired ? { runId: repaired.runId } : { requestId: requestId! };
  printComparisons(await listComparisons(store.db, which), { json, out });
  if (rejected > 0) out.note(`${count(rejected)} lines were refused and passed over`);
  if (comparison.extra === null) {
    out.note('so it can not be told which rows the extract lacks: repair those lines first');
  }
  if (repaired) {
    const marked = comparison.extra === null ? 'none' : count(comparison.extra);
    out.note(
      `repaired by run ${repaired.runId}: ${count(repaired.receipt.inserted)} inserted, ` +
        `${count(repaired.receipt.updated)} updated, ${marked} marked absent`,
    );
  }
  // What was asked for was not done in full.
  return repair && comparison.extra === null ? 1 : 0;
}
