import { formatChinaIso } from '../../core/china-time.ts';
import { formatDuration } from '../../core/duration.ts';
import type { Interval } from '../../core/interval.ts';
import type { StretchState } from '../../core/time-line.ts';
import { Ledger } from '../ledger.tsx';
import { Picture } from '../picture.tsx';
import { LONGEST_REASON } from '../reason.ts';
import { Time } from '../time.tsx';
import { COVERAGE_SIZE } from './coverage-chart.ts';
import type { FeedProps } from './feed-view.tsx';
import { Span } from './resync-plan-view.tsx';

/** Classes that give a state its colour. */
const COLOUR: Readonly<Record<StretchState, string>> = {
  covered: 'in-step',
  accepted: 'running',
  open: 'late',
  expired: 'failing',
  pending: '',
  unpromised: '',
};

/** The time line as a picture and as a table, gaps that can be accepted, and those that were. */
export function Coverage(props: FeedProps) {
  const { address, line, words } = props;
  const text = (at: number) => formatChinaIso(at).slice(0, 16).replace('T', ' ');
  return (
    <>
      <h2>{words.coverage}</h2>
      <p class="hint">{words.coverageHint(text(line[0]!.from), text(line.at(-1)!.to))}</p>
      <Picture url={`${address}/coverage.svg`} text={words.coverageText} {...COVERAGE_SIZE} />
      <Stretches {...props} />
      <Expired {...props} />
      <Accepted {...props} />
    </>
  );
}

function Stretches({ line, words }: FeedProps) {
  const heads = [
    words.facts.state,
    words.from,
    words.to,
    { number: words.length },
    words.recoverable,
  ];
  return (
    <Ledger label={words.stretches} heads={heads}>
      {line.map(({ state, from, to, recoverableUntil }) => (
        <tr>
          <td class={`state ${COLOUR[state]}`}>{words.stretch[state]}</td>
          <td>
            <Time at={from} />
          </td>
          <td>
            <Time at={to} />
          </td>
          <td class="number">{formatDuration(to - from)}</td>
          <td>
            <Time at={recoverableUntil} />
          </td>
        </tr>
      ))}
    </Ledger>
  );
}

function Expired(props: FeedProps) {
  const { feed, mayWrite, words } = props;
  const gaps = feed.gaps.filter(({ state }) => state === 'expired');
  if (gaps.length === 0) return null;
  return (
    <>
      <h2>{words.expired}</h2>
      <p class="hint">{words.expiredHint}</p>
      <ul class="gaps">
        {gaps.map((gap) => (
          <li class="card">
            <p>
              <Span {...gap} /> ({formatDuration(gap.to - gap.from)})
            </p>
            {mayWrite && <AcceptForm gap={gap} {...props} />}
          </li>
        ))}
      </ul>
    </>
  );
}

function AcceptForm({
  gap,
  address,
  refusal,
  words,
}: Pick<FeedProps, 'address' | 'refusal' | 'words'> & { readonly gap: Interval }) {
  const from = formatChinaIso(gap.from);
  const id = `fault-${gap.from}`;
  const own = refusal?.gap === from ? refusal : null;
  return (
    <form method="post" action={address} class="accept">
      <input type="hidden" name="from" value={from} />
      <input type="hidden" name="to" value={formatChinaIso(gap.to)} />
      <label>
        {words.acceptReason}
        <input
          name="reason"
          id={`reason-${gap.from}`}
          value={own?.reason}
          maxlength={LONGEST_REASON}
          required
          {...(own && { 'aria-invalid': true, 'aria-describedby': id })}
        />
        {own && (
          <span class="fault" id={id} role="alert">
            {own.text}
          </span>
        )}
      </label>
      <button type="submit" class="danger" name="action" value="accept">
        {words.accept}
      </button>
    </form>
  );
}

function Accepted({ acceptances, words }: FeedProps) {
  if (acceptances.length === 0) return null;
  const heads = [words.interval, words.reason, words.by, words.at];
  return (
    <>
      <h2>{words.accepted}</h2>
      <Ledger label={words.accepted} heads={heads}>
        {acceptances.map(({ during, reason, acceptedBy, acceptedAt }) => (
          <tr>
            <td>
              <Span {...during} />
            </td>
            <td class="wrap">{reason}</td>
            <td>{acceptedBy}</td>
            <td>
              <Time at={acceptedAt} />
            </td>
          </tr>
        ))}
      </Ledger>
    </>
  );
}
