import { expect, it } from 'vitest';
import { HOUR } from '../../src/core/china-time.ts';
import type { Fault } from '../../src/simulator/faults.ts';
import { catchUp } from '../../src/sync/catch-up.ts';
import { observeDownloads } from '../../src/sync/observer.ts';
import { type EventMetrics, openEventMetrics } from '../../src/web/event-metrics.ts';
import { readSamples } from '../support/promql.ts';
import { useHarness } from '../support/sync-harness.ts';

const h = useHarness();
const FEED = { dataset: 'meters', orgCode: 'WJ0105' } as const;

/** Serves the feed with its events counted; answers the code of the failure, or how it ended. */
async function run(events: EventMetrics, fault?: Fault, signal = new AbortController().signal) {
  const { current } = h;
  current.now += HOUR;
  if (fault) current.simulator.faults.once({ dataset: FEED.dataset }, fault);
  const world = {
    ...current.sync,
    platform: observeDownloads(current.sync.platform, events, current.sync.clock),
    observer: events,
  };
  const options = { trigger: 'schedule', regardless: true } as const;
  return catchUp(world, FEED, options, signal).catch((error) => (error as { code: string }).code);
}

/** What the counters say that is not 0, by name and labels. */
async function counted(events: EventMetrics): Promise<Record<string, number>> {
  const samples = readSamples(await events.registry.metrics());
  const shown = samples.filter(({ name, value }) => value !== 0 && !/_(bucket|sum)$/.test(name));
  return Object.fromEntries(
    shown.map(({ name, labels: { dataset: _, ...labels }, value }) => [
      [name.replace('vcc_sync_', ''), ...Object.values(labels)].join(' '),
      value,
    ]),
  );
}

/** The newest run as the ledger has it. */
async function lastRun() {
  const [row] = await h.current.query<Record<string, number | string>>(
    'select id, status, lines, rejected, bytes, inserted, updated, unchanged from vcc.run order by id desc limit 1',
  );
  return row!;
}

it('counts a committed run as its receipt has it, and says so in the log with its run and length', async () => {
  await h.current.addOrgs(['WJ0105']);
  const events = openEventMetrics();
  expect(await run(events)).toBe('caught-up');
  const ledger = await h.current.query<Record<string, number>>(
    'select count(*)::int as runs, sum(bytes)::int as bytes, sum(inserted)::int as inserted from vcc.run',
  );
  const { runs, bytes, inserted } = ledger[0]!;
  expect(await counted(events)).toMatchObject({
    'runs_total done': runs,
    'rows_total inserted': inserted,
    download_bytes_total: bytes,
    'run_duration_seconds_count done': runs,
    download_duration_seconds_count: runs,
  });
  const [line] = h.current.log.lines.filter(({ message }) => message === 'window loaded').slice(-1);
  const last = await lastRun();
  expect(line!.facts).toMatchObject({
    dataset: 'meters',
    org: 'WJ0105',
    run: last.id,
    lines: last.lines,
    bytes: last.bytes,
    ms: 0,
  });
});

it('counts a run that was refused by its code, with its rejects by reason and without its rows', async () => {
  await h.current.addOrgs(['WJ0105']);
  const events = openEventMetrics();
  const fault: Fault = { kind: 'bad-lines', share: 0.7, reasons: ['no_key', 'nul'] };
  expect(await run(events, fault)).toBe('TOO_MANY_REJECTS');
  const last = await lastRun();
  const numbers = await counted(events);
  expect(numbers).toEqual({
    'runs_total failed': 1,
    'run_failures_total TOO_MANY_REJECTS': 1,
    'rejects_total no_key': expect.any(Number),
    'rejects_total nul': expect.any(Number),
    download_bytes_total: last.bytes,
    'run_duration_seconds_count failed': 1,
    download_duration_seconds_count: 1,
  });
  expect(numbers['rejects_total no_key']! + numbers['rejects_total nul']!).toBe(last.rejected);
  const [line] = h.current.log.lines.filter(({ message }) => message === 'window failed');
  expect(line!.facts).toMatchObject({
    dataset: 'meters',
    org: 'WJ0105',
    run: last.id,
    code: 'TOO_MANY_REJECTS',
  });
});

it('counts the bytes of a download that breaks off, but no download', async () => {
  await h.current.addOrgs(['WJ0105']);
  const events = openEventMetrics();
  const code = await run(events, { kind: 'reset-in-body' });
  const last = await lastRun();
  expect(last.status).toBe('failed');
  expect(last.bytes).toBeGreaterThan(0);
  expect(await counted(events)).toEqual({
    'runs_total failed': 1,
    [`run_failures_total ${code}`]: 1,
    download_bytes_total: last.bytes,
    'run_duration_seconds_count failed': 1,
  });
});

it('counts a run that was given back as interrupted, and not as a failure', async () => {
  await h.current.addOrgs(['WJ0105']);
  const events = openEventMetrics();
  const stopping = new AbortController();
  const received: EventMetrics['received'] = (...piece) => {
    events.received(...piece);
    stopping.abort();
  };
  expect(await run({ ...events, received }, { kind: 'dripping-body' }, stopping.signal)).toBe(
    'INTERRUPTED',
  );
  expect((await lastRun()).status).toBe('interrupted');
  expect(await counted(events)).toMatchObject({ 'runs_total interrupted': 1 });
  expect(Object.keys(await counted(events)).join()).not.toMatch(/fail|done/);
});
