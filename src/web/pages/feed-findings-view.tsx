import { formatDuration } from '../../core/duration.ts';
import type { ComparisonRow, FindingRow } from '../../store/comparison-ledger.ts';
import { Ledger } from '../ledger.tsx';
import { Time } from '../time.tsx';
import type { FindingsWords } from './feed-findings-words.ts';
import { Span } from './resync-plan-view.tsx';

const number = new Intl.NumberFormat('en');

interface FindingsProps {
  readonly comparisons: readonly ComparisonRow[];
  readonly words: FindingsWords;
}

/** What comparisons with the source have found. */
export function Findings({ comparisons, words }: FindingsProps) {
  const findings = comparisons.flatMap((comparison) => comparison.findings);
  return (
    <>
      <h2>{words.title}</h2>
      {comparisons.length === 0 ? (
        <p class="hint">{words.none}</p>
      ) : (
        <Comparisons comparisons={comparisons} words={words} />
      )}
      {findings.length > 0 && (
        <>
          <h3>{words.findings}</h3>
          <p class="hint">{words.hint}</p>
          <FindingRows findings={findings} words={words} />
        </>
      )}
    </>
  );
}

/** The counters of a comparison. */
const COUNTED = [
  'sourceRows',
  'ownRows',
  'compared',
  'missing',
  'changed',
  'extra',
  'stale',
] as const;

function Comparisons({ comparisons, words }: FindingsProps) {
  const heads = [
    words.what,
    words.when,
    words.asOf,
    ...COUNTED.map((name) => ({ number: words[name] })),
  ];
  return (
    <Ledger label={words.title} heads={heads}>
      {comparisons.map((comparison) => (
        <tr>
          <td>
            {words.kinds[comparison.kind]} #{comparison.requestId}
            {comparison.runId !== null && (
              <div class="hint">{words.repaired(comparison.runId)}</div>
            )}
          </td>
          <td>
            {comparison.finishedAt === null ? words.open : <Time at={comparison.finishedAt} />}
            {comparison.errorCode !== null && (
              <div class="fault">{words.refused(comparison.errorCode)}</div>
            )}
          </td>
          <td>
            {comparison.during ? <Span {...comparison.during} /> : <Time at={comparison.asOf} />}
          </td>
          {COUNTED.map((name) => (
            <td class="number">
              {comparison[name] === null ? '–' : number.format(comparison[name])}
            </td>
          ))}
        </tr>
      ))}
    </Ledger>
  );
}

function FindingRows({
  findings,
  words,
}: {
  readonly findings: readonly FindingRow[];
  readonly words: FindingsWords;
}) {
  const heads = [words.kind, words.key, words.columns, words.during, words.late];
  return (
    <Ledger label={words.findings} heads={heads}>
      {findings.map(({ kind, rowKey, columns, during, late }) => (
        <tr>
          <td>{words.finding[kind]}</td>
          <td>
            <code>{rowKey ?? '–'}</code>
          </td>
          <td class="wrap">{columns?.join(', ') ?? '–'}</td>
          <td>{during ? <Span {...during} /> : '–'}</td>
          <td>{late === null ? '–' : formatDuration(late)}</td>
        </tr>
      ))}
    </Ledger>
  );
}
