import type { Command } from 'commander';
import { DATABASE_SETTINGS } from '../config.ts';
import type { DatasetName } from '../core/dataset.ts';
import { feedsOfOrg, pauseFeeds } from '../store/orgs.ts';
import { chooseFeeds } from '../sync/feed-choice.ts';
import { run } from './action.ts';
import { readDatasets, readOrgCode } from './arguments.ts';

interface FeedOptions {
  readonly org: string;
  readonly dataset: readonly DatasetName[] | 'all';
}

/** Adds `feed pause` and `feed resume`. */
export function registerFeed(program: Command): void {
  const feed = program.command('feed').description('stop single feeds for a while');
  registerPause(feed, 'pause', 'stop synchronising feeds of an organisation for a while', true);
  registerPause(feed, 'resume', 'let paused feeds go on, from where they stopped', false);
}

function registerPause(
  feed: Command,
  name: 'pause' | 'resume',
  description: string,
  paused: boolean,
): void {
  feed
    .command(name)
    .description(description)
    .requiredOption('--org <code>', 'organisation', readOrgCode)
    .option('--dataset <list>', 'one dataset, several with commas, or all', readDatasets, 'all')
    .action(
      run(DATABASE_SETTINGS, async ({ out, openDatabase }, { org, dataset }: FeedOptions) => {
        const db = await openDatabase();
        const feeds = chooseFeeds(await feedsOfOrg(db, org), org, dataset);
        await pauseFeeds(
          db,
          feeds.map(({ id }) => id),
          paused,
        );
        for (const one of feeds) out.line(`${name}d ${one.dataset} ${org}`);
        return 0;
      }),
    );
}
