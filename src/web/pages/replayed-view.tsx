import type { Messages } from '../messages.ts';
import { type ReplaySummary, WENT_IN } from '../replay-summary.ts';
import type { RejectsWords } from './rejects-words.ts';

interface ReplayedProps {
  readonly summary: ReplaySummary;
  readonly common: Messages;
  readonly words: RejectsWords;
}

const format = new Intl.NumberFormat('en').format;

/** What a replay did: what went in, was refused again, was left, and what could not be finished. */
export function Replayed({ summary, common, words }: ReplayedProps) {
  const { wentIn, refused, left, failed } = summary;
  const went = WENT_IN.filter((name) => wentIn[name] > 0);
  const isNothing = went.length + refused.length + left.length + failed.length === 0;
  return (
    <>
      <h1>{words.replayedTitle}</h1>
      {isNothing && <p class="notice">{words.replayedNone}</p>}
      <Part
        title={words.wentIn}
        lines={went.map((name) => [words.counts[name], wentIn[name]] as const)}
      />
      <Part
        title={words.refused}
        lines={refused.map(([name, count]) => [words.reasons[name], count] as const)}
      />
      <Part
        title={words.left}
        lines={left.map(([name, count]) => [words.leftReasons[name], count] as const)}
      />
      {failed.length > 0 && (
        <section class="notice trouble">
          <h2>{words.failed}</h2>
          <ul>
            {failed.map(({ orgCode, dataset, code }) => (
              <li>
                {orgCode} {common.datasets[dataset]}: <code>{code}</code>{' '}
                {code === 'INTERRUPTED' && words.interrupted}
              </li>
            ))}
          </ul>
        </section>
      )}
      <p class="actions">
        <a class="button" href="/rejects">
          {words.back}
        </a>
      </p>
    </>
  );
}

function Part({
  title,
  lines,
}: {
  readonly title: string;
  readonly lines: readonly (readonly [string, number])[];
}) {
  if (lines.length === 0) return null;
  return (
    <section>
      <h2>{title}</h2>
      <ul>
        {lines.map(([word, count]) => (
          <li>
            {word}: {format(count)}
          </li>
        ))}
      </ul>
    </section>
  );
}
