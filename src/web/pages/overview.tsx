import type { FastifyInstance } from 'fastify';
import { hourlyChanges, lastFailures, runningRuns } from '../../store/activity.ts';
import { readStatus } from '../../store/ledgers.ts';
import { countUnresolvedRejects } from '../../store/reject-counts.ts';
import { readTheme, sendChart } from '../chart.ts';
import { sendPage } from '../layout.tsx';
import { MESSAGES } from '../messages.ts';
import type { WebOptions } from '../server.ts';
import { drawChanges, firstHour } from './changes-chart.ts';
import { Overview } from './overview-view.tsx';
import { OVERVIEW_WORDS } from './overview-words.ts';

/** Runs under way and failures that are listed. */
const LISTED = { running: 50, failed: 10 } as const;

/** Adds the overview at `/`: how all feeds stand, and first what stops them all. */
export function addOverview(app: FastifyInstance, { world, db, settings }: WebOptions): void {
  app.get('/', async (request, reply) => {
    const now = world.clock();
    const [status, hours, running, failed, rejects] = await Promise.all([
      readStatus(db, world.settings, now, { appId: settings.VCC_APP_ID }),
      hourlyChanges(db, firstHour(now)),
      runningRuns(db, LISTED.running),
      lastFailures(db, LISTED.failed),
      countUnresolvedRejects(db),
    ]);
    const words = MESSAGES[request.locale];
    const page = (
      <Overview
        status={status}
        hours={hours}
        running={running}
        failed={failed}
        rejects={rejects.reduce((sum, { count }) => sum + count, 0)}
        now={now}
        common={words}
        words={OVERVIEW_WORDS[request.locale]}
      />
    );
    return sendPage(request, reply, { title: words.nav.overview, live: true }, page);
  });

  app.get<{ Querystring: { theme?: string } }>('/charts/changes.svg', async (request, reply) => {
    const now = world.clock();
    const hours = await hourlyChanges(db, firstHour(now));
    const names = OVERVIEW_WORDS[request.locale];
    return sendChart(reply, drawChanges(hours, now, readTheme(request.query.theme), names));
  });
}
