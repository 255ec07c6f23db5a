import { EMPTY_RECEIPT } from '../core/receipt.ts';
import { type Json, range } from '../core/record.ts';
import type { PreviewedWindow } from './preview.ts';

/**
 * A previewed window, as `resync --preview --json` and `POST /api/preview` tell it: what its run would
 * do, in the columns of a run; counters are null where it was not looked at.
 */
export function previewRecord({ feed, window, outcome }: PreviewedWindow): {
  readonly [name: string]: Json;
} {
  const counts = outcome.state === 'counted' ? outcome.receipt : null;
  const error = outcome.state === 'failed' ? outcome.error : null;
  const counters = Object.keys(EMPTY_RECEIPT) as (keyof typeof EMPTY_RECEIPT)[];
  return {
    feed_id: feed.id,
    org_code: feed.orgCode,
    dataset: feed.dataset,
    during: range(window),
    state: outcome.state,
    ...Object.fromEntries(counters.map((name) => [name, counts?.[name] ?? null])),
    too_many_rejects: outcome.state === 'counted' ? outcome.tooManyRejects : null,
    error_code: error?.code ?? null,
    error_message: error?.message ?? null,
  };
}
