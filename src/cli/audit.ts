import type { Command } from 'commander';
import { readSettings, SERVICE_SETTINGS, type Settings } from '../config.ts';
import { overlapNeeded } from '../core/audit.ts';
import type { DatasetName } from '../core/dataset.ts';
import { describeError } from '../core/errors.ts';
import { normalise } from '../core/interval.ts';
import { seconds } from '../core/record.ts';
import { openAudits } from '../store/audits.ts';
import {
  type ComparisonRow,
  comparisonRecord,
  type FindingRow,
  listComparisons,
} from '../store/comparison-ledger.ts';
import { openRequestStore } from '../store/requests.ts';
import { type AuditedWindow, auditFeed } from '../sync/audit.ts';
import { subjectOf } from '../sync/sync-window.ts';
import { readDataset, readLimit, readOrgCode, requestedBy } from './arguments.ts';
import { printComparisons, recordResyncs } from './comparison-report.ts';
import type { ExitCode } from './failure.ts';
import { type Foreground, inForeground, showProgress } from './foreground.ts';
import { count, duration, processOutput as out } from './output.ts';

interface AuditOptions {
  readonly org: string;
  readonly dataset: DatasetName;
  readonly windows?: number;
  readonly afresh?: boolean;
  readonly resync?: boolean;
  readonly reason?: string;
  readonly json?: boolean;
}

/** Adds `audit`: reads the past month again and says what had been missed. */
export function registerAudit(program: Command): void {
  program
    .command('audit')
    .description('read the past month again, and say what had been missed and how late it was')
    .requiredOption('--org <code>', 'organisation', readOrgCode)
    .requiredOption('--dataset <name>', 'dataset', readDataset)
    .option(
      '--windows <count>',
      'read so many days of it, spread evenly, instead of all',
      readLimit,
    )
    .option('--afresh', 'begin anew, where one that was interrupted would be gone on with')
    .option('--resync', 'request that the days with differences are loaded again')
    .option('--reason <text>', 'why, for the record')
    .option('--json', 'print a JSON array')
    .addHelpText(
      'after',
      [
        '\nEach day is downloaded and compared; the tables are not touched. Days that were read stay so: an',
        'audit that was interrupted, or met a platform that was away, goes on when it is called again.',
      ].join('\n'),
    )
    .action((options: AuditOptions) => {
      const settings = readSettings(process.env, SERVICE_SETTINGS);
      return inForeground(settings, (foreground) => audit(foreground, settings, options));
    });
}

async function audit(
  { world, signal }: Foreground,
  settings: Settings,
  {
    org: orgCode,
    dataset,
    windows,
    afresh = false,
    resync = false,
    json,
    ...options
  }: AuditOptions,
): Promise<ExitCode> {
  const { db } = world.store;
  const requests = openRequestStore(db);
  const reason = options.reason?.trim() || null;
  const wish = {
    orgCode,
    dataset,
    windows: windows ?? null,
    afresh,
    reason,
    requestedBy: requestedBy(),
  };
  const failed: AuditedWindow[] = [];
  const outcome = await auditFeed(
    { sync: world.sync, requests, audits: openAudits(db) },
    wish,
    (window, { done, all }) => {
      if (window.error) failed.push(window);
      showProgress(`${done} of ${all} windows`);
    },
    signal,
  ).finally(() => showProgress(''));
  const rows = await listComparisons(db, { requestId: outcome.requestId });
  const record = (row: ComparisonRow) => ({
    ...comparisonRecord(row),
    overlap_needed: seconds(overlapNeeded(row.findings, settings.SYNC_SETTLE)?.least ?? null),
  });
  printComparisons(rows, { json, out, record });
  if (outcome.resumed) {
    out.note(
      `went on with audit ${outcome.requestId}, which was unfinished, with its ${count(rows.length)} windows: --afresh begins anew`,
    );
  }
  if (outcome.closed !== null && rows.length < outcome.closed) {
    out.note(
      `${count(rows.length)} of ${count(outcome.closed)} windows were chosen, spread evenly`,
    );
  }
  for (const { error, during } of failed) {
    out.note(describeError(error!, subjectOf({ dataset, orgCode }, during)));
  }
  noteMissed(rows, settings);
  if (resync) {
    const wrong = rows.filter((row) => row.missing + row.changed > 0);
    const intervals = normalise(wrong.map(({ during }) => during!));
    const why = `audit ${outcome.requestId} found differences`;
    await recordResyncs({ requests, out }, { orgCode, dataset, intervals, reason: why });
  }
  const refused = rows.filter(({ errorCode }) => errorCode !== null).length;
  if (refused > 0) {
    out.note(`of ${count(refused)} windows the answer can not be read: they were not compared`);
  }
  if (!outcome.isDone) out.note('not all windows could be read; call it again to go on');
  return outcome.isDone && refused === 0 ? 0 : 1;
}

/** What the findings say of the overlap. */
function noteMissed(rows: readonly ComparisonRow[], settings: Settings): void {
  const read = rows.filter(
    ({ finishedAt, errorCode }) => finishedAt !== null && errorCode === null,
  );
  const missed = read.reduce((sum, { missing, changed }) => sum + missing + changed, 0);
  if (missed === 0) {
    out.note(`nothing had been missed in the ${count(read.length)} windows that were read`);
    return;
  }
  const findings = read.flatMap((row) => row.findings);
  const worst = findings.reduce((most, { late }) => Math.max(most, late ?? 0), 0);
  out.note(`${count(missed)} rows had been missed, the latest by more than ${duration(worst)}`);
  out.note(overlapAdvice(findings, settings));
}

/** What findings say of the overlap, for people. */
export function overlapAdvice(
  findings: readonly Pick<FindingRow, 'during' | 'late'>[],
  { SYNC_SETTLE: settle, SYNC_OVERLAP: overlap }: Pick<Settings, 'SYNC_SETTLE' | 'SYNC_OVERLAP'>,
): string {
  const needed = overlapNeeded(findings, settle);
  if (!needed) return 'when it came is not known more closely: no run on record asked for it later';
  const { least, closeness } = needed;
  const more = ` (or up to ${duration(closeness)} more: when it changed is known no closer)`;
  return `only a SYNC_OVERLAP of more than ${duration(least)}${least > overlap ? '' : more} could have caught it; it is ${duration(overlap)}`;
}
