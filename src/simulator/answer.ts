import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Dataset } from '../core/dataset.ts';
import type { Row } from './history.ts';
import type { Refusal } from './result-codes.ts';
import { tableBody } from './table-body.ts';

/** What is to be sent; a fault may send something else in its place. */
export interface Answer {
  readonly contentType: string;
  /** `ok`, or the code with which the call is refused. */
  readonly result: string;
  /** Lines of a table without its header, else 0. */
  readonly rows: number;
  /** How a file names itself. */
  readonly disposition?: string;
  /** The body from its beginning, chunk by chunk. */
  chunks(): Iterator<string | Buffer, void>;
}

/** A file (2002). */
export function fileAnswer(content: Buffer, contentType: string, fileName: string): Answer {
  return {
    contentType,
    result: 'ok',
    rows: 0,
    disposition: `attachment; filename="${fileName}"`,
    chunks: () => [content].values(),
  };
}

/** A JSON answer to a call that succeeded. */
export function jsonAnswer(body: object): Answer {
  return {
    contentType: 'application/json;charset=UTF-8',
    result: 'ok',
    rows: 0,
    chunks: () => [JSON.stringify(body)].values(),
  };
}

/** An error as the document has it: JSON, whose HTTP status is 200 all the same (P5). */
export function errorAnswer(refused: Refusal): Answer {
  return { ...jsonAnswer(refused), result: refused.resultCode };
}

/** A table of rows (P6). */
export function tableAnswer(dataset: Dataset, rows: readonly Row[]): Answer {
  return {
    contentType: 'text/plain;charset=UTF-8',
    result: 'ok',
    rows: rows.length,
    chunks: () => tableBody(dataset, rows),
  };
}

/**
 * Sends an answer no faster than it is taken: gzip where the client accepts it, else with a
 * Content-Length if it fits one chunk, else chunked.
 *
 * @throws Error if the connection closes before everything is sent
 */
export async function sendAnswer(
  answer: Answer,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  response.setHeader('content-type', answer.contentType);
  if (answer.disposition) response.setHeader('content-disposition', answer.disposition);
  const chunks = answer.chunks();
  const first = chunks.next();
  const second = chunks.next();
  if (acceptsGzip(request.headers['accept-encoding'])) {
    response.setHeader('content-encoding', 'gzip');
    await pipeline(Readable.from(encoded([first, second], chunks)), createGzip(), response);
  } else if (second.done) {
    const body = bytesOf(first.value ?? '');
    response.setHeader('content-length', body.length);
    await pipeline(Readable.from([body]), response);
  } else {
    await pipeline(Readable.from(encoded([first, second], chunks)), response);
  }
}

/** All chunks as bytes: those already taken, then the rest. */
function* encoded(
  taken: readonly IteratorResult<string | Buffer, void>[],
  rest: Iterator<string | Buffer, void>,
): Generator<Buffer> {
  for (const { value } of taken) if (value) yield bytesOf(value);
  for (let next = rest.next(); !next.done; next = rest.next()) yield bytesOf(next.value);
}

/** A chunk as bytes. */
export function bytesOf(chunk: string | Buffer): Buffer {
  return typeof chunk === 'string' ? Buffer.from(chunk, 'utf8') : chunk;
}

function acceptsGzip(header: string | string[] | undefined): boolean {
  return String(header ?? '')
    .split(',')
    .map((part) =>
      part
        .trim()
        .toLowerCase()
        .split(/\s*;\s*/),
    )
    .some(([coding, ...rest]) => coding === 'gzip' && !rest.some((q) => /^q=0(\.0*)?$/.test(q)));
}
