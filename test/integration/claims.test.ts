import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MINUTE } from '../../src/core/china-time.ts';
import { RetryableError } from '../../src/core/errors.ts';
import { EMPTY_RECEIPT } from '../../src/core/receipt.ts';
import { readHeader } from '../../src/core/table/header.ts';
import type { Row } from '../../src/core/table/row.ts';
import { CATALOGUE } from '../../src/datasets/catalogue.ts';
import { Store } from '../../src/store/store.ts';
import { catchUp } from '../../src/sync/catch-up.ts';
import type { FeedClaim, RunStart, WindowCommit } from '../../src/sync/ports.ts';
import { eventually } from '../support/eventually.ts';
import { useHarness } from '../support/sync-harness.ts';

const FEED = { dataset: 'meters', orgCode: 'WJ0105' } as const;
const FROM = Date.UTC(2026, 9, 20);
const RUN: RunStart = {
  trigger: 'schedule',
  requestId: null,
  window: { from: FROM, to: FROM + MINUTE },
  requested: { from: FROM - MINUTE, to: FROM + MINUTE },
};
const COMMIT: WindowCommit = {
  window: RUN.window,
  since: RUN.window.from,
  receipt: EMPTY_RECEIPT,
  facts: { seq: null, httpStatus: 200, bytes: 0, sha256: null, clockSkew: null },
  rejects: [],
  seen: [],
  nextDueAt: RUN.window.to,
  noticeDueAt: RUN.window.to,
  finishedRequests: [],
  deep: null,
  missed: 0,
};
const HEADER = CATALOGUE.meters.columns.map(({ header }) => header);
const never = new AbortController().signal;

const h = useHarness();
/** The store of another process on the same database. */
let elsewhere: Store;
let feedId: number;

beforeEach(async () => {
  const { current } = h;
  await current.addOrgs(['WJ0105']);
  elsewhere = new Store(current.databaseUrl, { runs: 4 });
  feedId = (await current.store.feeds.find(FEED))!.id;
});
afterEach(async () => {
  await elsewhere.close();
});

async function* noRows(): AsyncGenerator<readonly Row[]> {}

async function take(store: Store): Promise<FeedClaim> {
  const claim = await store.feeds.claim(feedId, never);
  if (!claim) throw new Error('the feed is busy');
  return claim;
}

/** Lets the run look as if its process had shown no life for longer than is borne. */
async function silence(runId: number): Promise<void> {
  await h.current.query(
    `update vcc.run set heartbeat_at = now() - interval '61 seconds' where id = $1`,
    [runId],
  );
}

async function runOf(runId: number): Promise<{ status: string; error_code: string | null }> {
  const [run] = await h.current.query<{ status: string; error_code: string | null }>(
    'select status, error_code from vcc.run where id = $1',
    [runId],
  );
  return run!;
}

