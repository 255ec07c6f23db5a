import { DAY, HOUR } from '../../core/china-time.ts';
import { DATASET_NAMES } from '../../core/dataset.ts';
import { formatDuration, formatSize } from '../../core/duration.ts';
import { span } from '../../core/interval.ts';
import type { HourOfChanges, RunInBrief } from '../../store/activity.ts';
import type { PlatformBlock, Status, StatusRow } from '../../store/ledgers.ts';
import { Ledger } from '../ledger.tsx';
import type { Messages } from '../messages.ts';
import { Picture } from '../picture.tsx';
import { Time } from '../time.tsx';
import { CHANGES_SIZE } from './changes-chart.ts';
import type { OverviewWords } from './overview-words.ts';
import { Span } from './resync-plan-view.tsx';

interface OverviewProps {
  readonly status: Status;
  readonly hours: readonly HourOfChanges[];
  readonly running: readonly RunInBrief[];
  readonly failed: readonly RunInBrief[];
  /** Unresolved refused lines. */
  readonly rejects: number;
  readonly now: number;
  readonly common: Messages;
  readonly words: OverviewWords;
}

/** How everything stands, at a glance. */
export function Overview(props: OverviewProps) {
  const { status, now, common, words } = props;
  const { feeds, blocked } = status;
  const inStep = feeds.filter(isInStep).length;
  return (
    <>
      <h1>{words.inStep(inStep, feeds.length)}</h1>
      <p class="hint">
        <Time at={now} /> {common.chinaTime}
      </p>
      {blocked && <Blocked blocked={blocked} words={words} />}
      {feeds.length === 0 ? <Empty words={words} /> : <Body {...props} />}
    </>
  );
}

/** Whether a feed lacks nothing that it should have by now, also while its next window is loaded. */
function isInStep({ state, lag, gaps }: StatusRow): boolean {
  return state === 'in step' || (state === 'running' && lag !== null && gaps.length === 0);
}

function Empty({ words }: { readonly words: OverviewWords }) {
  return (
    <div class="card">
      <p>{words.empty}</p>
      <pre>vcc-sync org add WJ0105</pre>
    </div>
  );
}

/** That the queue waits as a whole, and why. */
export function Blocked({
  blocked,
  words,
}: {
  readonly blocked: PlatformBlock;
  readonly words: Pick<OverviewWords, 'blocked' | 'nextTry'>;
}) {
  return (
    <p class="notice trouble" role="alert">
      {words.blocked} <Time at={blocked.blockedSince} />:{' '}
      {blocked.errorMessage ?? blocked.errorCode}. {words.nextTry} <Time at={blocked.probeAt} />
    </p>
  );
}

function Body({ status, hours, running, failed, rejects, now, common, words }: OverviewProps) {
  return (
    <>
      <Totals feeds={status.feeds} hours={hours} rejects={rejects} words={words} />
      <h2>{words.map}</h2>
      <p class="hint">{words.mapHint}</p>
      <HeatMap feeds={status.feeds} common={common} words={words} />
      <h2>{words.chart}</h2>
      <Picture
        url="/charts/changes.svg"
        text={words.chartText(...sums(hours))}
        width={CHANGES_SIZE.width}
        height={CHANGES_SIZE.height}
      />
      <h2>{words.now}</h2>
      <Running runs={running} now={now} common={common} words={words} />
      <h2>{words.failures}</h2>
      <Failures runs={failed} common={common} words={words} />
    </>
  );
}

const number = new Intl.NumberFormat('en');

function sums(hours: readonly HourOfChanges[]): [inserted: string, updated: string] {
  const sum = (name: 'inserted' | 'updated') =>
    number.format(hours.reduce((total, hour) => total + hour[name], 0));
  return [sum('inserted'), sum('updated')];
}

