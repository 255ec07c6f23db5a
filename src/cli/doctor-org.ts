import { DAY, MINUTE } from '../core/china-time.ts';
import type { Dataset } from '../core/dataset.ts';
import { SyncError } from '../core/errors.ts';
import type { Interval } from '../core/interval.ts';
import { LONGEST_REQUEST, reach, settledUntil } from '../core/window.ts';
import { DATASETS } from '../datasets/catalogue.ts';
import type { Download, Platform } from '../sync/ports.ts';
import { type AskedWindow, type AskWindow, checkBounds, checkEnds } from './doctor-windows.ts';
import { type Finding, failedBy, ok, warning } from './finding.ts';

/** How far behind now the newest window ends, in milliseconds: what is asked for twice must not change. */
const SETTLE = MINUTE;

/** How many lines of an answer are looked at. */
const MOST_LINES = 50_000;

/** The longest line that counts as one, in characters. */
const LONGEST_LINE = 64 * 1024;

/** Which organisation is looked at, and when. */
export interface OrgCheck {
  readonly orgCode: string;
  /** Sent where the organisation has one (P7). */
  readonly areaCode: string | null;
  /** The platform's clock, in milliseconds since the epoch. */
  readonly now: number;
}

/**
 * Finds out at the platform whether the four tables of an organisation are granted, and how windows are
 * answered. It downloads what changed within a day, or a month where that is nothing, and stores nothing.
 */
export async function* checkOrg(
  platform: Platform,
  org: OrgCheck,
  signal: AbortSignal,
): AsyncGenerator<Finding> {
  let isBoundKnown = false;
  for (const dataset of DATASETS) {
    const check = `${dataset.name} of ${org.orgCode}`;
    const ask: AskWindow = (window) => readLines(platform, dataset, org, window, signal);
    try {
      const wide = await findRows(ask, org.now);
      yield ok(check, `granted; ${describeRows(wide)}`);
      if (wide.lines.size === 0) {
        yield warning(
          `windows of ${dataset.name}`,
          'how they are answered can not be seen while nothing changes',
          'run doctor again once something has changed',
        );
        continue;
      }
      const ends = await checkEnds(dataset, wide, ask);
      yield ends;
      if (isBoundKnown || ends.result !== 'ok') continue;
      isBoundKnown = true;
      yield await checkBounds(wide, ask);
    } catch (error) {
      yield failedBy(check, error, adviceFor(error));
    }
  }
}

/** The last day that brings anything, or the last month. */
async function findRows(ask: AskWindow, now: number): Promise<AskedWindow> {
  const to = settledUntil(now, SETTLE);
  const day: Interval = { from: to - DAY, to };
  const lines = await ask(day);
  if (lines.size > 0) return { window: day, lines };
  const month: Interval = { from: Math.max(reach(now), to - LONGEST_REQUEST), to };
  return { window: month, lines: await ask(month) };
}

function describeRows({ window, lines }: AskedWindow): string {
  const span = window.to - window.from > DAY ? 'a month' : 'a day';
  const most = lines.size >= MOST_LINES ? 'at least ' : '';
  return `${most}${lines.size} rows changed within ${span}`;
}

function adviceFor(error: unknown): string | null {
  return error instanceof SyncError && ['PLATFORM_ERROR', 'REQUEST_REFUSED'].includes(error.code)
    ? 'read the code and message; ask the platform to grant this interface for this organisation'
    : null;
}

/** The lines of a table, as bytes that stand for themselves: nothing is read out of them. */
async function readLines(
  platform: Platform,
  dataset: Dataset,
  { orgCode, areaCode }: OrgCheck,
  requested: Interval,
  signal: AbortSignal,
): Promise<Set<string>> {
  const download = await platform.download({ dataset, orgCode, areaCode, requested }, signal);
  const lines = new Set<string>();
  let isHeader = true;
  for await (const line of linesOf(download)) {
    if (line === '') continue;
    if (!isHeader) lines.add(line);
    isHeader = false;
    // Leaving the loop gives the connection up.
    if (lines.size >= MOST_LINES) break;
  }
  return lines;
}

async function* linesOf({ body }: Download): AsyncGenerator<string> {
  let rest = '';
  for await (const piece of body) {
    const parts = (rest + piece.toString('latin1')).split(/\r?\n/);
    rest = (parts.pop() ?? '').slice(-LONGEST_LINE);
    yield* parts;
  }
  yield rest;
}
