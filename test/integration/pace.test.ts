import { afterEach, describe, expect, it } from 'vitest';
import { DAY, SECOND } from '../../src/core/china-time.ts';
import { realTime } from '../../src/simulator/call.ts';
import { openAudits } from '../../src/store/audits.ts';
import { openRequestStore } from '../../src/store/requests.ts';
import { openSamples } from '../../src/store/samples.ts';
import { auditFeed } from '../../src/sync/audit.ts';
import { reconcileSubscribers } from '../../src/sync/reconcile-subscribers.ts';
import { type Harness, openHarness } from '../support/sync-harness.ts';

const ORG = 'WJ0105';
const MAX_RPS = 12;
const BY = { orgCode: ORG, afresh: false, reason: null, requestedBy: 'test' } as const;
const never = new AbortController().signal;

let h: Harness;
afterEach(() => h.close());

/** A feed of subscribers that is loaded, of which some differ. */
async function stage(maxRps?: number): Promise<void> {
  h = await openHarness({
    world: { subscribersPerOrg: 260, changesPerDay: 0 },
    settings: { deep: { every: DAY, span: 0 } },
    ...(maxRps && { maxRps }),
  });
  await h.addOrgs([ORG]);
  await h.run('subscribers', ORG);
  await h.query(`delete from vcc.subscriber where subscriber_code like '%7'`);
  await h.query(
    `insert into vcc.subscriber (subscriber_code, org_code, first_seen_at, changed_at, synced_through, run_id)
      select 'X' || number, $1, now(), now(), $2, 1 from generate_series(1, 20) as number`,
    [ORG, new Date(h.now - DAY)],
  );
}

const audit = () => {
  const stores = { requests: openRequestStore(h.store.db), audits: openAudits(h.store.db) };
  const wish = { ...BY, dataset: 'subscribers', windows: 4 } as const;
  return auditFeed({ sync: h.sync, ...stores }, wish, () => {}, never);
};

const reconcile = () => {
  const stores = { requests: openRequestStore(h.store.db), samples: openSamples(h.store.db) };
  const wait = async (ms: number) => {
    h.now += ms;
  };
  const world = { sync: h.sync, source: h.client, ...stores, wait };
  return reconcileSubscribers(world, { ...BY, sample: 20 }, () => {}, never);
};

/** What it asks the platform for, in order. */
async function requestsOf(work: () => Promise<unknown>) {
  const before = h.simulator.requests.length;
  await work();
  return h.simulator.requests.slice(before);
}

describe.each([
  ['an audit', audit],
  ['a comparison of subscribers', reconcile],
])('%s', (_, work) => {
  it('asks the platform for one thing at a time', async () => {
    await stage();
    const requests = await requestsOf(work);
    expect(requests.length).toBeGreaterThan(20);
    for (const [index, { endedAt }] of requests.entries()) {
      const next = requests[index + 1];
      if (next) expect(next.startedAt).toBeGreaterThanOrEqual(endedAt!);
    }
  });

  it('asks no faster than VCC_MAX_RPS allows', async () => {
    await stage(MAX_RPS);
    const began = realTime();
    const requests = await requestsOf(work);
    expect(requests.length).toBeGreaterThan(20);
    for (const [index, { startedAt }] of requests.entries()) {
      // A timer may be a millisecond early, and our clock is not Postgres's.
      expect(startedAt - began).toBeGreaterThan((index * SECOND) / MAX_RPS - 5);
    }
  });
});
