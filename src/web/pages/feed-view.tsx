import type { ComponentChildren } from 'preact';
import { DAY, formatChinaIso, MINUTE } from '../../core/china-time.ts';
import { formatDuration } from '../../core/duration.ts';
import { holdingOf } from '../../core/holding.ts';
import type { IntervalSet } from '../../core/interval.ts';
import type { Stretch } from '../../core/time-line.ts';
import type { ComparisonRow } from '../../store/comparison-ledger.ts';
import type { FeedRequest } from '../../store/feed-requests.ts';
import type { AcceptanceRow } from '../../store/gap-acceptance.ts';
import type { PlatformBlock, RunRow, StatusRow } from '../../store/ledgers.ts';
import type { RejectCount } from '../../store/reject-counts.ts';
import type { RejectRow } from '../../store/reject-ledger.ts';
import type { Messages } from '../messages.ts';
import { Time } from '../time.tsx';
import { Coverage } from './feed-coverage-view.tsx';
import { Findings } from './feed-findings-view.tsx';
import type { FindingsWords } from './feed-findings-words.ts';
import { Rejects, Requests, Runs } from './feed-ledger-view.tsx';
import type { FeedWords } from './feed-words.ts';
import { Blocked } from './overview-view.tsx';
import type { OverviewWords } from './overview-words.ts';

/** Why something was not done, in the words of the page. */
export interface Refusal {
  readonly text: string;
  /** Start of the gap whose form is to be mended, as the form has it; null: it is no form's fault. */
  readonly gap: string | null;
  /** The reason as it was typed. */
  readonly reason: string;
}

/** What people can do to a feed here. */
export type FeedAction = keyof FeedWords['done'];

/** What every part of the page is given; times in milliseconds. */
export interface FeedProps {
  readonly feed: StatusRow;
  readonly blocked: PlatformBlock | null;
  /** The page's own address, without a query. */
  readonly address: string;
  readonly now: number;
  readonly line: readonly Stretch[];
  readonly acceptances: readonly AcceptanceRow[];
  readonly runs: readonly RunRow[];
  readonly requests: readonly FeedRequest[];
  /** What open requests still have to load, by their id. */
  readonly remaining: ReadonlyMap<number, IntervalSet>;
  readonly rejectCounts: readonly RejectCount[];
  readonly rejects: readonly RejectRow[];
  readonly comparisons: readonly ComparisonRow[];
  /** What has just been done, or why it was not. */
  readonly done: FeedAction | null;
  readonly refusal: Refusal | null;
  readonly mayWrite: boolean;
  readonly common: Messages;
  readonly overview: OverviewWords;
  readonly words: FeedWords;
  readonly findingsWords: FindingsWords;
}

/** All about one feed. */
export function Feed(props: FeedProps) {
  const { feed, blocked, now, common, overview } = props;
  return (
    <>
      <h1>
        {feed.orgCode} {common.datasets[feed.dataset]} <span class="hint">{feed.orgName}</span>
      </h1>
      <p class="hint">
        <Time at={now} /> {common.chinaTime}
      </p>
      {blocked && <Blocked blocked={blocked} words={overview} />}
      <Outcome {...props} />
      <Facts {...props} />
      <Actions {...props} />
      <Coverage {...props} />
      <Runs {...props} />
      <Requests {...props} />
      <Rejects {...props} />
      <Findings comparisons={props.comparisons} words={props.findingsWords} />
    </>
  );
}

/** What has just been done, or was not. */
function Outcome({ feed, done, refusal, words }: FeedProps) {
  const hasForm = feed.gaps.some(({ from }) => formatChinaIso(from) === refusal?.gap);
  if (refusal && !hasForm) {
    return (
      <p class="notice trouble" role="alert">
        {refusal.text}
      </p>
    );
  }
  return done && !refusal ? (
    <p class="notice" role="status">
      {words.done[done]}
    </p>
  ) : null;
}

function Facts({ feed, common, words }: FeedProps) {
  const names = words.facts;
  const facts: readonly (readonly [string, ComponentChildren])[] = [
    [
      names.state,
      <span class={`state ${feed.state.replace(' ', '-')}`}>{common.states[feed.state]}</span>,
    ],
    [names.completeThrough, <Time at={feed.completeThrough} />],
    [names.watermark, <Time at={feed.watermark} />],
    [names.lag, feed.lag === null ? '–' : formatDuration(feed.lag)],
    [names.holds, <Holds feed={feed} words={words} />],
    [names.since, <Time at={feed.since} />],
    [names.missed, number.format(feed.missed)],
    [names.nextDue, feed.nextDueAt === null ? words.atOnce : <Time at={feed.nextDueAt} />],
    [names.nextDeep, <Time at={feed.nextDeepAt} />],
    [names.failures, number.format(feed.consecutiveFailures)],
    [names.lastError, <LastError feed={feed} />],
  ];
  return (
    <dl class="card facts">
      {facts.map(([name, value]) => (
        <div>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

const number = new Intl.NumberFormat('en');

function Holds({ feed, words }: Pick<FeedProps, 'feed' | 'words'>) {
  const holding = holdingOf(feed);
  if (!holding) return <>{words.nothing}</>;
  const { isFull, from, lacks } = holding;
  const full = lacks === 'nothing' ? words.allFullAsOf : words.fullAsOf;
  return (
    <>
      {isFull ? full : words.changesSince} <Time at={from} />
      {words.lacks[lacks]}
    </>
  );
}

function LastError({ feed: { lastErrorCode, lastError } }: Pick<FeedProps, 'feed'>) {
  if (lastErrorCode === null) return <>–</>;
  return (
    <>
      <code>{lastErrorCode}</code> {lastError}
    </>
  );
}

function Actions({ feed, address, now, mayWrite, words }: FeedProps) {
  const stopped = feed.enabled ? (feed.paused ? 'paused' : null) : 'disabled';
  const resync = (
    <a class="button" href={`/resync?${lastDayOf(feed, now)}`}>
      {words.resync}
    </a>
  );
  return (
    <>
      <h2>{words.actions}</h2>
      {stopped && <p class="notice">{words.stopped[stopped]}</p>}
      {mayWrite ? (
        <form method="post" action={address} class="actions">
          {stopped === null && (
            <button type="submit" class="primary" name="action" value="sync">
              {words.sync}
            </button>
          )}
          {resync}
          {feed.enabled && (
            <button type="submit" name="action" value={feed.paused ? 'resume' : 'pause'}>
              {feed.paused ? words.resume : words.pause}
            </button>
          )}
        </form>
      ) : (
        <>
          <p class="hint">{words.viewer}</p>
          <p class="actions">{resync}</p>
        </>
      )}
    </>
  );
}

/** What a re-sync from here begins with: this feed and the day up to now. */
function lastDayOf({ orgCode, dataset }: StatusRow, now: number): string {
  const to = Math.floor(now / MINUTE) * MINUTE;
  const [from, until] = [formatChinaIso(to - DAY), formatChinaIso(to)];
  return new URLSearchParams({ org: orgCode, dataset, from, to: until }).toString();
}
