import type { Command } from 'commander';
import { DATABASE_SETTINGS } from '../config.ts';
import type { DatasetName } from '../core/dataset.ts';
import { type Interval, span } from '../core/interval.ts';
import { openGapStore } from '../store/gap-acceptance.ts';
import { acceptGaps } from '../sync/gap-acceptance.ts';
import { type DatabaseSurroundings, run } from './action.ts';
import { readDataset, readOrgCode, readTime, requestedBy, TIME_HELP } from './arguments.ts';
import { chinaTime, duration, printRows, range } from './output.ts';

interface AcceptOptions {
  readonly org: string;
  readonly dataset: DatasetName;
  readonly from: number;
  readonly to: number;
  readonly reason: string;
  readonly json?: boolean;
}

/** Adds `gaps accept`: puts up with gaps that can not be had any more. */
export function registerGapsAccept(gaps: Command): void {
  gaps
    .command('accept')
    .description('put up with expired gaps, for the record: they count as complete from then on')
    .requiredOption('--org <code>', 'organisation', readOrgCode)
    .requiredOption('--dataset <name>', 'dataset', readDataset)
    .requiredOption('--from <time>', `where to look for them (${TIME_HELP})`, readTime)
    .requiredOption('--to <time>', 'end of that interval, not included', readTime)
    .requiredOption('--reason <text>', 'why, for the record')
    .option('--json', 'print a JSON array')
    .addHelpText(
      'after',
      [
        '\nOf the interval exactly the expired, unaccepted parts are accepted; covered and open ones stay',
        'as they are. Rows that changed meanwhile stay missing until a file with them is imported.',
      ].join('\n'),
    )
    .action(run(DATABASE_SETTINGS, accept));
}

async function accept(
  { settings, out, openDatabase }: DatabaseSurroundings,
  { org: orgCode, dataset, from, to, reason, json }: AcceptOptions,
): Promise<0> {
  const acceptedBy = requestedBy();
  const { feed, accepted } = await acceptGaps(
    {
      gaps: openGapStore(await openDatabase()),
      clock: Date.now,
      settings: { every: settings.SYNC_EVERY, settle: settings.SYNC_SETTLE },
    },
    { orgCode, dataset, during: { from, to }, reason, acceptedBy },
  );
  const record = (gap: Interval) => ({
    feed_id: feed.id,
    org_code: orgCode,
    dataset,
    during: range(gap),
    reason: reason.trim(),
    accepted_by: acceptedBy,
  });
  if (json) {
    printRows(accepted, { columns: [], record, empty: '' }, { json, out });
    return 0;
  }
  for (const gap of accepted) {
    const length = duration(gap.to - gap.from);
    out.line(
      `accepted: ${dataset} ${orgCode}, ${chinaTime(gap.from)} to ${chinaTime(gap.to)} (China time), ${length}`,
    );
  }
  const rest = to - from - span(accepted);
  if (rest > 0) out.note('the rest of the interval is covered, open or accepted already');
  return 0;
}
