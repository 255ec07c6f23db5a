import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DAY, HOUR, SECOND } from '../../src/core/china-time.ts';
import { listFeeds } from '../../src/store/feeds.ts';
import { type Harness, openHarness } from '../support/sync-harness.ts';
import { findBackwards, notedStates, watchRows } from '../torture/back-watch.ts';
import type { Finding } from '../torture/journal.ts';
import { ledgerRuns } from '../torture/ledger.ts';
import { findDifferences, findHoles, findLedgerFaults } from '../torture/oracle.ts';
import { findRejectFaults, storedRejects } from '../torture/refused-lines.ts';

let h: Harness;
let calmAt: number;

/** A supply point with three states, of which the copy has seen two. */
const KEY = 'TAMPERED';

beforeEach(async () => {
  const now = Math.floor(Date.now() / SECOND) * SECOND;
  const world = { bornAt: now - 2 * DAY, until: now - HOUR, subscribersPerOrg: 20 };
  h = await openHarness({ now, world });
  await watchRows(h.store.pool);
  await h.addOrgs(['WJ0105']);
  h.simulator.faults.once({ dataset: 'meters' }, { kind: 'bad-lines', share: 0.01 });
  point('one', now - DAY);
  point('two', now - HOUR);
  await h.runAll();
  h.world.change(30, now);
  point('three', now);
  h.now += HOUR;
  await h.runAll();
  // Once more: within that hour the recent past of a feed may have come to be read again.
  await h.runAll();
  calmAt = now;
});

afterEach(() => h.close());

/** What the oracle finds in the database as it is, each kind once. */
async function found(): Promise<string[]> {
  const { pool, db } = h.store;
  const feeds = await listFeeds(db);
  const runs = await ledgerRuns(pool);
  const findings: Finding[] = [
    ...(await findDifferences(pool, h.world, feeds)).findings,
    ...findHoles(feeds, calmAt).filter(({ what }) => what === 'the coverage has a hole'),
    ...findBackwards(await notedStates(pool), h.world),
    ...findRejectFaults(runs, h.simulator.injected, await storedRejects(pool)),
    ...(await findLedgerFaults(pool)),
  ];
  return [...new Set(findings.map(({ what }) => what))].sort();
}

function point(place: string, at: number): void {
  h.world.put('supply_points', 'WJ0105', { supply_point_code: KEY, address_detail: place }, at);
}

/** Writes into the copy what no run delivered. */
function tamper(place: string): Promise<object[]> {
  return h.query('update vcc.supply_point set address_detail = $2 where supply_point_code = $1', [
    KEY,
    place,
  ]);
}

describe("the torture's oracle", () => {
  it('finds nothing where all is well', async () => {
    expect(await found()).toEqual([]);
    expect((await storedRejects(h.store.pool)).length).toBeGreaterThan(0);
  });

  it('finds a row that was set back and came right again', async () => {
    await tamper('two');
    await tamper('three');
    expect(await found()).toEqual(['a row went back']);
  });

  it('finds a row with a value that the source never had', async () => {
    await tamper('elsewhere');
    expect(await found()).toEqual([
      'a row took a state that the source never had',
      'rows differ from the source',
    ]);
  });

  it('finds a row that was delivered by a newer window than it says', async () => {
    await h.query(`update vcc.meter set synced_through = synced_through - interval '1 hour'`);
    expect(await found()).toEqual(['synced_through went back']);
  });

  it('finds a deleted row, and one that the source has not', async () => {
    await h.query('delete from vcc.supply_point where supply_point_code = $1', [KEY]);
    expect(await found()).toEqual(['rows of the source are missing', 'rows were deleted']);
    await h.query(`insert into vcc.supply_point (supply_point_code, org_code, first_seen_at, changed_at, synced_through, run_id)
      select 'X', 'WJ0105', now(), now(), now(), max(id) from vcc.run`);
    expect(await found()).toContain('rows are stored that the source has not');
  });

  it('finds a hole in the coverage', async () => {
    await h.query(`update vcc.feed set coverage = coverage - tstzmultirange(tstzrange(
      date_trunc('second', now()) - interval '3 hours', date_trunc('second', now()) - interval '2 hours'))
      where dataset = 'meters'`);
    expect(await found()).toEqual(['the coverage has a hole']);
  });

  it('finds a refused line that is gone, and one that was never served', async () => {
    await h.query('delete from vcc.reject where id = (select min(id) from vcc.reject)');
    expect(await found()).toEqual(['a bad line that was served is not stored']);
    await h.query(`insert into vcc.reject (feed_id, run_id, line_no, reason, line_hash, window_to)
      select feed_id, id, 2, 'nul', 'f00', window_to from vcc.run limit 1`);
    expect(await found()).toContain('a refused line is stored that was never served');
  });

  it('finds a wrong count, a run left running, an open request and an unbalanced receipt', async () => {
    const [run] = await h.query<{ id: number }>('select max(run_id) as id from vcc.meter');
    const loaded = run!.id;
    await h.query(
      `update vcc.run set rejected = rejected + 1, lines = lines + 1 where id = ${loaded}`,
    );
    expect(await found()).toEqual(['a run counted other bad lines than it was served']);
    await h.query(`update vcc.run set status = 'running', finished_at = null where id = ${loaded}`);
    expect(await found()).toEqual([
      'a row names a run that did not commit',
      'a run is left running',
    ]);
    await h.query(`insert into vcc.request (feed_id, kind, during, requested_by)
      values (1, 'resync', '[2026-10-01 00:00+00,2026-10-02 00:00+00)', 'test')`);
    await h.query('alter table vcc.run drop constraint run_receipt_balances');
    await h.query(
      `update vcc.run set status = 'done', finished_at = now(), lines = 0, rejected = 1 where id = ${loaded}`,
    );
    expect(await found()).toEqual(
      expect.arrayContaining(['a receipt does not balance', 'a request is not finished']),
    );
  });
});
