import type { Clock } from '../core/clock.ts';
import { EMPTY_RECEIPT, type Receipt } from '../core/receipt.ts';
import { ownText } from '../core/table/own-text.ts';
import type { Reject, RejectReason, Row, SeenReject } from '../core/table/row.ts';
import type { Batch } from '../core/table/table-reader.ts';
import type { DownloadFacts, Merged, TableBytes } from './ports.ts';

/** Refused lines kept per run that were not known before; all are counted. */
const KEPT_REJECTS = 1000;

/** Different refused lines that a run tells apart; beyond them it only counts. */
const TOLD_APART = 50_000;

/** How many refused lines are held until it is asked which are known. */
const ASKED_AT_ONCE = 200;

/** Tells which refused lines, by hash, the feed has had before. */
export type KnownRejects = (hashes: readonly string[]) => Promise<ReadonlySet<string>>;

/** Keeps count of what a run sees and does. */
export class Tally {
  readonly #known: KnownRejects;
  lines = 0;
  rejected = 0;
  /** The table's header line, as it is kept; null if it is the document's own. */
  header: string | null = null;
  /** Lines refused for the first time. */
  readonly #fresh: Reject[] = [];
  /** Lines that were refused before. */
  readonly seen: SeenReject[] = [];
  /** Lines of which it is not known yet. */
  #unsorted: Reject[] = [];
  readonly #hashes = new Set<string>();
  readonly #reasons = new Map<RejectReason, number>();
  #table: TableBytes | null = null;
  #clockSkew: number | null = null;
  #receipt: Receipt = EMPTY_RECEIPT;

  constructor(known: KnownRejects) {
    this.#known = known;
  }

  /** Refused lines to keep; a few of those that were refused before may be among them. */
  get rejects(): readonly Reject[] {
    return [...this.#fresh, ...this.#unsorted].slice(0, KEPT_REJECTS);
  }

  /** Takes note of the table and of the platform's clock. */
  started(table: TableBytes, clock: Clock): void {
    this.#table = table;
    if (table.date !== null) this.#clockSkew = Math.round((table.date - clock()) / 1000);
  }

  /** Passes rows on and keeps the refused lines back. */
  async *counted(
    batches: AsyncIterable<Batch>,
    report: () => void,
  ): AsyncGenerator<readonly Row[]> {
    for await (const { rows, rejects } of batches) {
      this.lines += rows.length + rejects.length;
      this.rejected += rejects.length;
      for (const reject of rejects) this.#take(reject);
      if (this.#unsorted.length >= ASKED_AT_ONCE) await this.#sort();
      report();
      yield rows;
    }
    // Few lines are kept whether they are known or not: then there is nothing to ask.
    if (this.#fresh.length + this.#unsorted.length > KEPT_REJECTS) await this.#sort();
  }

  #take(reject: Reject): void {
    this.#reasons.set(reject.reason, (this.#reasons.get(reject.reason) ?? 0) + 1);
    if (this.#hashes.size >= TOLD_APART || this.#hashes.has(reject.hash)) return;
    this.#hashes.add(reject.hash);
    const { rowKey, line } = reject;
    this.#unsorted.push({
      ...reject,
      rowKey: rowKey === null ? null : ownText(rowKey),
      line: ownText(line),
    });
  }

  /** Tells lines that were refused before from new ones, so that they do not take up their room. */
  async #sort(): Promise<void> {
    const lines = this.#unsorted;
    const known = await this.#known(lines.map(({ hash }) => hash));
    this.#unsorted = [];
    for (const line of lines) {
      const { hash, lineNo, reason } = line;
      if (known.has(hash)) this.seen.push({ hash, lineNo, reason });
      else if (this.#fresh.length < KEPT_REJECTS) this.#fresh.push(line);
    }
  }

  /** How many lines were refused for which reason. */
  get rejectedBy(): ReadonlyMap<RejectReason, number> {
    return this.#reasons;
  }

  /** Refused lines whose rows may be those of the organisation that was asked for. */
  get unread(): number {
    return this.rejected - (this.#reasons.get('other_org') ?? 0);
  }

  /** How many lines were refused for which reason, in words. */
  reasons(): string {
    return [...this.#reasons].map(([reason, count]) => `${reason} ${count}`).join(', ');
  }

  /** Takes note of what the merge will do. */
  merged({ counts, flagged, superseded }: Merged): void {
    const accepted = this.lines - this.rejected;
    this.#receipt = { ...counts, flagged, accepted, lines: this.lines, rejected: this.rejected };
    this.#unsorted.push(...superseded);
  }

  /** The numbers that must balance; nothing before the merge. */
  receipt(): Receipt {
    return this.#receipt;
  }

  /** What is known of the table's bytes by now. */
  facts(): DownloadFacts {
    const table = this.#table;
    return {
      seq: table?.seq ?? null,
      httpStatus: table?.httpStatus ?? null,
      bytes: table?.bytes ?? 0,
      sha256: table?.sha256() ?? null,
      clockSkew: this.#clockSkew,
    };
  }
}
