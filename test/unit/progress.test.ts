import { describe, expect, test } from 'vitest';
import { displayWidth } from '../../src/cli/output.ts';
import { ProgressLine } from '../../src/cli/progress.ts';
import { DAY } from '../../src/core/china-time.ts';
import type { Interval } from '../../src/core/interval.ts';
import { EMPTY_RECEIPT } from '../../src/core/receipt.ts';

/** A terminal that keeps what its last line shows. */
function terminal(columns: number, isTTY = true) {
  const written: string[] = [];
  return {
    isTTY,
    columns,
    written,
    write: (text: string) => void written.push(text),
    get line() {
      return written.at(-1)!.replace('\r\x1b[K', '');
    },
  };
}

const days = (from: number, to: number): Interval => ({ from: from * DAY, to: to * DAY });

function committed(runId: number, window: Interval, lines = 0) {
  const receipt = { ...EMPTY_RECEIPT, lines, accepted: lines };
  return { runId, window, receipt, missed: 0, more: true, bytes: 0, ms: 0 };
}

/** Two feeds that lack ten days each; one is over, the other has failed. */
function busyLine(columns: number) {
  const screen = terminal(columns);
  const line = new ProgressLine(screen, [
    { id: 1, missing: [days(0, 10)] },
    { id: 2, missing: [days(0, 10)] },
  ]);
  line.progress({ runId: 7, bytes: 3 * 1024 ** 2, lines: 100_000 });
  line.window(1, committed(7, days(0, 10), 123_456));
  line.feed(1, 'done');
  line.feed(2, 'failed');
  return screen;
}

describe('the bar', () => {
  test('moves by source time that is committed, not by feeds', () => {
    const screen = terminal(200);
    const line = new ProgressLine(screen, [{ id: 1, missing: [days(0, 10)] }]);
    line.window(1, committed(1, days(0, 5)));
    expect(screen.line).toBe(
      `${'█'.repeat(12)}${'░'.repeat(12)} 50% · 0/1 feeds · 1 windows · 0 rows · 0 B`,
    );
    line.window(1, committed(2, days(5, 6)));
    expect(screen.line).toContain(' 60% ');
  });

  test('counts a window under way as nothing, but shows its rows and bytes', () => {
    const screen = terminal(200);
    const line = new ProgressLine(screen, [{ id: 1, missing: [days(0, 10)] }]);
    line.progress({ runId: 1, bytes: 2048, lines: 1500 });
    expect(screen.line).toContain(' 0% · 0/1 feeds · 0 windows · 1,500 rows · 2.0 KiB');
  });

  test('counts nothing twice, and nothing that was not missing', () => {
    const screen = terminal(200);
    const line = new ProgressLine(screen, [{ id: 1, missing: [days(0, 2), days(8, 10)] }]);
    line.window(1, committed(1, days(0, 8)));
    line.window(1, committed(2, days(0, 8)));
    expect(screen.line).toContain(' 50% ');
  });

  test('is full when all is done, though another process loaded a part', () => {
    const screen = terminal(200);
    const line = new ProgressLine(screen, [
      { id: 1, missing: [days(0, 10)] },
      { id: 2, missing: [] },
    ]);
    line.feed(2, 'done');
    expect(screen.line).toContain(' 0% · 1/2 feeds');
    line.feed(1, 'done');
    expect(screen.line).toContain(`${'█'.repeat(24)} 100% · 2/2 feeds`);
  });

  test('never looks full while something is missing', () => {
    const screen = terminal(200);
    const line = new ProgressLine(screen, [{ id: 1, missing: [days(0, 1000)] }]);
    line.window(1, committed(1, days(0, 999.9)));
    expect(screen.line).toContain('░ 99%');
  });

  test('keeps failed feeds and feeds of others apart', () => {
    const screen = terminal(200);
    const line = new ProgressLine(screen, [
      { id: 1, missing: [days(0, 1)] },
      { id: 2, missing: [days(0, 1)] },
      { id: 3, missing: [days(0, 2)] },
    ]);
    line.feed(1, 'done');
    line.feed(2, 'failed');
    line.feed(3, 'left');
    expect(screen.line).toContain(' 25% · 1/3 feeds · 1 failed · 0 windows');
  });

  test('goes by feeds where no source time is missing', () => {
    const screen = terminal(200);
    const line = new ProgressLine(screen, [
      { id: 1, missing: [] },
      { id: 2, missing: [] },
    ]);
    line.feed(1, 'done');
    expect(screen.line).toContain(' 50% · 1/2 feeds');
  });
});

describe('the line', () => {
  test.each([
    [
      200,
      `${'█'.repeat(12)}${'░'.repeat(12)} 50% · 1/2 feeds · 1 failed · 1 windows · 123,456 rows · 3.0 MiB`,
    ],
    [80, '█████░░░░░ 50% · 1/2 feeds · 1 failed · 1 windows · 123,456 rows · 3.0 MiB'],
    [60, '███░░░░ 50% · 1/2 feeds · 1 failed · 1 windows'],
    [40, '██░░░ 50% · 1/2 feeds · 1 failed'],
  ])('is shortened by whole parts at %i columns', (columns, expected) => {
    expect(busyLine(columns).line).toBe(expected);
  });

  test('fits into any width', () => {
    for (let columns = 1; columns <= 200; columns += 1) {
      expect(displayWidth(busyLine(columns).line)).toBeLessThan(columns);
    }
  });

  test('gives way to a note and comes back below it', () => {
    const screen = terminal(80);
    const line = new ProgressLine(screen, [{ id: 1, missing: [days(0, 10)] }]);
    line.note('meters WJ0105: waiting');
    expect(screen.written.slice(0, 2)).toEqual(['\r\x1b[K', 'meters WJ0105: waiting\n']);
    expect(screen.line).toContain('0/1 feeds');
  });

  test('is not drawn where there is no terminal; notes are', () => {
    const screen = terminal(80, false);
    const line = new ProgressLine(screen, [{ id: 1, missing: [days(0, 10)] }]);
    line.progress({ runId: 1, bytes: 1, lines: 1 });
    line.feed(1, 'done');
    line.clear();
    line.note('meters WJ0105: waiting');
    expect(screen.written).toEqual(['meters WJ0105: waiting\n']);
  });
});
