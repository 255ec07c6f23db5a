import { floorSecond, MINUTE, SECOND } from '../../src/core/china-time.ts';
import { completeThrough } from '../../src/core/coverage.ts';
import { listFeeds } from '../../src/store/feeds.ts';
import type { Journal } from './journal.ts';
import { pause } from './processes.ts';
import type { Stage } from './stage.ts';

/** How long the service may take to put everything right by itself, unless said otherwise. */
const PATIENCE = 3 * MINUTE;

const LOOK_EVERY = 500;

/**
 * Waits until every feed is complete through the moment at which the calm began, and every request is
 * finished, without doing anything; notes a finding if that takes too long. Then ends every process in
 * order.
 *
 * @param patience how long it may take (milliseconds)
 * @returns that moment (milliseconds), and how long it took
 */
export async function waitForCalm(
  stage: Stage,
  journal: Journal,
  signal: AbortSignal,
  patience: number = PATIENCE,
): Promise<{ readonly calmAt: number; readonly took: number }> {
  const began = Date.now();
  const calmAt = floorSecond(began) + SECOND;
  for (;;) {
    const behind = await whatIsBehind(stage, calmAt);
    if (behind.feeds.length + behind.requests === 0) break;
    signal.throwIfAborted();
    if (Date.now() - began > patience) {
      journal.find('the service did not put everything right by itself', behind);
      break;
    }
    await pause(LOOK_EVERY, signal);
  }
  const took = Date.now() - began;
  const codes = await Promise.all(stage.services.map(({ process }) => process.close()));
  if (codes.some((code) => code !== 0)) {
    journal.find('a process did not end in order', { codes });
  }
  return { calmAt, took };
}

async function whatIsBehind({ db, pool }: Stage, calmAt: number) {
  const feeds = await listFeeds(db);
  const { rows } = await pool.query<{ open: number }>(
    'select count(*)::int as open from vcc.request where finished_at is null',
  );
  const behind = feeds.filter((feed) => (completeThrough(feed) ?? 0) < calmAt);
  return {
    feeds: behind.map(({ dataset, orgCode, lastErrorCode, consecutiveFailures }) => ({
      ...{ dataset, orgCode, lastErrorCode, consecutiveFailures },
    })),
    requests: rows[0]!.open,
  };
}
