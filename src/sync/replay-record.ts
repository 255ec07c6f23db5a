import type { Json } from '../core/record.ts';
import type { ReplayedFeed } from './replay.ts';

/** What became of a feed's refused lines, as `rejects replay --json` and `POST /api/rejects/replay` tell it. */
export function replayRecord({
  orgCode,
  dataset,
  runs,
  receipt,
  refused,
  left,
  error,
}: ReplayedFeed): {
  readonly [name: string]: Json;
} {
  return {
    org_code: orgCode,
    dataset,
    runs: [...runs],
    ...receipt,
    refused: { ...refused },
    left: { ...left },
    error_code: error?.code ?? null,
  };
}