describe('a feed', () => {
  it('is busy for others while one holds it, and free again afterwards', async () => {
    const claim = await take(elsewhere);
    expect(await h.current.store.feeds.claim(feedId, never)).toBeNull();
    await claim.release();
    const again = await take(h.current.store);
    expect(again.feed).toMatchObject({ id: feedId, ...FEED });
    await again.release();
  });

  it('found busy leaves no run, asks the platform nothing and stays due', async () => {
    const claim = await take(elsewhere);
    const { sync, simulator } = h.current;
    expect(await catchUp(sync, FEED, { trigger: 'schedule' }, never)).toBe('busy');
    expect(simulator.requests).toEqual([]);
    expect(await h.current.query('select from vcc.run')).toEqual([]);
    expect(await h.current.store.feeds.due(h.current.now, 10)).toContainEqual(FEED);
    await claim.release();
  });

  /** Catches the feed up, waiting for whoever holds it; `busy` resolves once it waits. */
  function waitForIt(signal: AbortSignal): { turn: Promise<string>; busy: Promise<void> } {
    let turn: Promise<string> = Promise.resolve('');
    const busy = new Promise<void>((onBusy) => {
      const options = { trigger: 'cli', regardless: true, wait: true, onBusy } as const;
      turn = catchUp(h.current.sync, FEED, options, signal).catch((error) => error.code);
    });
    return { turn, busy };
  }

  it('can be waited for', async () => {
    const claim = await take(elsewhere);
    const { turn, busy } = waitForIt(never);
    await busy;
    await claim.release();
    expect(await turn).toBe('caught-up');
    await h.current.expectEqual(['meters']);
  });

  it('is no longer waited for once the process is asked to stop', async () => {
    const claim = await take(elsewhere);
    const stop = new AbortController();
    const { turn, busy } = waitForIt(stop.signal);
    await busy;
    stop.abort();
    expect(await turn).toBe('INTERRUPTED');
    expect(await waitForIt(AbortSignal.abort()).turn).toBe('INTERRUPTED');
    await claim.release();
  });

  it('is taken over by whoever waits for a holder that shows no sign of life', async () => {
    const claim = await take(elsewhere);
    await silence(await claim.start(RUN));
    expect(await waitForIt(never).turn).toBe('caught-up');
    await claim.release();
  });

  it('is left alone by a process that comes back after it was taken over', async () => {
    const claim = await take(elsewhere);
    const runId = await claim.start(RUN);
    await silence(runId);
    await waitForIt(never).turn;
    const state = () =>
      h.current.query(
        'select next_due_at, consecutive_failures, last_error from vcc.feed order by id',
      );
    const before = await state();
    await elsewhere.feeds.recordFailure({
      runId,
      feed: claim.feed,
      error: new RetryableError('DATABASE_BUSY', 'the connection was lost'),
      facts: { seq: null, httpStatus: null, bytes: 0, sha256: null, clockSkew: null },
      lines: 1,
      rejected: 1,
      rejects: [{ lineNo: 2, reason: 'no_key', rowKey: null, hash: 'h', line: '|' }],
      seen: [],
      header: null,
      nextDueAt: FROM,
      counts: true,
      knownRequests: [],
    });
    expect(await state()).toEqual(before);
    expect(await h.current.query('select from vcc.reject')).toEqual([]);
    expect(await runOf(runId)).toMatchObject({ status: 'interrupted' });
    await claim.release();
  });

  it('is never held twice, whoever of two processes asks and however often', async () => {
    let holders = 0;
    let most = 0;
    let rounds = 0;
    const worker = async (store: Store) => {
      for (let round = 0; round < 50; round += 1) {
        const claim = await store.feeds.claim(feedId, never);
        if (!claim) continue;
        holders += 1;
        most = Math.max(most, holders);
        rounds += 1;
        await claim.start(RUN);
        holders -= 1;
        await claim.release();
      }
    };
    const stores = [h.current.store, elsewhere];
    await Promise.all(stores.flatMap((store) => [worker(store), worker(store)]));
    expect(rounds).toBeGreaterThan(1);
    expect(most).toBe(1);
    const running = await h.current.query(`select from vcc.run where status = 'running'`);
    expect(running.length).toBeLessThanOrEqual(1);
  });

  it('keeps the beginning that an operator gave it while its first run was under way', async () => {
    const claim = await take(elsewhere);
    await claim.start(RUN);
    const given = new Date(FROM - 40 * 24 * 60 * MINUTE);
    await h.current.query('update vcc.feed set since = $2 where id = $1', [feedId, given]);
    await claim.stage(readHeader(HEADER, CATALOGUE.meters), noRows());
    const options = { from: RUN.window.from, syncedThrough: RUN.window.to, force: false };
    await claim.classify(options);
    await claim.merge(options);
    await claim.commit(COMMIT);
    const [feed] = await h.current.query('select since from vcc.feed where id = $1', [feedId]);
    expect(feed).toEqual({ since: given });
  });

  it('commits nothing of a receipt that Postgres refuses, and tells that error though others follow it', async () => {
    const claim = await take(h.current.store);
    const runId = await claim.start(RUN);
    // With it, a statement is sent behind the one that fails.
    await h.current.query(
      `insert into vcc.reject (feed_id, run_id, line_no, reason, row_key, line_hash, line, window_to)
        values ($1, $2, 2, 'no_org', 'M1', 'h', '|', $3)`,
      [feedId, runId, new Date(FROM)],
    );
    await claim.stage(readHeader(HEADER, CATALOGUE.meters), noRows());
    await claim.merge({ from: RUN.window.from, syncedThrough: RUN.window.to, force: false });
    const unbalanced = { ...EMPTY_RECEIPT, lines: 1 };
    await expect(claim.commit({ ...COMMIT, receipt: unbalanced })).rejects.toMatchObject({
      code: 'INTERNAL',
    });
    await claim.release();
    const [feed] = await h.current.query('select isempty(coverage) from vcc.feed where id = $1', [
      feedId,
    ]);
    expect(feed).toEqual({ isempty: true });
  });

  it('does not keep another feed of the same org from being held', async () => {
    const claim = await take(elsewhere);
    const sibling = await h.current.store.feeds.find({ ...FEED, dataset: 'addresses' });
    const second = await h.current.store.feeds.claim(sibling!.id, never);
    expect(second).not.toBeNull();
    await second!.release();
    await claim.release();
  });

  it('loaded by eight callers at once is downloaded once, and no two downloads overlap', async () => {
    const { sync, simulator } = h.current;
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        catchUp(
          index % 2 ? sync : { ...sync, feeds: elsewhere.feeds },
          FEED,
          { trigger: 'schedule' },
          never,
        ),
      ),
    );
    expect(outcomes.filter((outcome) => outcome === 'caught-up')).toHaveLength(1);
    expect(new Set(outcomes)).not.toContain('nothing-to-do');
    expect(simulator.maxConcurrentPerFeed).toBe(1);
    await h.current.expectEqual(['meters']);
  });
});

