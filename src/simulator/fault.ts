import type { z } from 'zod';
import type { Dataset } from '../core/dataset.ts';
import type { RejectReason } from '../core/table/row.ts';
import { type Answer, bytesOf } from './answer.ts';
import type { ExpireTimeForm } from './platform.ts';
import type { Random } from './random.ts';

/**
 * What of an answer is still right under a fault, for an oracle:
 * `nothing`: it must be refused as a whole; `data`: all of it is right, however it looks;
 * `data and bad lines`: all of it is right, with lines added that must be refused one by one;
 * `data without a column`: right, but an optional column is missing, so what it holds stays as it was.
 */
export type Delivers = 'nothing' | 'data' | 'data and bad lines' | 'data without a column';

/** A line that a fault added to a table. */
export interface BadLine {
  /** SHA-256 (hex) of its bytes without line end: what `reject.line_hash` must be. */
  readonly hash: string;
  readonly reason: RejectReason;
  /** Its line in the file; the header is line 1. */
  readonly lineNo: number;
}

/** What goes over the wire in place of an answer. */
export interface Wire {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** How the body's end is told: by Content-Length, by chunks, or only by the connection's end. */
  readonly framing: 'length' | 'chunked' | 'unframed';
  /** The Content-Length to claim; default that of the body, which then must end. */
  readonly length?: number;
  /** The body piece by piece; it may be endless. */
  readonly body: Iterable<Buffer>;
  /** Milliseconds between two pieces; default none. */
  readonly pause?: number;
  /** Once the body is sent: a proper end, the connection closed or reset, or silence for ever. */
  readonly ending: 'end' | 'close' | 'reset' | 'silence';
}

/** What of the platform's behaviour a fault alters for one call. */
export interface Conditions {
  /** How far the platform's clock is ahead of the true one, in milliseconds. */
  readonly clockOffset?: number;
  readonly expireTime?: ExpireTimeForm;
  readonly newTokenKillsOld?: boolean;
  /** Seconds that a new token lives. */
  readonly tokenLifetime?: number;
}

/** What a fault comes to for one call. */
export interface Act {
  readonly conditions?: Conditions;
  /** Before the call is checked, every token dies, or a stranger asks for one. */
  readonly tokens?: 'die' | 'stolen';
  /** Takes the connection: ended or silent before any byte, or with it the listener for so many milliseconds. */
  readonly connection?: 'destroyed' | 'silent' | { readonly deafFor: number };
  /** Sent in place of the answer. */
  readonly wire?: Wire;
  /** Every token dies as soon as the body's first piece is sent. */
  readonly tokensDieMidway?: boolean;
  readonly badLines?: readonly BadLine[];
}

/** The call that a fault befalls. */
export interface Victim {
  /** The table that was asked for; null for other calls. */
  readonly dataset: Dataset | null;
  readonly orgCode: string | null;
  /** The platform's clock, in milliseconds since the epoch. */
  readonly now: number;
  /** Numbers of this call's own. */
  readonly random: Random;
}

/** The call with the answer that it would get. */
export interface Scene extends Victim {
  readonly answer: Answer;
}

/** The table that a call would get. */
export interface TableScene extends Scene {
  readonly dataset: Dataset;
  readonly orgCode: string;
}

interface KindOf<S extends z.ZodType> {
  /** What it does, in a few words. */
  readonly about: string;
  readonly delivers: Delivers;
  readonly parameters: S;
  /** How often it is drawn at random, beside the others; 0 never. */
  readonly weight: number;
  /** Parameters drawn at random; default none. */
  readonly draw?: (random: Random) => z.input<S>;
}

/** A kind of fault that befalls a call on its arrival: before tokens and message numbers are checked. */
export interface ArrivalKind<S extends z.ZodType = z.ZodType> extends KindOf<S> {
  readonly at: 'arrival';
  readonly play: (parameters: z.output<S>, victim: Victim) => Act;
}

/** A kind of fault that alters how the platform behaves, beside any other fault. */
export interface ConditionKind<S extends z.ZodType = z.ZodType> extends KindOf<S> {
  readonly at: 'condition';
  readonly play: (parameters: z.output<S>, victim: Victim) => Act;
}

/** A kind of fault that befalls any answer that succeeds. */
export interface AnswerKind<S extends z.ZodType = z.ZodType> extends KindOf<S> {
  readonly at: 'answer';
  readonly play: (parameters: z.output<S>, scene: Scene) => Act;
}

/** A kind of fault that befalls tables only. */
export interface TableKind<S extends z.ZodType = z.ZodType> extends KindOf<S> {
  readonly at: 'table';
  readonly play: (parameters: z.output<S>, scene: TableScene) => Act;
}

/** Keeps the type of a kind's parameters. */
export function arrival<S extends z.ZodType>(kind: Omit<ArrivalKind<S>, 'at'>): ArrivalKind<S> {
  return { at: 'arrival', ...kind };
}

/** Keeps the type of a kind's parameters. */
export function condition<S extends z.ZodType>(
  kind: Omit<ConditionKind<S>, 'at'>,
): ConditionKind<S> {
  return { at: 'condition', ...kind };
}

/** Keeps the type of a kind's parameters. */
export function onAnswer<S extends z.ZodType>(kind: Omit<AnswerKind<S>, 'at'>): AnswerKind<S> {
  return { at: 'answer', ...kind };
}

/** Keeps the type of a kind's parameters. */
export function onTable<S extends z.ZodType>(kind: Omit<TableKind<S>, 'at'>): TableKind<S> {
  return { at: 'table', ...kind };
}

/** The whole body of an answer, uncompressed. */
export function bodyOf(answer: Answer): Buffer {
  const pieces: Buffer[] = [];
  const chunks = answer.chunks();
  for (let next = chunks.next(); !next.done; next = chunks.next()) {
    pieces.push(bytesOf(next.value));
  }
  return Buffer.concat(pieces);
}

/** A whole body of known length, well framed. */
export function wholeWire(body: Buffer, contentType: string, status = 200): Wire {
  return {
    status,
    headers: { 'content-type': contentType },
    framing: 'length',
    body: [body],
    ending: 'end',
  };
}
