import { formatSize } from '../core/duration.ts';
import type { Progress, WindowOutcome } from '../sync/sync-window.ts';

/** Where a progress line is drawn: a terminal, usually stderr. */
export interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const BAR_WIDTH = 24;

/** Milliseconds between drawings: often enough for the eye. */
const REDRAW = 100;

/**
 * Shows how a sync comes along in one line that redraws itself: feeds done, windows, rows and bytes.
 *
 * Where there is no terminal it writes nothing.
 */
export class ProgressLine {
  readonly #terminal: Terminal;
  readonly #feeds: number;
  readonly #running = new Map<number, Progress>();
  #done = 0;
  #windows = 0;
  #rows = 0;
  #bytes = 0;
  #drawnAt = 0;

  constructor(terminal: Terminal, feeds: number) {
    this.#terminal = terminal;
    this.#feeds = feeds;
  }

  /** Takes note of a download under way. */
  progress(progress: Progress): void {
    this.#running.set(progress.runId, progress);
    if (Date.now() - this.#drawnAt >= REDRAW) this.#draw();
  }

  /** Takes note of a committed window. */
  window({ runId, receipt }: WindowOutcome): void {
    this.#bytes += this.#running.get(runId)?.bytes ?? 0;
    this.#running.delete(runId);
    this.#windows += 1;
    this.#rows += receipt.lines;
    this.#draw();
  }

  /** Takes note of a feed that is finished, one way or the other. */
  feed(): void {
    this.#done += 1;
    this.#draw();
  }

  /** Clears the line, so that other output can follow. */
  clear(): void {
    if (this.#terminal.isTTY) this.#terminal.write('\r\x1b[K');
  }

  #draw(): void {
    if (!this.#terminal.isTTY) return;
    this.#drawnAt = Date.now();
    const running = [...this.#running.values()];
    const rows = running.reduce((sum, one) => sum + one.lines, this.#rows);
    const bytes = running.reduce((sum, one) => sum + one.bytes, this.#bytes);
    const full = Math.round((this.#done / Math.max(1, this.#feeds)) * BAR_WIDTH);
    const bar = `${'█'.repeat(full)}${'░'.repeat(BAR_WIDTH - full)}`;
    const text = `${bar} ${this.#done}/${this.#feeds} feeds · ${this.#windows} windows · ${rows.toLocaleString('en')} rows · ${formatSize(bytes)}`;
    this.#terminal.write(`\r\x1b[K${text.slice(0, (this.#terminal.columns ?? 80) - 1)}`);
  }
}
