import { sql } from 'kysely';
import type { FeedCoverage } from '../core/coverage.ts';
import type { Interval, IntervalSet } from '../core/interval.ts';
import type { KnownFeed } from '../core/request.ts';
import { guarded } from './database-error.ts';
import { acceptedGaps } from './feeds.ts';
import { feedsOfOrg } from './orgs.ts';
import type { Database } from './pool.ts';
import { milliseconds, rangesAsJson, readRanges, toRange } from './time.ts';

/** Who accepts gaps, and why. */
interface Acceptance {
  readonly reason: string;
  readonly acceptedBy: string;
}

/** Picks gaps by what a feed covers. */
type ChooseGaps = (feed: FeedCoverage & { readonly every: number | null }) => IntervalSet;

/** Records the gaps that are chosen by the feed's coverage; the feed's row is locked meanwhile. */
function recordAcceptance(
  db: Database,
  feedId: number,
  { reason, acceptedBy }: Acceptance,
  choose: ChooseGaps,
): Promise<IntervalSet> {
  return db.transaction().execute(async (trx) => {
    await trx.selectFrom('vcc.feed').where('id', '=', feedId).forUpdate().execute();
    const { coverage, accepted, ...feed } = await trx
      .selectFrom('vcc.feed as f')
      .select(({ ref }) => [
        milliseconds(ref('f.since')).as('since'),
        milliseconds(ref('f.every')).as('every'),
        rangesAsJson(ref('f.coverage')).as('coverage'),
        rangesAsJson(acceptedGaps(ref('f.id'))).as('accepted'),
      ])
      .where('f.id', '=', feedId)
      .executeTakeFirstOrThrow();
    const chosen = choose({
      ...feed,
      coverage: readRanges(coverage),
      accepted: readRanges(accepted),
    });
    const rows = chosen.map((gap) => ({
      feed_id: feedId,
      during: toRange(gap),
      reason,
      accepted_by: acceptedBy,
    }));
    if (rows.length > 0) await trx.insertInto('vcc.gap_acceptance').values(rows).execute();
    return chosen;
  });
}

/** A gap that somebody accepted; times in milliseconds. */
export interface AcceptanceRow extends Acceptance {
  readonly during: Interval;
  readonly acceptedAt: number;
}

/** What was accepted of a feed, the oldest source time first. */
export async function listAcceptances(db: Database, feedId: number): Promise<AcceptanceRow[]> {
  const rows = await db
    .selectFrom('vcc.gap_acceptance')
    .select(({ ref }) => [
      milliseconds(sql<Date>`lower(${ref('during')})`).as('from'),
      milliseconds(sql<Date>`upper(${ref('during')})`).as('to'),
      'reason',
      'accepted_by as acceptedBy',
      milliseconds(ref('accepted_at')).as('acceptedAt'),
    ])
    .where('feed_id', '=', feedId)
    .orderBy('during')
    .execute();
  return rows.map(({ from, to, ...row }) => ({ ...row, during: { from, to } }));
}

/** Accepted gaps in Postgres, as the use case `acceptGaps` needs them. */
export function openGapStore(db: Database): {
  feedsOf(orgCode: string): Promise<readonly KnownFeed[] | null>;
  accept(feedId: number, by: Acceptance, choose: ChooseGaps): Promise<IntervalSet>;
} {
  return {
    feedsOf: (orgCode) => guarded(feedsOfOrg(db, orgCode)),
    accept: (feedId, by, choose) => guarded(recordAcceptance(db, feedId, by, choose)),
  };
}
