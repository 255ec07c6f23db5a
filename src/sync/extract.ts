import { FatalError } from '../core/errors.ts';
import { tooManyAbsent } from '../core/finding.ts';
import type { Comparison, FeedStaging } from './ports.ts';

/**
 * Compares a staged full extract with the table.
 *
 * What it lacks can be told from what could not be read only if no line was refused: else `extra` is null.
 *
 * @param asOf time as of which it was made, in milliseconds
 * @param unread refused lines whose rows may be those of the organisation
 */
export async function compareExtract(
  staging: FeedStaging,
  asOf: number,
  unread: number,
): Promise<Comparison> {
  const differences = await staging.compare({ from: asOf, asOf, full: true });
  const isTold = unread === 0;
  return {
    ...differences,
    extra: isTold ? differences.extra : null,
    findings: differences.findings.filter(({ kind }) => isTold || kind !== 'extra'),
    kind: 'extract',
    during: null,
    asOf,
    compared: differences.sourceRows,
  };
}

/**
 * Compares a staged full extract with the table before it is loaded and what it lacks is marked absent.
 *
 * @throws FatalError TOO_MANY_ABSENT if it lacks so much that it can hardly be full
 */
export async function inspectExtract(
  staging: FeedStaging,
  asOf: number,
  unread: number,
  { maxPercent }: { readonly maxPercent: number | null },
): Promise<Comparison> {
  const comparison = await compareExtract(staging, asOf, unread);
  const { extra, ownRows } = comparison;
  if (extra !== null && tooManyAbsent(ownRows ?? 0, extra, maxPercent)) {
    throw new FatalError(
      'TOO_MANY_ABSENT',
      `the extract lacks ${extra} of the ${ownRows} rows that are here`,
    );
  }
  return comparison;
}
