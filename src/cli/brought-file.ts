import type { DatasetName } from '../core/dataset.ts';
import { toSyncError } from '../core/errors.ts';
import type { ImportOptions } from '../sync/import.ts';
import { subjectOf } from '../sync/sync-window.ts';
import type { Surroundings } from './action.ts';
import {
  type BRINGING_SETTINGS,
  type Bringing,
  describeBringing,
  openBringing,
} from './bringing.ts';
import { CommandFailure } from './failure.ts';
import { FileProgress } from './file-progress.ts';
import { nameOfFile, openTableFile, type TableFile } from './table-file.ts';

/** A table file that a person brings for a feed, and what the command stands on. */
export interface BroughtFile extends Bringing {
  /**
   * Lets a use case read the file, with progress on a terminal.
   *
   * @throws CommandFailure that names feed and file
   * @throws SyncError `CONFIG` as it is: it is about the arguments
   */
  read<T>(use: (options: ImportOptions) => Promise<T>): Promise<T>;
}

/** Opens the database for a command that brings a file; the file is opened once it is read. */
export async function openBroughtFile(
  surroundings: Surroundings<(typeof BRINGING_SETTINGS)[number]>,
  path: string,
  feed: { readonly dataset: DatasetName; readonly orgCode: string },
): Promise<BroughtFile> {
  const { out, defer } = surroundings;
  const line = new FileProgress(process.stderr);
  let file: TableFile | undefined;
  const bringing = await openBringing(surroundings, (progress) => {
    if (file) line.progress(file, progress);
  });
  defer(() => file?.close());
  const subject = subjectOf(feed);
  return {
    ...bringing,
    read: (use) =>
      use({
        open: async () => {
          file = await openTableFile(path, bringing.signal);
          return file;
        },
        onBusy: () => out.note(`${subject}: another process is loading it; waiting`),
      })
        .catch((cause) => {
          const error = toSyncError(cause);
          if (error.code === 'CONFIG') throw error;
          throw new CommandFailure(describeBringing(error, `${subject} from ${nameOfFile(path)}`));
        })
        .finally(() => line.clear()),
  };
}
