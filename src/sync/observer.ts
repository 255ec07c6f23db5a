import type { Clock } from '../core/clock.ts';
import type { DatasetName } from '../core/dataset.ts';
import type { ErrorCode, SyncError } from '../core/errors.ts';
import type { Receipt } from '../core/receipt.ts';
import type { RejectReason } from '../core/table/row.ts';
import type { Download, Platform } from './ports.ts';

/** How a run can end. */
export const RUN_OUTCOMES = ['done', 'failed', 'interrupted'] as const;

/** How a run ended. */
export type RunOutcome = (typeof RUN_OUTCOMES)[number];

/** A run of this process that has ended. */
export interface EndedRun {
  readonly dataset: DatasetName;
  readonly outcome: RunOutcome;
  /** Why it did not come through; null if it did. */
  readonly code: ErrorCode | null;
  /** What it did; null if that was undone. */
  readonly receipt: Receipt | null;
  /** Lines refused, by reason. */
  readonly rejectedBy: ReadonlyMap<RejectReason, number>;
  /** How long it took, in milliseconds. */
  readonly ms: number;
}

/** Told of every run of this process; for metrics. It must not throw. */
export interface RunObserver {
  runEnded(run: EndedRun): void;
}

/** Told of every download of this process; for metrics. It must not throw. */
export interface DownloadObserver {
  /** A piece of a decoded body has arrived. */
  received(dataset: DatasetName, bytes: number): void;
  /** A body was read to its end, so many milliseconds after it was asked for. */
  downloaded(dataset: DatasetName, ms: number): void;
}

/** Times one run, and tells how it ended. */
export interface RunWatch {
  /** How long it has taken so far, in milliseconds. */
  elapsed(): number;
  /** It was committed. */
  done(receipt: Receipt, rejectedBy: EndedRun['rejectedBy']): void;
  failed(error: SyncError, rejectedBy: EndedRun['rejectedBy']): void;
}

/** Begins to time a run of a feed. */
export function watchRun(
  { clock, observer }: { readonly clock: Clock; readonly observer?: RunObserver },
  { dataset }: { readonly dataset: DatasetName },
): RunWatch {
  const elapsed = stopwatch(clock);
  return {
    elapsed,
    done(receipt, rejectedBy) {
      const ended = { dataset, outcome: 'done', code: null, receipt, rejectedBy } as const;
      observer?.runEnded({ ...ended, ms: elapsed() });
    },
    failed({ code }, rejectedBy) {
      const outcome = code === 'INTERRUPTED' ? 'interrupted' : 'failed';
      observer?.runEnded({ dataset, outcome, code, receipt: null, rejectedBy, ms: elapsed() });
    },
  };
}

/** Has an observer told of what is downloaded, piece by piece: also of a download that does not come through. */
export function observeDownloads(
  platform: Platform,
  observer: DownloadObserver,
  clock: Clock,
): Platform {
  return {
    async download(request, signal) {
      const elapsed = stopwatch(clock);
      const { name } = request.dataset;
      const download = await platform.download(request, signal);
      const body = countPieces(download.body, name, observer, elapsed);
      return withBody(download, body);
    },
  };
}

async function* countPieces(
  body: Download['body'],
  dataset: DatasetName,
  observer: DownloadObserver,
  elapsed: () => number,
): AsyncGenerator<Buffer> {
  for await (const piece of body) {
    observer.received(dataset, piece.length);
    yield piece;
  }
  observer.downloaded(dataset, elapsed());
}

/** The same download with another way to read its body. */
function withBody(download: Download, body: Download['body']): Download {
  return {
    ...download,
    body,
    // What grows while it is read must be asked for anew.
    get bytes() {
      return download.bytes;
    },
  };
}

/** Milliseconds since now; a clock that is set back meanwhile makes it no less than nothing. */
function stopwatch(clock: Clock): () => number {
  const began = clock();
  return () => Math.max(0, clock() - began);
}
