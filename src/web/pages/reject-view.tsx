import type { ComponentChildren } from 'preact';
import type { RejectDetail } from '../../store/reject-ledger.ts';
import type { Messages } from '../messages.ts';
import { Time } from '../time.tsx';
import { attributesOf, FaultOf, type FieldProps, WhyField } from './reject-fields.tsx';

/** What the page of one refused line is given. */
export interface RejectProps extends FieldProps {
  readonly reject: RejectDetail;
  readonly why: string;
  readonly mayWrite: boolean;
  readonly common: Messages;
}

/** One refused line, masked, and the form that replays it. */
export function RejectPage(props: RejectProps) {
  const { reject, common, words } = props;
  const resolvedBy = reject.resolved_by_run;
  const facts: readonly (readonly [string, ComponentChildren])[] = [
    [words.feed, `${reject.org_code} ${common.datasets[reject.dataset]}`],
    [
      words.reason,
      <>
        {words.reasons[reject.reason]} {reject.column !== null && <code>{reject.column}</code>}
      </>,
    ],
    [words.line, reject.line === null ? '–' : <code>{reject.line}</code>],
    [words.lineKept, reject.line === null ? words.gone : words.kept],
    [words.key, reject.row_key ?? '–'],
    [words.place, words.placeOf(reject.run_id, reject.line_no)],
    [words.columns, reject.columns.map((name) => name ?? words.unnamed).join(' | ')],
    [words.windowTo, <Time at={reject.window_to.getTime()} />],
    [words.firstSeen, <Time at={reject.first_seen.getTime()} />],
    [words.lastSeen, <Time at={reject.last_seen.getTime()} />],
    [
      words.resolved,
      <>
        <Time at={reject.resolved_at?.getTime() ?? null} />{' '}
        {resolvedBy !== null && words.resolvedBy(resolvedBy)}
      </>,
    ],
  ];
  return (
    <>
      <h1 id="reject">
        {words.title}: {reject.id}
      </h1>
      <section class="scroll" aria-labelledby="reject" tabindex={0}>
        <table>
          <tbody>
            {facts.map(([name, value]) => (
              <tr>
                <th scope="row">{name}</th>
                <td class="wrap">{value}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      <ReplayForm {...props} />
      <p class="actions">
        <a class="button" href="/rejects">
          {words.back}
        </a>
      </p>
    </>
  );
}

function ReplayForm({ reject, why, faults, mayWrite, words }: RejectProps) {
  if (!mayWrite) return <p class="notice">{words.viewer}</p>;
  if (reject.resolved_at !== null) {
    return <FaultOf name="id" faults={faults} words={words} />;
  }
  const isGone = reject.line === null;
  return (
    <>
      <h2>{words.replayOne}</h2>
      <form method="post" action={`/rejects/${reject.id}/replay`} class="card record">
        <p class="hint">{words.replayOneHint}</p>
        <label>
          {isGone ? words.repairedGone : words.repaired}
          <textarea
            name="line"
            rows={3}
            required={isGone}
            autocomplete="off"
            spellcheck={false}
            {...attributesOf('line', faults, 'line-hint')}
          />
          <FaultOf name="line" faults={faults} words={words} />
          <span class="hint" id="line-hint">
            {words.repairedHint}
          </span>
        </label>
        <WhyField why={why} faults={faults} words={words} />
        <p class="actions">
          <button type="submit" class="primary">
            {words.submitOne}
          </button>
        </p>
        <p class="working" role="status" data-working={words.working} />
      </form>
    </>
  );
}
