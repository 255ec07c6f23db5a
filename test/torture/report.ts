import type { Finding } from './journal.ts';
import type { Report } from './torture.ts';

/** Findings of one kind that are shown with their facts. */
const SHOWN = 5;

/** Prints what a torture did and found, line by line. */
export function printReport(report: Report, print: (line: string) => void): void {
  const { seed, minutes, queue, reading, bounds, settings, findings } = report;
  print(
    `seed ${seed}, ${minutes} minutes, queue in ${queue}, reading ${reading}, bounds ${bounds}`,
  );
  const drawn = ['SYNC_SETTLE', 'SYNC_OVERLAP', 'SYNC_MAX_WINDOW', 'SYNC_SLICE'];
  print(`settings: ${drawn.map((name) => `${name}=${settings[name]}`).join(' ')}`);
  print(`downloads: ${report.downloads}; runs: ${list(report.runs)}`);
  print(`failed runs: ${list(report.failures)}`);
  print(`faults of the platform: ${list(report.faults)}`);
  print(`other deeds: ${list(report.deeds)}`);
  print(`right again ${(report.recovery / 1000).toFixed(1)} s after the calm began`);
  print(`compared: ${report.rows} rows; followed: ${report.states} states of rows`);
  if (findings.length === 0) {
    print('found: nothing');
    return;
  }
  for (const what of kindsOf(findings)) {
    const all = findings.filter((finding) => finding.what === what);
    print(`FOUND ${all.length} times: ${what}`);
    for (const { facts } of all.slice(0, SHOWN)) print(`  ${JSON.stringify(facts)}`);
  }
  print(`repeat it: npm run torture -- --seed ${seed} --minutes ${minutes} --queue ${queue}`);
}

/** What was found, each kind once. */
function kindsOf(findings: readonly Finding[]): string[] {
  return [...new Set(findings.map(({ what }) => what))].sort();
}

function list(counts: Readonly<Record<string, number>>): string {
  const all = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
  return all.length > 0 ? all.join(', ') : 'none';
}