describe('a run whose process died', () => {
  it('is closed as interrupted by whoever claims the feed next', async () => {
    const dead = await take(elsewhere);
    const runId = await dead.start(RUN);
    // The lock goes with the transaction; the row stays as a killed process leaves it.
    await dead.release();
    expect(await runOf(runId)).toEqual({ status: 'running', error_code: null });

    const [outcome] = await h.current.run('meters', 'WJ0105');

    expect(await runOf(runId)).toEqual({ status: 'interrupted', error_code: 'INTERRUPTED' });
    expect(await runOf(outcome!.runId)).toEqual({ status: 'done', error_code: null });
    expect((await h.current.store.feeds.find(FEED))!.consecutiveFailures).toBe(0);
  });

  it('is closed by reap after a minute of silence though its backend lives on without the lock', async () => {
    const failed = await take(elsewhere);
    const runId = await failed.start(RUN);
    // As when the database took neither the work nor the record of its failure.
    await failed.release();
    await h.current.store.feeds.reap();
    expect((await runOf(runId)).status).toBe('running');
    await silence(runId);
    expect(await h.current.store.feeds.reap()).toBe(0);
    expect(await runOf(runId)).toEqual({ status: 'interrupted', error_code: 'INTERRUPTED' });
  });

  it('is closed by reap once its backend is gone, without anyone claiming the feed', async () => {
    const dead = await take(elsewhere);
    const runId = await dead.start(RUN);
    const [{ pid }] = (await h.current.query<{ pid: number }>(
      'select backend_pid as pid from vcc.run where id = $1',
      [runId],
    )) as [{ pid: number }];
    await h.current.query('select pg_terminate_backend($1, 5000)', [pid]);
    expect(await h.current.store.feeds.reap()).toBe(0);
    expect(await runOf(runId)).toEqual({ status: 'interrupted', error_code: 'INTERRUPTED' });
    await dead.release();
  });
});

