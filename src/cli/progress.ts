import { formatSize } from '../core/duration.ts';
import { type Interval, type IntervalSet, span, subtract } from '../core/interval.ts';
import type { Progress } from '../sync/load.ts';
import type { WindowOutcome } from '../sync/sync-window.ts';
import { count } from './output.ts';

/** Where a progress line is drawn: a terminal, usually stderr. */
export interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** A feed that is about to be loaded. */
export interface FeedWork {
  readonly id: number;
  /** Source time that is to be loaded. */
  readonly missing: IntervalSet;
}

/** How a feed ended; `left` to another process, or since the command is to stop. */
export type FeedEnd = 'done' | 'failed' | 'left';

const WIDEST_BAR = 24;

/** Milliseconds between drawings: often enough for the eye. */
export const REDRAW = 100;

/**
 * Shows how a sync comes along in one line that redraws itself: the share of the missing source time
 * that is committed, feeds done and failed, windows, rows and bytes.
 *
 * Where there is no terminal it draws nothing.
 */
export class ProgressLine {
  readonly #terminal: Terminal;
  readonly #feeds: number;
  /** What each feed still lacks. */
  readonly #missing: Map<number, IntervalSet>;
  /** Source time to load, and how much of it is left, in milliseconds. */
  readonly #total: number;
  #left: number;
  readonly #running = new Map<number, Progress>();
  #done = 0;
  #failed = 0;
  #windows = 0;
  #rows = 0;
  #bytes = 0;
  #drawnAt = 0;

  constructor(terminal: Terminal, feeds: readonly FeedWork[]) {
    this.#terminal = terminal;
    this.#feeds = feeds.length;
    this.#missing = new Map(feeds.map(({ id, missing }) => [id, missing]));
    this.#total = feeds.reduce((sum, { missing }) => sum + span(missing), 0);
    this.#left = this.#total;
  }

  /** Takes note of a download under way; it counts as nothing until its window is committed. */
  progress(progress: Progress): void {
    this.#running.set(progress.runId, progress);
    if (Date.now() - this.#drawnAt >= REDRAW) this.#draw();
  }

  /** Takes note of a committed window of a feed. */
  window(feedId: number, { runId, window, receipt }: WindowOutcome): void {
    this.#bytes += this.#running.get(runId)?.bytes ?? 0;
    this.#running.delete(runId);
    this.#windows += 1;
    this.#rows += receipt.lines;
    this.#cover(feedId, window);
    this.#draw();
  }

  /** Takes note of a feed that is over; one that is done lacks nothing that could be had. */
  feed(feedId: number, end: FeedEnd): void {
    if (end === 'done') {
      this.#done += 1;
      this.#cover(feedId, { from: -Infinity, to: Infinity });
    } else if (end === 'failed') {
      this.#failed += 1;
    }
    this.#draw();
  }

  /** Writes a line of text above the bar. */
  note(text: string): void {
    this.clear();
    this.#terminal.write(`${text}\n`);
    this.#draw();
  }

  /** Clears the line, so that other output can follow. */
  clear(): void {
    if (this.#terminal.isTTY) this.#terminal.write('\r\x1b[K');
  }

  #cover(feedId: number, window: Interval): void {
    const before = this.#missing.get(feedId) ?? [];
    const after = subtract(before, [window]);
    this.#missing.set(feedId, after);
    this.#left -= span(before) - span(after);
  }

  #draw(): void {
    if (!this.#terminal.isTTY) return;
    this.#drawnAt = Date.now();
    this.#terminal.write(`\r\x1b[K${this.#text(this.#terminal.columns || 80)}`);
  }

  /** The line, without the parts at its end for which the terminal is too narrow. */
  #text(columns: number): string {
    const running = [...this.#running.values()];
    const rows = running.reduce((sum, one) => sum + one.lines, this.#rows);
    const bytes = running.reduce((sum, one) => sum + one.bytes, this.#bytes);
    const parts = [
      renderBar(this.#share(), columns),
      `${count(this.#done)}/${count(this.#feeds)} feeds`,
      ...(this.#failed > 0 ? [`${count(this.#failed)} failed`] : []),
      `${count(this.#windows)} windows`,
      `${count(rows)} rows`,
      formatSize(bytes),
    ];
    // The last column stays free: some terminals wrap once it is written.
    while (parts.join(' · ').length >= columns) parts.pop();
    return parts.join(' · ');
  }

  #share(): number {
    if (this.#total > 0) return (this.#total - this.#left) / this.#total;
    return this.#feeds > 0 ? (this.#done + this.#failed) / this.#feeds : 0;
  }
}

/** Draws a share (0 to 1) for a terminal of so many columns. */
export function renderBar(share: number, columns: number): string {
  const width = Math.min(WIDEST_BAR, Math.floor(columns / 8));
  // Rounded down: what looks complete is complete.
  const full = Math.floor(share * width);
  return `${'█'.repeat(full)}${'░'.repeat(width - full)} ${Math.floor(share * 100)}%`;
}