function Totals({
  feeds,
  hours,
  rejects,
  words,
}: Pick<OverviewProps, 'hours' | 'rejects' | 'words'> & { readonly feeds: readonly StatusRow[] }) {
  const { label, ...names } = words.totals;
  const all = feeds.flatMap(({ gaps }) => gaps);
  const of = (state: 'open' | 'expired') => span(all.filter((gap) => gap.state === state));
  const lag = Math.max(0, ...feeds.flatMap((feed) => feed.lag ?? []));
  const failing = feeds.filter(({ consecutiveFailures }) => consecutiveFailures > 0).length;
  const changed = hours.reduce((total, { inserted, updated }) => total + inserted + updated, 0);
  const shown: readonly (readonly [string, string, boolean])[] = [
    [names.worstLag, formatDuration(lag), false],
    [names.failing, number.format(failing), failing > 0],
    [names.openGaps, formatDuration(of('open')), of('open') > 0],
    [names.expiredGaps, formatDuration(of('expired')), of('expired') > 0],
    [names.rejects, number.format(rejects), rejects > 0],
    [names.changes, number.format(changed), false],
  ];
  return (
    <dl class="totals" aria-label={label}>
      {shown.map(([name, value, isBad]) => (
        <div class={isBad ? 'card bad' : 'card'}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

interface MapProps {
  readonly feeds: readonly StatusRow[];
  readonly common: Messages;
  readonly words: OverviewWords;
}

/** Organisations × datasets; a table, so that it can be read as well as seen. */
function HeatMap({ feeds, common, words }: MapProps) {
  const orgs = [...new Map(feeds.map(({ orgCode, orgName }) => [orgCode, orgName]))];
  const byName = new Map(feeds.map((feed) => [`${feed.orgCode} ${feed.dataset}`, feed]));
  return (
    <section class="scroll" aria-label={words.map} tabindex={0}>
      <table class="heat">
        <thead>
          <tr>
            <th scope="col">{words.org}</th>
            {DATASET_NAMES.map((dataset) => (
              <th scope="col">{common.datasets[dataset]}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {orgs.map(([code, name]) => (
            <tr>
              <th scope="row">
                {code} <span class="hint">{name}</span>
              </th>
              {DATASET_NAMES.map((dataset) => (
                <Cell feed={byName.get(`${code} ${dataset}`)} common={common} words={words} />
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** From where on a cell's bar is broader, in milliseconds of lag. */
const STEPS = [HOUR, DAY, 7 * DAY];

function Cell({
  feed,
  common,
  words,
}: {
  readonly feed: StatusRow | undefined;
  readonly common: Messages;
  readonly words: OverviewWords;
}) {
  if (!feed) return <td class="cell none">–</td>;
  const { state, lag, orgCode, dataset } = feed;
  return (
    <td
      class={`cell ${state.replace(' ', '-')}`}
      data-lag={STEPS.filter((step) => (lag ?? 0) >= step).length}
    >
      <a href={`/feeds/${orgCode}/${dataset}`}>
        <span class="name">{common.states[state]}</span>
        {lag !== null && (
          <span class="lag">
            <span class="unseen">{words.lag} </span>
            {formatDuration(lag)}
          </span>
        )}
      </a>
    </td>
  );
}

interface RunsProps {
  readonly runs: readonly RunInBrief[];
  readonly common: Messages;
  readonly words: OverviewWords;
}

function FeedLink({ run, common }: { readonly run: RunInBrief; readonly common: Messages }) {
  return (
    <a href={`/feeds/${run.orgCode}/${run.dataset}`}>
      {run.orgCode} {common.datasets[run.dataset]}
    </a>
  );
}

function Running({ runs, now, common, words }: RunsProps & { readonly now: number }) {
  if (runs.length === 0) return <p class="hint">{words.nothingNow}</p>;
  const { feed, window, since, age, read } = words.columns;
  return (
    <Ledger label={words.now} heads={[feed, window, since, { number: age }, read]}>
      {runs.map((run) => (
        <tr>
          <td>
            <FeedLink run={run} common={common} />
          </td>
          <td>
            <Span from={run.windowFrom} to={run.windowTo} />
          </td>
          <td>
            <Time at={run.startedAt} />
          </td>
          <td class="number">{formatDuration(Math.max(0, now - run.startedAt))}</td>
          <td class="wrap">
            <Progress run={run} words={words} />
          </td>
        </tr>
      ))}
    </Ledger>
  );
}

/** How much of its table a run has read: a share where the answer has told its length. */
function Progress({
  run: { lines, bytes, bytesExpected },
  words,
}: Pick<OverviewProps, 'words'> & { readonly run: RunInBrief }) {
  const text = words.progress(number.format(lines), formatSize(bytes));
  if (bytesExpected === null || bytesExpected <= 0) return <>{text}</>;
  const share = Math.min(1, bytes / bytesExpected);
  return (
    <>
      <progress value={share} aria-label={words.columns.read} />{' '}
      {words.share(Math.floor(share * 100), formatSize(bytesExpected))}, {text}
    </>
  );
}

function Failures({ runs, common, words }: RunsProps) {
  if (runs.length === 0) return <p class="hint">{words.noFailures}</p>;
  const { feed, at, why } = words.columns;
  return (
    <Ledger label={words.failures} heads={[feed, at, why]}>
      {runs.map((run) => (
        <tr>
          <td>
            <FeedLink run={run} common={common} />
          </td>
          <td>
            <Time at={run.finishedAt} />
          </td>
          <td class="wrap">
            <code>{run.errorCode}</code> {run.errorMessage}
          </td>
        </tr>
      ))}
    </Ledger>
  );
}
