import { type DatasetName, isDatasetName } from '../core/dataset.ts';
import { REJECT_REASONS, type RejectReason } from '../core/table/row.ts';
import { feedsOfOrg } from '../store/orgs.ts';
import type { Database } from '../store/pool.ts';
import type { RejectFilter, RejectState } from '../store/reject-ledger.ts';
import type { RejectsWords } from './pages/rejects-words.ts';

/** Which refused lines somebody chose, in the names of form and API; empty: all. */
export interface TypedRejects {
  readonly org: string;
  readonly dataset: string;
  readonly reason: string;
  readonly run: string;
  /** Empty: those that are open. */
  readonly state: string;
}

/** What was typed to replay lines. */
export interface TypedReplay {
  readonly why: string;
  /** The repaired line; null or empty: the stored one as it is. It is personal data. */
  readonly line: string | null;
}

/** What is wrong with a field; `value` is what its words mention, never a line. */
export interface RejectFault {
  readonly field: keyof TypedRejects | keyof TypedReplay | 'id';
  readonly code: keyof RejectsWords['faults'];
  readonly value: string;
}

/** A replay that is in order. */
export interface CheckedReplay {
  readonly why: string;
  readonly line: string | null;
}

/** States by which lines can be chosen. */
export const REJECT_STATES = ['open', 'resolved', 'all'] as const satisfies readonly RejectState[];

/** Characters of a reason. */
const LONGEST_WHY = 500;

/** Checks what lines are chosen by; with a fault in it, a field is taken as empty. */
export async function checkRejects(
  db: Database,
  typed: TypedRejects,
): Promise<{ readonly faults: readonly RejectFault[]; readonly filter: RejectFilter }> {
  const faults: RejectFault[] = [];
  const fault = (field: keyof TypedRejects, code: RejectFault['code']) => {
    const text = typed[field];
    faults.push({ field, code, value: text.length > 40 ? `${text.slice(0, 40)}…` : text });
    return undefined;
  };
  const orgCode = await readOrg(db, typed.org, () => fault('org', 'orgUnknown'));
  const filter: RejectFilter = {
    orgCode,
    dataset: readOne<DatasetName>(typed.dataset, isDatasetName, () =>
      fault('dataset', 'datasetUnknown'),
    ),
    reason: readOne(typed.reason, isReason, () => fault('reason', 'reasonUnknown')),
    runId: /^([1-9]\d{0,14})?$/.test(typed.run)
      ? Number(typed.run) || undefined
      : fault('run', 'runForm'),
    state: readOne(typed.state, isState, () => fault('state', 'stateUnknown')) ?? 'open',
  };
  return { faults, filter };
}

async function readOrg(db: Database, org: string, fault: () => undefined) {
  if (org === '') return undefined;
  const isKnown = /^[\w-]{1,40}$/.test(org) && (await feedsOfOrg(db, org)) !== null;
  return isKnown ? org : fault();
}

function readOne<T extends string>(
  text: string,
  isOne: (text: string) => text is T,
  fault: () => undefined,
): T | undefined {
  if (text === '') return undefined;
  return isOne(text) ? text : fault();
}

const isReason = (text: string): text is RejectReason =>
  (REJECT_REASONS as readonly string[]).includes(text);

const isState = (text: string): text is RejectState =>
  (REJECT_STATES as readonly string[]).includes(text);

/** Checks what is to be done with lines, and why. */
export function checkReplay(typed: TypedReplay): {
  readonly faults: readonly RejectFault[];
  readonly replay: CheckedReplay;
} {
  const faults: RejectFault[] = [];
  // One line, so that every list can show it.
  const why = typed.why.replace(/\p{Cc}+/gu, ' ').trim();
  if (why === '') faults.push({ field: 'why', code: 'whyMissing', value: '' });
  if (why.length > LONGEST_WHY) {
    faults.push({ field: 'why', code: 'whyLong', value: String(LONGEST_WHY) });
  }
  // The end of a line may be typed along with it.
  const line = (typed.line ?? '').replace(/(\r?\n)+$/, '');
  if (/[\r\n]/.test(line)) faults.push({ field: 'line', code: 'lineOne', value: '' });
  return { faults, replay: { why, line: line === '' ? null : line } };
}
