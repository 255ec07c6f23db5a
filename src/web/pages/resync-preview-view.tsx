import type { Receipt } from '../../core/receipt.ts';
import type { PreviewedWindow } from '../../sync/preview.ts';
import type { Messages } from '../messages.ts';
import { Span } from './resync-plan-view.tsx';
import type { ResyncWords } from './resync-words.ts';

interface PreviewProps {
  readonly windows: readonly PreviewedWindow[];
  readonly common: Messages;
  readonly words: ResyncWords;
}

const COUNTED = [
  'lines',
  'inserted',
  'updated',
  'unchanged',
  'stale',
  'duplicate',
  'rejected',
] as const satisfies readonly (keyof Receipt)[];

const number = new Intl.NumberFormat('en');

/** Shows what each window would do. */
export function Preview({ windows, common, words }: PreviewProps) {
  const feeds = new Set(windows.map(({ feed }) => feed.id));
  return (
    <>
      <h2 id="preview">{words.previewTitle}</h2>
      <p class="notice" role="status">
        {words.previewDone} {windows.length > feeds.size && words.several}
      </p>
      <section class="scroll tall" aria-labelledby="preview" tabindex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">{words.feed}</th>
              {COUNTED.map((name) => (
                <th scope="col" class="number">
                  {words.counts[name]}
                </th>
              ))}
              <th scope="col">{words.window}</th>
            </tr>
          </thead>
          <tbody>
            {windows.map((one) => (
              <WindowRow one={one} common={common} words={words} />
            ))}
          </tbody>
          {windows.length > 1 && <Totals windows={windows} words={words} />}
        </table>
      </section>
    </>
  );
}

function WindowRow({
  one: { feed, window, outcome },
  common,
  words,
}: Pick<PreviewProps, 'common' | 'words'> & { readonly one: PreviewedWindow }) {
  return (
    <tr>
      <th scope="row">
        {feed.orgCode} {common.datasets[feed.dataset]}
      </th>
      {outcome.state === 'counted' ? (
        COUNTED.map((name) => <td class="number">{number.format(outcome.receipt[name])}</td>)
      ) : (
        <td class="wrap" colspan={COUNTED.length}>
          {outcome.state === 'failed' ? (
            <>
              <code>{outcome.error.code}</code> {outcome.error.message}
            </>
          ) : (
            words.states[outcome.state]
          )}
        </td>
      )}
      <td>
        <Span {...window} />
        {outcome.state === 'counted' && outcome.tooManyRejects && (
          <div class="fault">{words.states.tooManyRejects}</div>
        )}
      </td>
    </tr>
  );
}

function Totals({ windows, words }: Omit<PreviewProps, 'common'>) {
  const receipts = windows.flatMap(({ outcome }) =>
    outcome.state === 'counted' ? [outcome.receipt] : [],
  );
  return (
    <tfoot>
      <tr>
        <th scope="row">{words.total}</th>
        {COUNTED.map((name) => (
          <td class="number">
            {number.format(receipts.reduce((sum, receipt) => sum + receipt[name], 0))}
          </td>
        ))}
        <td />
      </tr>
    </tfoot>
  );
}
