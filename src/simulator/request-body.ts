import type { IncomingMessage } from 'node:http';

/** The longest body that is kept, in bytes: more than any call may send. */
const LONGEST_BODY = 4 * 1_048_576;

/** The body of a request, without what is beyond all limits; every request must be read to its end. */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length <= LONGEST_BODY) pieces.push(piece);
  }
  return Buffer.concat(pieces);
}
