import type { Settings } from '../config.ts';
import { InterruptedError } from '../core/errors.ts';
import type { Interval } from '../core/interval.ts';
import type { IntervalParts } from '../core/resync-plan.ts';
import { openRequestStore } from '../store/requests.ts';
import { type PreviewedWindow, type PreviewOptions, previewWindows } from '../sync/preview.ts';
import { previewRecord } from '../sync/preview-record.ts';
import { checkInterval, type FeedChoice } from '../sync/resync.ts';
import { planResync, type ResyncPlan } from '../sync/resync-plan.ts';
import type { ExitCode } from './failure.ts';
import { type Foreground, inForeground } from './foreground.ts';
import { chinaTime, count, type Listing, type Output, printRows, processOutput } from './output.ts';

/** What to look at, and how to print it. */
export interface PreviewWish extends PreviewOptions {
  readonly choice: FeedChoice & { readonly during: Interval };
  readonly json: boolean | undefined;
}

/**
 * Prints what a re-sync would do, window by window, without recording or changing anything; ends with
 * exit code 1 if a window could not be looked at.
 *
 * @throws FatalError CONFIG if nothing of the interval can be had
 * @throws InterruptedError when the command is stopped; nothing is printed then
 */
export function previewResync(settings: Settings, wish: PreviewWish): Promise<void> {
  return inForeground(settings, (foreground) => preview(foreground, wish));
}

async function preview({ world, signal }: Foreground, wish: PreviewWish): Promise<ExitCode> {
  const requests = openRequestStore(world.store.db);
  const plan = await planResync({ sync: world.sync, requests }, wish.choice);
  // What can be had in part is looked at in part; the use case has the words for the rest.
  if (!plan.obtainable) checkInterval(wish.choice.during, world.sync.clock());
  noteMissing(plan, processOutput);
  const windows: PreviewedWindow[] = [];
  for await (const one of previewWindows(world.sync, plan.feeds, wish, signal)) windows.push(one);
  if (signal.aborted) throw new InterruptedError();
  printRows(windows, PREVIEW, { json: wish.json });
  if (!wish.json) noteReading(plan, processOutput);
  return windows.some(({ outcome }) => outcome.state !== 'counted') ? 1 : 0;
}

function noteMissing({ gone, future }: IntervalParts, out: Output): void {
  const shown = ({ from, to }: Interval) => `${chinaTime(from)} to ${chinaTime(to)} (China time)`;
  if (gone) out.note(`${shown(gone)} can no longer be had from the platform; see vcc-sync import`);
  if (future) out.note(`${shown(future)} is still to come`);
}

/** How the numbers are to be read. */
function noteReading({ feeds }: ResyncPlan, out: Output): void {
  out.note('nothing was recorded or changed; the numbers hold for the tables as they are now');
  if (feeds.some(({ windows }) => windows.length > 1)) {
    out.note('a row that comes in several windows counts in each of them');
  }
}

const PREVIEW: Listing<PreviewedWindow> = {
  empty: 'nothing of the interval has settled yet; try again in a minute',
  columns: [
    { title: 'ORG', text: ({ feed }) => feed.orgCode },
    { title: 'DATASET', text: ({ feed }) => feed.dataset },
    { title: 'WINDOW FROM', text: ({ window }) => chinaTime(window.from) },
    { title: 'TO', text: ({ window }) => chinaTime(window.to) },
    counter('LINES', 'lines'),
    counter('INSERTED', 'inserted'),
    counter('UPDATED', 'updated'),
    counter('UNCHANGED', 'unchanged'),
    counter('STALE', 'stale'),
    counter('DUPLICATE', 'duplicate'),
    counter('REJECTED', 'rejected'),
    { title: 'NOTE', text: noteOf },
  ],
  record: previewRecord,
};

function counter(
  title: string,
  name: 'lines' | 'inserted' | 'updated' | 'unchanged' | 'stale' | 'duplicate' | 'rejected',
) {
  const text = ({ outcome }: PreviewedWindow) =>
    outcome.state === 'counted' ? count(outcome.receipt[name]) : '-';
  return { title, text, right: true };
}

function noteOf({ outcome }: PreviewedWindow): string {
  if (outcome.state === 'failed') return `${outcome.error.code}: ${outcome.error.message}`;
  if (outcome.state === 'busy') return 'another preview looks at this feed: try again later';
  if (outcome.state === 'full') return 'too many previews are under way: try again later';
  if (outcome.state === 'left') return 'not looked at';
  return outcome.tooManyRejects ? 'would fail: TOO_MANY_REJECTS' : '-';
}
