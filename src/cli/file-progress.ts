import { formatSize } from '../core/duration.ts';
import type { Progress } from '../sync/load.ts';
import { count } from './output.ts';
import { REDRAW, renderBar, type Terminal } from './progress.ts';
import type { TableFile } from './table-file.ts';

/** Shows in one line how far a file has been read; draws nothing where there is no terminal. */
export class FileProgress {
  readonly #terminal: Terminal;
  #drawnAt = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Takes note of how far the file has come; the share stays unknown where its size is. */
  progress({ size, position }: TableFile, { lines, bytes }: Progress): void {
    if (!this.#terminal.isTTY || Date.now() - this.#drawnAt < REDRAW) return;
    this.#drawnAt = Date.now();
    const columns = this.#terminal.columns || 80;
    const parts = [
      ...(size === null ? [] : [renderBar(size === 0 ? 1 : Math.min(1, position / size), columns)]),
      `${count(lines)} rows`,
      formatSize(bytes),
    ];
    this.#terminal.write(`\r\x1b[K${parts.join(' · ')}`);
  }

  /** Clears the line, so that other output can follow. */
  clear(): void {
    if (this.#terminal.isTTY) this.#terminal.write('\r\x1b[K');
  }
}