// Left out: a lock without a run row. It is ended by the age of its transaction, which a test can
// neither set back nor wait for.
describe('a run without a sign of life', () => {
  it('of a minute is ended, and the feed can be taken over', async () => {
    const stopped = await take(elsewhere);
    const runId = await stopped.start(RUN);
    await silence(runId);

    expect(await h.current.store.feeds.reap()).toBe(1);

    const claim = await eventually(() => take(h.current.store));
    const next = await claim.start(RUN);
    expect(await runOf(runId)).toEqual({ status: 'interrupted', error_code: 'INTERRUPTED' });
    expect((await runOf(next)).status).toBe('running');
    await claim.release();
    // The stopped process wakes up and finds its connection gone.
    await expect(
      stopped.settle({
        nextDueAt: h.current.now,
        noticeDueAt: h.current.now,
        finishedRequests: [],
        deep: null,
      }),
    ).rejects.toMatchObject({
      code: 'DATABASE_AWAY',
    });
    await stopped.release();
    const [feed] = await h.current.query('select next_due_at from vcc.feed where id = $1', [
      feedId,
    ]);
    expect(feed).toEqual({ next_due_at: Number.NEGATIVE_INFINITY });
  });

  it('of less than a minute is left alone', async () => {
    const lively = await take(elsewhere);
    const runId = await lively.start(RUN);
    await h.current.query(
      `update vcc.run set heartbeat_at = now() - interval '50 seconds' where id = $1`,
      [runId],
    );
    expect(await h.current.store.feeds.reap()).toBe(0);
    expect(await h.current.store.feeds.claim(feedId, never)).toBeNull();
    expect((await runOf(runId)).status).toBe('running');
    await lively.release();
  });

  it('does not take a lively run of another feed with it', async () => {
    const stopped = await take(elsewhere);
    await silence(await stopped.start(RUN));
    const sibling = (await h.current.store.feeds.find({ ...FEED, dataset: 'addresses' }))!;
    const lively = (await elsewhere.feeds.claim(sibling.id, never))!;
    const runId = await lively.start(RUN);
    expect(await h.current.store.feeds.reap()).toBe(1);
    expect((await runOf(runId)).status).toBe('running');
    await lively.settle({
      nextDueAt: h.current.now,
      noticeDueAt: h.current.now,
      finishedRequests: [],
      deep: null,
    });
    await stopped.release();
  });

  it('leaves nothing behind in the staging table, however often a load is given up', async () => {
    const values = CATALOGUE.meters.columns.map(({ name }) => name);
    const rows = Array.from(
      { length: 3000 },
      (_, index): Row => ({
        lineNo: index + 2,
        key: `M${index}`,
        orgCode: 'WJ0105',
        values: values.with(0, `M${index}`),
        flags: null,
        extra: null,
      }),
    );
    async function* many(): AsyncGenerator<readonly Row[]> {
      yield rows;
    }
    for (let round = 0; round < 3; round += 1) {
      const claim = await take(elsewhere);
      await claim.stage(readHeader(HEADER, CATALOGUE.meters), many());
      await claim.release();
      const [staged] = await h.current.query<{ bytes: number }>(
        `select sum(pg_relation_size(oid))::int as bytes from pg_class
          where relname = 'stage' and relpersistence = 't'`,
      );
      expect(staged!.bytes).toBe(0);
    }
  });

  it('tells how far it is while its rows come', async () => {
    const lively = new Store(h.current.databaseUrl, { runs: 1, heartbeat: 20 });
    const claim = await take(lively);
    const runId = await claim.start(RUN);
    claim.note({ lines: 3, bytes: 100, length: 400 });
    await eventually(async () => {
      const [run] = await h.current.query(
        'select status, lines, bytes, bytes_expected from vcc.run where id = $1',
        [runId],
      );
      expect(run).toEqual({ status: 'running', lines: 3, bytes: 100, bytes_expected: 400 });
    });
    await claim.release();
    await lively.close();
  });
});
