import { formatChinaIso, parseTime } from '../core/china-time.ts';
import type { Clock } from '../core/clock.ts';
import { DATASET_NAMES, type DatasetName, isDatasetName } from '../core/dataset.ts';
import type { Interval } from '../core/interval.ts';
import { partInterval } from '../core/resync-plan.ts';
import { reach } from '../core/window.ts';
import type { FeedChoice, RequestStore } from '../sync/resync.ts';
import type { ResyncWords } from './pages/resync-words.ts';
import { LONGEST_REASON, oneLine } from './reason.ts';

/** A re-sync as somebody typed it, in the names of form and API. */
export interface TypedResync {
  readonly org: readonly string[];
  readonly dataset: readonly string[];
  readonly from: string;
  readonly to: string;
  readonly force: boolean;
  readonly max_rejects: string;
  readonly reason: string;
}

/** What is wrong with a field; `value` is what its words mention. */
export interface Fault {
  readonly field: keyof TypedResync;
  readonly code: keyof ResyncWords['faults'];
  readonly value: string;
}

/** A re-sync that is in order. */
export interface CheckedResync extends FeedChoice {
  readonly during: Interval;
  readonly force: boolean;
  readonly maxRejects: number | null;
  readonly reason: string;
}

/**
 * What a re-sync is checked for: to be shown, as far as it can be had; or to be recorded as it is, by
 * whoever is asked for a reason, or by a job that may come without one.
 */
export type Purpose = 'show' | 'record' | 'job';

/** What the check needs to know. */
export interface ChoiceWorld {
  readonly requests: Pick<RequestStore, 'feedsOf'>;
  readonly clock: Clock;
}

/** Organisations at once. */
export const MOST_ORGS = 500;

/** What no text of Postgres holds. */
const UNSTORABLE = /\0/;

/** Checks every field of a re-sync; the first fault of each kind is told, or the re-sync is in order. */
export async function checkResync(
  world: ChoiceWorld,
  typed: TypedResync,
  purpose: Purpose,
): Promise<{ readonly faults: readonly Fault[]; readonly wish: CheckedResync | null }> {
  const { orgCodes, datasets, ...feeds } = await checkFeeds(world, typed);
  const faults = [...feeds.faults];
  const during = readInterval(typed, purpose, world.clock(), faults);
  const reason = oneLine(typed.reason);
  if (reason === '' && purpose === 'record') {
    faults.push({ field: 'reason', code: 'reasonMissing', value: '' });
  }
  if (reason.length > LONGEST_REASON) {
    faults.push({ field: 'reason', code: 'reasonLong', value: String(LONGEST_REASON) });
  }
  const maxRejects = readPercent(typed, faults);
  if (faults.length > 0 || during === null) return { faults, wish: null };
  const { force } = typed;
  return { faults, wish: { orgCodes, datasets, during, force, maxRejects, reason } };
}

/** Checks which feeds somebody means: the first fault of each kind is told. */
export async function checkFeeds(
  world: Pick<ChoiceWorld, 'requests'>,
  typed: Pick<TypedResync, 'org' | 'dataset'>,
): Promise<FeedChoice & { readonly faults: readonly Fault[] }> {
  const faults: Fault[] = [];
  const datasets = readDatasets(typed, faults);
  return { orgCodes: await readOrgs(world, typed, datasets, faults), datasets, faults };
}

function readDatasets(
  { dataset }: Pick<TypedResync, 'dataset'>,
  faults: Fault[],
): readonly DatasetName[] | 'all' {
  if (dataset.includes('all')) return 'all';
  const unknown = dataset.find((name) => !isDatasetName(name));
  if (dataset.length === 0) faults.push({ field: 'dataset', code: 'datasetMissing', value: '' });
  if (unknown !== undefined) {
    faults.push({ field: 'dataset', code: 'datasetUnknown', value: shorten(unknown) });
  }
  return DATASET_NAMES.filter((name) => dataset.includes(name));
}

/** What was typed may be anything: enough of it to recognise it. */
function shorten(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}

async function readOrgs(
  { requests }: Pick<ChoiceWorld, 'requests'>,
  { org }: Pick<TypedResync, 'org'>,
  datasets: readonly DatasetName[] | 'all',
  faults: Fault[],
): Promise<readonly string[]> {
  const orgCodes = [...new Set(org.map((code) => code.trim()).filter((code) => code !== ''))];
  if (orgCodes.length === 0) faults.push({ field: 'org', code: 'orgMissing', value: '' });
  if (orgCodes.length > MOST_ORGS) {
    faults.push({ field: 'org', code: 'orgMany', value: String(MOST_ORGS) });
    return [];
  }
  const known = await Promise.all(
    orgCodes.map((code) => (UNSTORABLE.test(code) ? null : requests.feedsOf(code))),
  );
  const unknown = orgCodes.find((_, index) => known[index] === null);
  if (unknown !== undefined) {
    faults.push({ field: 'org', code: 'orgUnknown', value: shorten(unknown) });
  }
  const wanted = datasets === 'all' ? [] : datasets;
  const lacking = orgCodes.flatMap((code, index) => {
    const feeds = known[index] ?? null;
    if (feeds === null) return [];
    if (datasets === 'all') return feeds.length === 0 ? [code] : [];
    return wanted
      .filter((name) => !feeds.some(({ dataset }) => dataset === name))
      .map((name) => `${name} ${code}`);
  });
  if (lacking[0] !== undefined) {
    faults.push({ field: 'dataset', code: 'feedMissing', value: lacking[0] });
  }
  return orgCodes;
}

function readInterval(
  typed: TypedResync,
  purpose: Purpose,
  now: number,
  faults: Fault[],
): Interval | null {
  const [from, to] = (['from', 'to'] as const).map((field) => {
    const text = typed[field].trim();
    const at = parseTime(text);
    if (at === null) {
      faults.push({ field, code: text === '' ? 'timeMissing' : 'timeForm', value: '' });
    }
    return at;
  }) as [number | null, number | null];
  if (from === null || to === null) return null;
  if (from >= to) {
    faults.push({ field: 'to', code: from === to ? 'empty' : 'inverted', value: '' });
    return null;
  }
  const { gone, obtainable, future } = partInterval({ from, to }, now);
  const mustBeWhole = purpose !== 'show' || obtainable === null;
  if (gone && mustBeWhole) {
    faults.push({ field: 'from', code: 'gone', value: formatChinaIso(reach(now)) });
  }
  if (future && mustBeWhole) {
    faults.push({ field: 'to', code: 'future', value: formatChinaIso(now) });
  }
  return { from, to };
}

function readPercent({ max_rejects: text }: TypedResync, faults: Fault[]): number | null {
  const [, digits] = /^(\d{1,3}(?:\.\d{1,6})?)\s*%?$/.exec(text.trim()) ?? [];
  if (text.trim() === '') return null;
  if (digits !== undefined && Number(digits) <= 100) return Number(digits);
  faults.push({ field: 'max_rejects', code: 'percent', value: '' });
  return null;
}
