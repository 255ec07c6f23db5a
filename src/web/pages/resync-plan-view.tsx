import type { Interval } from '../../core/interval.ts';
import type { PlannedFeed, ResyncPlan } from '../../sync/resync-plan.ts';
import type { Messages } from '../messages.ts';
import { Time } from '../time.tsx';
import type { ResyncWords } from './resync-words.ts';

/** Shows the windows that a re-sync will make, and which part can not be had. */
export function Plan({
  plan,
  common,
  words,
}: {
  readonly plan: ResyncPlan;
  readonly common: Messages;
  readonly words: ResyncWords;
}) {
  const { gone, obtainable, future, feeds } = plan;
  const windows = feeds.reduce((sum, feed) => sum + feed.windows.length, 0);
  return (
    <>
      <h2 id="plan">{words.planTitle}</h2>
      {gone && <Part text={words.gone} part={gone} isTrouble />}
      {future && <Part text={words.future} part={future} isTrouble />}
      {obtainable && (gone || future) && <Part text={words.obtainable} part={obtainable} />}
      <p class="hint">
        {words.planHint(feeds.length, windows)} {isSettled(plan) || words.unsettled}
      </p>
      <section class="scroll tall" aria-labelledby="plan" tabindex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">{words.feed}</th>
              <th scope="col">{words.windows}</th>
            </tr>
          </thead>
          <tbody>
            {feeds.map((feed) => (
              <FeedRow feed={feed} common={common} words={words} />
            ))}
          </tbody>
        </table>
      </section>
    </>
  );
}

/** Whether the windows reach to the end of what can be had. */
function isSettled({ obtainable, feeds }: ResyncPlan): boolean {
  return feeds.every(({ windows }) => windows.at(-1)?.to === obtainable?.to);
}

/** A stretch of time, from and to. */
export function Span({ from, to }: Interval) {
  return (
    <span class="span">
      <Time at={from} />
      {'\u00a0– '}
      <Time at={to} />
    </span>
  );
}

function Part({
  text,
  part,
  isTrouble = false,
}: {
  readonly text: string;
  readonly part: Interval;
  readonly isTrouble?: boolean;
}) {
  return (
    <p class={isTrouble ? 'notice trouble' : 'notice'}>
      {text} <Span {...part} />
    </p>
  );
}

function FeedRow({
  feed,
  common,
  words,
}: {
  readonly feed: PlannedFeed;
  readonly common: Messages;
  readonly words: ResyncWords;
}) {
  return (
    <tr>
      <td>
        <a href={`/feeds/${feed.orgCode}/${feed.dataset}`}>
          {feed.orgCode} {common.datasets[feed.dataset]}
        </a>
        {!feed.active && <span class="hint"> {words.paused}</span>}
      </td>
      <td>
        {feed.windows.length === 0 && words.notSettled}
        {feed.windows.map((window) => (
          <div>
            <Span {...window} />
          </div>
        ))}
      </td>
    </tr>
  );
}
