import { setTimeout as sleep } from 'node:timers/promises';
import { readSettings, SERVICE_SETTINGS } from '../config.ts';
import { describeError } from '../core/errors.ts';
import { normalise } from '../core/interval.ts';
import type { Json } from '../core/record.ts';
import { type Proof, proofOf, SHOWN_SHARE, sampleSize } from '../core/sample.ts';
import {
  type ComparisonRow,
  comparisonRecord,
  listComparisons,
} from '../store/comparison-ledger.ts';
import { openRequestStore } from '../store/requests.ts';
import { openSamples } from '../store/samples.ts';
import { reconcileSubscribers, type SubscribersOutcome } from '../sync/reconcile-subscribers.ts';
import { requestedBy } from './arguments.ts';
import { printComparisons, recordResyncs } from './comparison-report.ts';
import type { ExitCode } from './failure.ts';
import { type Foreground, inForeground, showProgress } from './foreground.ts';
import { count, duration, processOutput as out } from './output.ts';

/** An organisation whose subscribers are compared with the platform's. */
export interface OrgOptions {
  readonly org: string;
  /** How many to draw; undefined: as many as show 1.5 % of wrong ones with the confidence wanted. */
  readonly sample: number | undefined;
  /** In percent. */
  readonly confidence: number;
  readonly afresh: boolean;
  readonly resync: boolean;
  readonly reason: string | null;
  readonly json: boolean | undefined;
}

/** Compares an organisation's subscribers with the platform's and prints what that proves. */
export function reconcileOrg(options: OrgOptions): Promise<void> {
  const settings = readSettings(process.env, SERVICE_SETTINGS);
  return inForeground(settings, (foreground) => compare(foreground, options));
}

async function compare(
  { world, signal }: Foreground,
  { org: orgCode, afresh, resync, reason, json, ...options }: OrgOptions,
): Promise<ExitCode> {
  const { db } = world.store;
  const requests = openRequestStore(db);
  const confidence = options.confidence / 100;
  const sample = options.sample ?? roundUp(sampleSize(SHOWN_SHARE, confidence));
  const wish = { orgCode, sample, afresh, reason, requestedBy: requestedBy() };
  const outcome = await reconcileSubscribers(
    { sync: world.sync, source: world.client, requests, samples: openSamples(db), wait },
    wish,
    ({ listed, asked }) => showProgress(`${count(listed)} listed, ${count(asked)} asked for`),
    signal,
  ).finally(() => showProgress(''));
  const [row] = await listComparisons(db, { requestId: outcome.requestId });
  const proofs = proofsOf(row!, outcome, confidence);
  if (json) {
    out.line(
      JSON.stringify([{ ...comparisonRecord(row!), proofs: proofRecords(proofs) }], null, 2),
    );
  } else {
    printComparisons([row!], { json, out });
    out.line('');
    for (const line of verdict(row!, proofs, options.confidence)) out.line(line);
  }
  noteOutcome(outcome, sample);
  if (resync) {
    const intervals = normalise(row!.findings.flatMap(({ during }) => during ?? []));
    const why = `reconciliation ${outcome.requestId} found differences`;
    await recordResyncs(
      { requests, out },
      { orgCode, dataset: 'subscribers', intervals, reason: why },
    );
  }
  return 0;
}

/** Waits, and says for how long. */
function wait(ms: number, signal: AbortSignal): Promise<void> {
  showProgress(`waiting ${duration(ms)} before what differs is looked at again`);
  return sleep(ms, undefined, { signal });
}

function roundUp(size: number): number {
  return Math.ceil(size / 10) * 10;
}

/** What was found of each kind, and what that proves; null where it proves nothing of the rest. */
type Proofs = Readonly<Record<'missing' | 'changed' | 'extra', Proof | null>>;

function proofsOf(
  { missing, changed, extra, compared, ownRows }: ComparisonRow,
  { listed, asked, isWhole, isDrawn, isOwnWhole }: SubscribersOutcome,
  confidence: number,
): Proofs {
  return {
    missing: isWhole || isDrawn ? proofOf(missing, listed, isWhole, confidence) : null,
    changed:
      isWhole || isDrawn || listed === 0
        ? proofOf(changed, compared, isWhole && isOwnWhole, confidence)
        : null,
    // With those that were asked for, all rows that were on the platform's list are known to be there.
    extra: proofOf(extra ?? 0, isOwnWhole ? (ownRows ?? 0) : asked, isOwnWhole, confidence),
  };
}

function proofRecords(proofs: Proofs): Json {
  return Object.entries(proofs).map(([kind, proof]) => ({
    kind,
    drawn: proof?.drawn ?? 0,
    wrong: proof?.wrong ?? 0,
    whole: proof?.isWhole ?? false,
    share_at_most: proof?.atMost ?? null,
  }));
}

const SUBJECTS: Readonly<Record<keyof Proofs, string>> = {
  missing: "subscribers of the platform's list",
  changed: 'subscribers compared',
  extra: 'rows here that were not on its list',
};

function verdict(row: ComparisonRow, proofs: Proofs, confidence: number): string[] {
  const { sourceRows, ownRows } = row;
  const counts =
    sourceRows === null
      ? `${count(ownRows ?? 0)} subscribers are here; the platform does not tell its number`
      : `the platform counts ${count(sourceRows)} subscribers; ${count(ownRows ?? 0)} are here`;
  const kinds = Object.keys(proofs) as (keyof Proofs)[];
  return [
    counts,
    ...kinds.map((kind) => {
      const proof = proofs[kind];
      if (proof === null)
        return `${kind}: ${count(row[kind] ?? 0)}, which proves nothing of the rest`;
      const { wrong, drawn, isWhole, atMost } = proof;
      const found = `${kind}: ${count(wrong)} of ${isWhole ? 'all ' : ''}${count(drawn)} ${isWhole && kind === 'extra' ? 'rows here' : SUBJECTS[kind]}`;
      if (isWhole) return found;
      const share = percent.format(atMost);
      return `${found}; with ${confidence} % confidence no more than ${share} of all are`;
    }),
  ];
}

const percent = new Intl.NumberFormat('en', { style: 'percent', maximumSignificantDigits: 3 });

/** What the numbers rest on. */
function noteOutcome(outcome: SubscribersOutcome, wanted: number): void {
  const { resumed, requestId, listRefused, isConfirmed, hasBaseline } = outcome;
  if (resumed) out.note(`went on with reconciliation ${requestId}, which was unfinished`);
  if (outcome.sample !== wanted) {
    out.note(
      `it draws ${count(outcome.sample)} as it began, not ${count(wanted)}: --afresh begins anew`,
    );
  }
  if (listRefused) {
    out.note(
      `the platform's list can not be had, so nothing missing is found: ${describeError(listRefused)}`,
    );
  }
  if (!hasBaseline) {
    out.note(
      'no full extract was imported: subscribers that had not changed since this feed began are missing here by nature',
    );
  }
  if (!isConfirmed) {
    out.note(
      'what differs was not looked at again, since the feed is stopped or fails, or too much differs: some may just have changed',
    );
  }
}
