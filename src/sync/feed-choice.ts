import type { DatasetName } from '../core/dataset.ts';
import { FatalError } from '../core/errors.ts';
import type { KnownFeed } from '../core/request.ts';

/**
 * Chooses feeds of one organisation by their datasets.
 *
 * @param feeds the organisation's feeds; null if it is not known
 * @throws FatalError CONFIG that names the organisation or the dataset that is not there
 */
export function chooseFeeds(
  feeds: readonly KnownFeed[] | null,
  orgCode: string,
  datasets: readonly DatasetName[] | 'all',
): readonly KnownFeed[] {
  if (feeds === null) throw unknownOrg(orgCode);
  if (datasets === 'all') return feeds;
  return datasets.map((dataset) => {
    const feed = feeds.find((one) => one.dataset === dataset);
    if (feed) return feed;
    throw new FatalError(
      'CONFIG',
      `organisation ${orgCode} has no feed for ${dataset}; add it with vcc-sync org add ${orgCode} --datasets ${dataset}`,
    );
  });
}

/** The error that names an organisation that is not there. */
export function unknownOrg(orgCode: string): FatalError {
  return new FatalError(
    'CONFIG',
    `organisation ${orgCode} is not known; vcc-sync org list shows those that are, vcc-sync org add adds one`,
  );
}
