import type { PoolClient } from 'pg';
import type { Dataset } from '../core/dataset.ts';
import type { Header } from '../core/table/header.ts';
import type { Row } from '../core/table/row.ts';
import type { Merged } from '../sync/ports.ts';
import { type Duplicates, NO_DUPLICATES, removeDuplicates } from './duplicates.ts';
import { type MergePlan, mergeRows, type Outcome, planFor } from './load-window.ts';
import { sentRows } from './row-source.ts';
import { type Staged, stageHeld, stageRows } from './stage-rows.ts';
import { MANY_ROWS, STAGING } from './staging.ts';
import { pullBack, type StraightPlan } from './straight.ts';

/** A table's rows on their way: held, staged, or straight in their place; no two have the same key. */
export interface Intake {
  readonly header: Header;
  readonly staged: Staged;
  /** Of the rows that went straight: how many were pulled back and staged. */
  readonly back: number;
  readonly out: Duplicates;
}

/**
 * Takes a table's rows in, and its duplicates out.
 *
 * @param straight how first rows may go straight to their place; null: they may not
 */
export async function takeIn(
  client: PoolClient,
  dataset: Dataset,
  header: Header,
  batches: AsyncIterable<readonly Row[]>,
  straight: StraightPlan | null,
): Promise<Intake> {
  const staged = await stageRows(client, dataset, header, batches, straight);
  const { repeats, straight: gone } = staged;
  const back = gone ? await pullBack(client, dataset, straight!, gone, repeats) : 0;
  await planFor(client, dataset, staged.rows + (gone?.rows ?? 0));
  // To tell how wide the rows are and that their keys differ, a few thousand of them are enough.
  const analyse = `set local default_statistics_target = 10; analyze ${STAGING}`;
  if (staged.rows + back >= MANY_ROWS) await client.query(analyse);
  const intake = { header, staged, back, out: NO_DUPLICATES };
  if (repeats.length === 0) return intake;
  const all = await stageAll(client, dataset, intake);
  return { ...all, out: await removeDuplicates(client, dataset, header, repeats) };
}

/** Stages rows that are held, for whatever asks the staging table. */
export async function stageAll(
  client: PoolClient,
  dataset: Dataset,
  intake: Intake,
): Promise<Intake> {
  const { header, staged } = intake;
  if (staged.held === null) return intake;
  await stageHeld(client, dataset, header, staged.held);
  return { ...intake, staged: { ...staged, held: null } };
}

/** Merges what was taken in, wherever it lies; counts rows that went straight as inserted. */
export async function mergeIntake(
  client: PoolClient,
  dataset: Dataset,
  { header, staged, back, out }: Intake,
  plan: Omit<MergePlan, 'rows' | 'ascending'>,
): Promise<Outcome> {
  const { held, straight, ascending } = staged;
  const rows = staged.rows + back - out.duplicate;
  const source = held ? sentRows(dataset, header, held) : undefined;
  const own = { ...plan, rows, ascending: ascending && back === 0 };
  const { inserted, ...counts } = await mergeRows(client, dataset, header, own, source);
  return { ...counts, inserted: inserted + (straight?.rows ?? 0) - back };
}

/** What a merge did, or would do, with all that was taken in. */
export function mergedOf({ staged, out }: Intake, counts: Outcome): Merged {
  const { duplicate, superseded } = out;
  return { counts: { ...counts, duplicate }, flagged: staged.flagged - out.flagged, superseded };
}
