import { describe, expect, it } from 'vitest';
import type { RequestRecord } from '../../src/simulator/call.ts';
import type { Incident } from '../torture/journal.ts';
import type { LedgerRun } from '../torture/ledger.ts';
import { findOverlaps } from '../torture/overlaps.ts';

const AT = Date.UTC(2026, 9, 20);

/** Two runs of one feed; the younger begins its download while the older's is open until `openUntil`. */
function scene(
  older: Partial<LedgerRun>,
  incidents: readonly Incident[] = [],
  openUntil = AT + 20_000,
) {
  const run = (id: number, startedAt: number, over: Partial<LedgerRun> = {}): LedgerRun => ({
    ...{ id, feedId: 1, orgCode: 'WJ0105', dataset: 'meters', status: 'done', errorCode: null },
    ...{
      from: '20261020000000',
      to: `2026102000000${id}`,
      seq: `seq ${id}`,
      rejected: 0,
      duplicate: 0,
    },
    ...{ startedAt, finishedAt: startedAt + 15_000, pid: 100 + id, ...over },
  });
  const request = (id: number, startedAt: number, endedAt: number): RequestRecord => ({
    ...{
      at: startedAt,
      interface: '3004',
      path: '/meter/download',
      orgCode: 'WJ0105',
      dataset: 'meters',
    },
    ...{ from: '20261020000000', to: `2026102000000${id}`, seq: `seq ${id}`, token: null },
    ...{ result: 'ok', rows: 1, startedAt, endedAt },
  });
  return findOverlaps({
    requests: [request(1, AT, openUntil), request(2, AT + 10_000, AT + 20_000)],
    runs: [run(1, AT, older), run(2, AT + 9_000)],
    incidents,
  });
}

const taken = { status: 'interrupted', finishedAt: AT + 8_000, seq: null } as const;
const incident = (pids: number[], at: number): Incident => ({ what: 'cut', at, until: at, pids });

describe("the torture's watch over two downloads of one feed at once", () => {
  it('finds two that were both committed', () => {
    expect(scene({})).toMatchObject([{ facts: { why: 'the older had not ended' } }]);
  });

  it('finds a take-over for which there was no reason', () => {
    const why = 'nothing had taken the feed from the older';
    expect(scene(taken)).toMatchObject([{ facts: { why } }]);
    // Neither what befell another process is one, nor what came later or long before.
    expect(scene(taken, [incident([102], AT + 5_000)])).toMatchObject([{ facts: { why } }]);
    expect(scene(taken, [incident([101], AT + 11_000)])).toMatchObject([{ facts: { why } }]);
    expect(scene(taken, [incident([101], AT - 60_000)])).toMatchObject([{ facts: { why } }]);
  });

  it('lets a take-over be whose reason is known', () => {
    expect(scene(taken, [incident([101], AT + 5_000)])).toEqual([]);
  });

  it('finds a download that goes on long after its run has failed, not one that just ends', () => {
    const failed = { status: 'failed', finishedAt: AT + 8_000 } as const;
    const why = 'the older went on after its end';
    expect(scene(failed, [], AT + 14_000)).toMatchObject([{ facts: { why } }]);
    expect(scene(failed, [], AT + 11_000)).toEqual([]);
  });

  it('finds a download that no run stands for', () => {
    expect(scene({ seq: null, to: '20261020000009' })).toMatchObject([
      { facts: { why: 'no run' } },
    ]);
  });
});
