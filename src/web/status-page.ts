import { formatChinaIso } from '../core/china-time.ts';
import { formatDuration } from '../core/duration.ts';
import { span } from '../core/interval.ts';
import type { Status, StatusRow } from '../store/ledgers.ts';

const STYLE = `
  :root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
  body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
  h1 { font-size: 1.4rem; margin: 0; }
  p { margin: .3rem 0 1rem; }
  .scroll { overflow-x: auto; }
  table { border-collapse: collapse; width: 100%; white-space: nowrap; font-variant-numeric: tabular-nums; }
  th, td { text-align: left; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid #8884; }
  th { font-weight: 600; }
  td.number, th.number { text-align: right; }
  .state::before { content: '●'; margin-right: .4em; color: #888; }
  .in-step::before { color: #2a9d4a; } .running::before { color: #2f7fd6; }
  .late::before, .new::before { color: #d99a00; } .failing::before, .gap::before { color: #d33; }
  .trouble { border-left: 4px solid #d33; padding: .5rem 1rem; }
`;

/** Writes the plain status page: a line per feed, and first what stops them all. */
export function renderStatusPage({ feeds, blocked }: Status, now: number): string {
  const inStep = feeds.filter(({ state }) => state === 'in step' || state === 'running').length;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="5">
<title>vcc-sync: ${inStep} of ${feeds.length} feeds in step</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>vcc-sync</h1>
<p>${inStep} of ${feeds.length} feeds in step at ${time(now)} (China time)</p>
${blocked ? renderBlock(blocked) : ''}
${feeds.length === 0 ? '<p>No organisations yet: <code>vcc-sync org add CODE</code> adds one.</p>' : renderTable(feeds)}
</main>
</body>
</html>
`;
}

function renderBlock(blocked: NonNullable<Status['blocked']>): string {
  return `<p class="trouble" role="alert">The queue waits as a whole since ${time(blocked.blockedSince)}:
    ${escapeHtml(blocked.errorMessage ?? blocked.errorCode ?? 'the platform refuses us')}</p>`;
}

function renderTable(feeds: readonly StatusRow[]): string {
  return `<div class="scroll" role="region" aria-label="Feeds" tabindex="0">
<table>
<thead><tr><th scope="col">Organisation</th><th scope="col">Dataset</th><th scope="col">State</th>
<th scope="col">Complete through</th><th scope="col" class="number">Lag</th>
<th scope="col" class="number">Missing</th><th scope="col">Last run</th><th scope="col">Last error</th></tr></thead>
<tbody>
${feeds.map(renderFeed).join('\n')}
</tbody>
</table>
</div>`;
}

function renderFeed(feed: StatusRow): string {
  const missing = span(feed.gaps);
  const run = feed.lastRun;
  return `<tr>
<td>${escapeHtml(feed.orgCode)}${feed.orgName ? ` ${escapeHtml(feed.orgName)}` : ''}</td>
<td>${feed.dataset}</td>
<td><span class="state ${feed.state.replace(' ', '-')}">${feed.state}</span></td>
<td>${feed.completeThrough === null ? '–' : time(feed.completeThrough)}</td>
<td class="number">${feed.lag === null ? '–' : formatDuration(feed.lag)}</td>
<td class="number">${missing === 0 ? '–' : formatDuration(missing)}</td>
<td>${run ? `${run.status}: ${run.inserted} new, ${run.updated} changed, ${run.rejected} refused` : '–'}</td>
<td>${escapeHtml(feed.lastErrorCode ?? '')}</td>
</tr>`;
}

function time(at: number): string {
  const text = formatChinaIso(at);
  return `<time datetime="${text}">${text.slice(0, 19).replace('T', ' ')}</time>`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Makes text safe within HTML, attribute values included. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (found) => ENTITIES[found]!);
}
