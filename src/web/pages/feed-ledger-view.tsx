import { formatDuration, formatSize } from '../../core/duration.ts';
import type { Receipt } from '../../core/receipt.ts';
import type { FeedRequest } from '../../store/feed-requests.ts';
import type { RunRow } from '../../store/ledgers.ts';
import { type Head, Ledger } from '../ledger.tsx';
import { Time } from '../time.tsx';
import type { FeedProps } from './feed-view.tsx';
import { Span } from './resync-plan-view.tsx';

const number = new Intl.NumberFormat('en');

/** The counters of a receipt, in the order of its balance. */
const COUNTED = [
  'lines',
  'accepted',
  'rejected',
  'inserted',
  'updated',
  'unchanged',
  'stale',
  'duplicate',
  'flagged',
] as const satisfies readonly (keyof Receipt)[];

const STATUS_COLOUR = {
  running: 'running',
  done: 'in-step',
  failed: 'failing',
  interrupted: 'late',
} as const;

/** The newest runs with their receipts. */
export function Runs({ runs, words }: FeedProps) {
  const { run: names } = words;
  const heads: Head[] = [
    { number: names.id },
    names.status,
    names.trigger,
    names.started,
    { number: names.took },
    names.window,
    ...COUNTED.map((name) => ({ number: words.counts[name] })),
    { number: names.bytes },
    names.error,
  ];
  return (
    <>
      <h2>{words.runs}</h2>
      {runs.length === 0 ? (
        <p class="hint">{words.noRuns}</p>
      ) : (
        <Ledger label={words.runs} heads={heads}>
          {runs.map((run) => (
            <Run run={run} words={words} />
          ))}
        </Ledger>
      )}
    </>
  );
}

function Run({ run, words }: Pick<FeedProps, 'words'> & { readonly run: RunRow }) {
  const { started_at: started, finished_at: finished } = run;
  // Of a full extract the window has no beginning, which is no `Date`.
  const during = { from: Number(run.window_from), to: Number(run.window_to) };
  return (
    <tr>
      <td class="number">{run.id}</td>
      <td class={`state ${STATUS_COLOUR[run.status]}`}>{words.statuses[run.status]}</td>
      <td>
        {words.triggers[run.trigger]}
        {run.request_id !== null && ` #${run.request_id}`}
      </td>
      <td>
        <Time at={started.getTime()} />
      </td>
      <td class="number">{finished && formatDuration(finished.getTime() - started.getTime())}</td>
      <td>
        <Span {...during} />
      </td>
      {COUNTED.map((name) => (
        <td class="number">{number.format(run[name])}</td>
      ))}
      <td class="number">{formatSize(run.bytes)}</td>
      <td class="wrap">
        {run.error_code !== null && (
          <>
            <code>{run.error_code}</code> {run.error_message}
          </>
        )}
      </td>
    </tr>
  );
}

/** What was wished for, by whom and why, and what came of it. */
export function Requests({ requests, remaining, words }: FeedProps) {
  const { request: names } = words;
  const heads: Head[] = [
    { number: names.id },
    names.kind,
    words.interval,
    names.outcome,
    words.reason,
    words.by,
    words.at,
  ];
  return (
    <>
      <h2>{words.requests}</h2>
      {requests.length === 0 ? (
        <p class="hint">{words.noRequests}</p>
      ) : (
        <Ledger label={words.requests} heads={heads}>
          {requests.map((request) => (
            <tr>
              <td class="number">{request.id}</td>
              <td>
                {words.kinds[request.kind]}
                {request.force && ` (${words.forced})`}
              </td>
              <td>{request.during ? <Span {...request.during} /> : '–'}</td>
              <RequestOutcome request={request} remaining={remaining} words={words} />
              <td class="wrap">{request.reason}</td>
              <td>{request.requestedBy}</td>
              <td>
                <Time at={request.requestedAt} />
              </td>
            </tr>
          ))}
        </Ledger>
      )}
    </>
  );
}

function RequestOutcome({
  request,
  remaining,
  words,
}: Pick<FeedProps, 'remaining' | 'words'> & { readonly request: FeedRequest }) {
  const { finishedAt, runs, failed, inserted, updated } = request;
  const left = remaining.get(request.id) ?? [];
  return (
    <td class="wrap">
      {finishedAt === null ? (
        <span class="state running">{words.open}</span>
      ) : (
        <>
          <span class="state in-step">{words.finished}</span> <Time at={finishedAt} />
        </>
      )}
      {left.length > 0 && (
        <div>
          {words.remains}{' '}
          {left.map((part) => (
            <div>
              <Span {...part} />
            </div>
          ))}
        </div>
      )}
      {runs > 0 && (
        <div class="hint">
          {words.outcome(runs, failed, number.format(inserted), number.format(updated))}
        </div>
      )}
    </td>
  );
}

/** Refused lines by reason, and the newest of them, masked. */
export function Rejects({ feed, rejectCounts, rejects, words }: FeedProps) {
  const query = new URLSearchParams({ org: feed.orgCode, dataset: feed.dataset });
  return (
    <>
      <h2>{words.rejects}</h2>
      {rejectCounts.length === 0 ? (
        <p class="hint">{words.noRejects}</p>
      ) : (
        <>
          <p class="hint">{words.rejectsHint}</p>
          <RejectCounts rejectCounts={rejectCounts} words={words} />
          <h3>{words.newestRejects}</h3>
          <RejectLines rejects={rejects} words={words} />
        </>
      )}
      <p class="actions">
        <a href={`/rejects?${query}`}>{words.allRejects}</a>
      </p>
    </>
  );
}

function RejectCounts({ rejectCounts, words }: Pick<FeedProps, 'rejectCounts' | 'words'>) {
  const counts = rejectCounts.toSorted((a, b) => b.count - a.count);
  return (
    <Ledger label={words.rejects} heads={[words.rejectReason, { number: words.rejectCount }]}>
      {counts.map(({ reason, count }) => (
        <tr>
          <td>
            <code>{reason}</code> {words.reasons[reason]}
          </td>
          <td class="number">{number.format(count)}</td>
        </tr>
      ))}
    </Ledger>
  );
}

function RejectLines({ rejects, words }: Pick<FeedProps, 'rejects' | 'words'>) {
  const heads = [
    words.rejectReason,
    words.rejectKey,
    words.rejectLine,
    words.rejectRun,
    words.lastSeen,
  ];
  return (
    <Ledger label={words.newestRejects} heads={heads}>
      {rejects.map((reject) => (
        <tr>
          <td>
            <code>{reject.reason}</code>
          </td>
          <td>{reject.row_key ?? '–'}</td>
          <td>
            <code>{reject.line ?? '–'}</code>
          </td>
          <td>
            #{reject.run_id}, {number.format(reject.line_no)}
          </td>
          <td>
            <Time at={reject.last_seen.getTime()} />
          </td>
        </tr>
      ))}
    </Ledger>
  );
}
