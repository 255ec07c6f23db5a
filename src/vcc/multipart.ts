import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { FatalError } from '../core/errors.ts';
import type { PostBody } from './request.ts';

/** A file to be sent in a form. */
export interface FormFile {
  /** The form's field. */
  readonly field: string;
  readonly fileName: string;
  readonly contentType: string;
  /** Its exact length in bytes. */
  readonly length: number;
  /** Its bytes from the beginning, each time. */
  open(): AsyncIterable<Buffer>;
}

/** Writes a form of one file, streamed; it takes no part in signatures (P3). */
export function multipart({ field, fileName, contentType, length, open }: FormFile): PostBody {
  const boundary = `vcc-sync-${randomUUID()}`;
  const head = Buffer.from(
    `--${boundary}\r\nContent-Disposition: form-data; name="${field}"; filename="${fileName}"\r\n` +
      `Content-Type: ${contentType}\r\n\r\n`,
  );
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  async function* pieces(): AsyncGenerator<Buffer> {
    yield head;
    let sent = 0;
    for await (const piece of open()) {
      sent += piece.length;
      yield piece;
    }
    if (sent !== length) throw new FatalError('CONFIG', 'the file changed while it was being sent');
    yield tail;
  }
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    length: head.length + length + tail.length,
    signed: '',
    open: () => Readable.from(pieces()),
  };
}
