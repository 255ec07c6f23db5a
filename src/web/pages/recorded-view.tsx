import type { RequestRow } from '../../store/requests.ts';
import { Ledger } from '../ledger.tsx';
import type { Messages } from '../messages.ts';
import { Time } from '../time.tsx';
import { Span } from './resync-plan-view.tsx';
import type { ResyncWords } from './resync-words.ts';

interface RecordedProps {
  readonly requests: readonly RequestRow[];
  readonly common: Messages;
  readonly words: ResyncWords;
}

/** What was recorded, by whom and why, and whether it is done. */
export function Recorded({ requests, common, words }: RecordedProps) {
  return (
    <>
      <h1>{words.recordedTitle}</h1>
      {requests.length === 0 ? (
        <p class="notice">{words.recordedNone}</p>
      ) : (
        <>
          <p class="hint">{words.recordedHint}</p>
          <RequestTable requests={requests} common={common} words={words} />
        </>
      )}
      <p class="actions">
        <a class="button" href="/resync">
          {words.again}
        </a>
      </p>
    </>
  );
}

function RequestTable({ requests, common, words }: RecordedProps) {
  const heads = [
    { number: words.request },
    words.feed,
    words.state,
    words.interval,
    words.reason,
    words.by,
    words.at,
  ];
  return (
    <Ledger label={words.recordedTitle} heads={heads}>
      {requests.map((request) => (
        <tr>
          <td class="number">{request.id}</td>
          <td>
            <a href={`/feeds/${request.orgCode}/${request.dataset}`}>
              {request.orgCode} {common.datasets[request.dataset]}
            </a>
          </td>
          <td class={request.finishedAt === null ? 'state running' : 'state in-step'}>
            {request.finishedAt === null ? words.open : words.finished}
            {request.force && ` (${words.forced})`}
          </td>
          <td>
            <Span {...request.during} />
          </td>
          <td class="wrap">{request.reason}</td>
          <td>{request.requestedBy}</td>
          <td>
            <Time at={request.requestedAt} />
          </td>
        </tr>
      ))}
    </Ledger>
  );
}
