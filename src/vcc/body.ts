import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { pipeline, type Readable, type Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from 'node:zlib';
import { RetryableError, SyncError } from '../core/errors.ts';
import { endedBy, type Reply, systemCode } from './transport.ts';

/** Reads a decoded body piece by piece, counting and hashing it. */
export interface BodyReader {
  /**
   * The next piece, or null at the end.
   *
   * @throws SyncError TRUNCATED, DOWNLOAD_TIMEOUT, TOO_LARGE, NOT_A_TABLE or INTERRUPTED
   */
  next(): Promise<Buffer | null>;
  /** Decoded bytes read so far. */
  readonly bytes: number;
  /** SHA-256 (hex) of what was read so far. */
  sha256(): string;
  /** Gives the connection up; harmless twice and at the end. */
  stop(): void;
}

/** The limits of a body. */
export interface BodyLimits {
  /** The most bytes, decoded. */
  readonly maxBody: number;
  /** The longest silence, in milliseconds. */
  readonly idleTimeout: number;
}

/** Whether the end of an answer's body can be told from a cut (P6). */
export function isFramed(reply: Pick<Reply, 'status' | 'header'>): boolean {
  if (reply.status === 204 || reply.status === 205) return true;
  const chunked = /(^|,)\s*chunked\s*$/i.test(reply.header('transfer-encoding') ?? '');
  return chunked || reply.header('content-length') !== null;
}

/** Length of an answer's decoded body; null where it comes compressed, or does not say. */
export function announcedLength({ header }: Pick<Reply, 'header'>): number | null {
  const text = header('content-length') ?? '';
  const isPlain = encodingOf(header) === 'identity' && /^\d{1,15}$/.test(text);
  return isPlain ? Number(text) : null;
}

function encodingOf(header: Reply['header']): string {
  return (header('content-encoding') ?? '').trim().toLowerCase() || 'identity';
}

/**
 * Reads an answer's body, undoing gzip, deflate and br (P6).
 *
 * The limit counts decoded bytes, so a small file that swells without end is stopped as well.
 */
export function openBody(reply: Reply, limits: BodyLimits): BodyReader {
  const hash = createHash('sha256');
  let bytes = 0;
  let decoded: Readable | null = null;
  let pieces: AsyncIterator<Buffer> | null = null;
  const stop = () => {
    reply.deadline.clear();
    decoded?.destroy();
    reply.body.destroy();
  };
  const take = async (): Promise<Buffer | null> => {
    if (pieces === null) {
      decoded = await decode(reply);
      pieces = decoded[Symbol.asyncIterator]();
    }
    const ended = endedBy(reply.deadline.signal);
    if (ended) throw ended;
    const { done, value } = await pieces.next();
    if (done) {
      reply.deadline.clear();
      return null;
    }
    bytes += value.length;
    if (bytes > limits.maxBody) {
      throw new RetryableError('TOO_LARGE', `the body is larger than ${limits.maxBody} bytes`);
    }
    hash.update(value);
    return value;
  };
  return {
    async next() {
      try {
        return await take();
      } catch (error) {
        const ended = endedBy(reply.deadline.signal);
        stop();
        throw ended ?? readingError(error, bytes, limits);
      }
    },
    get bytes() {
      return bytes;
    },
    sha256: () => hash.copy().digest('hex'),
    stop,
  };
}

/** A body that fails once its head has come is a cut one, whatever the system calls it (P5). */
function readingError(error: unknown, bytes: number, { idleTimeout }: BodyLimits): SyncError {
  if (error instanceof SyncError) return error;
  const code = systemCode(error);
  if (code === 'UND_ERR_BODY_TIMEOUT') {
    return new RetryableError(
      'DOWNLOAD_TIMEOUT',
      `the body stalled for ${idleTimeout} ms after ${bytes} bytes`,
    );
  }
  const what = /^(Z_|ERR__|ERR_BROTLI)/.test(code) ? 'the compressed body' : 'the body';
  return new RetryableError(
    'TRUNCATED',
    `${what} was cut or damaged after ${bytes} bytes (${code})`,
  );
}

async function decode({ body, header }: Reply): Promise<Readable> {
  const encoding = encodingOf(header);
  if (encoding === 'identity') return body;
  const decoder = await decoderFor(encoding, body);
  if (decoder === null) {
    throw new RetryableError(
      'NOT_A_TABLE',
      'the body has a content encoding that was not asked for',
    );
  }
  // The reader of the decoder sees the error; the callback only keeps it from being unhandled.
  return pipeline(body, decoder, () => {});
}

async function decoderFor(encoding: string, body: Readable): Promise<Transform | null> {
  const options = { chunkSize: 65_536 };
  if (encoding === 'gzip' || encoding === 'x-gzip') return createGunzip(options);
  if (encoding === 'br') return createBrotliDecompress(options);
  if (encoding !== 'deflate') return null;
  // Some servers send deflate without the zlib head that the standard asks for.
  const first = await peekByte(body);
  return first === null || (first & 0x0f) === 8
    ? createInflate(options)
    : createInflateRaw(options);
}

/** The first byte of a body, which stays in it; null if it is empty. */
async function peekByte(body: Readable): Promise<number | null> {
  const seen = new AbortController();
  const wait = (event: string) => once(body, event, { signal: seen.signal });
  try {
    if (body.readableLength === 0 && !body.readableEnded && !body.destroyed) {
      // A body that is empty from the start ends without ever being readable.
      await Promise.race([wait('readable'), wait('end'), wait('close')]);
    }
  } finally {
    seen.abort();
  }
  const chunk: Buffer | null = body.read();
  if (chunk === null) return null;
  body.unshift(chunk);
  return chunk[0] ?? null;
}
