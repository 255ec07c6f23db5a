import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { FatalError } from '../core/errors.ts';
import { checkMedia, type MediaType, sizeFault } from '../core/media.ts';
import type { MediaFile } from '../vcc/media.ts';
import { nameOfFile, whyUnreadable } from './table-file.ts';

/** A file that may be uploaded, held open until it is closed. */
export interface OpenedMedia extends MediaFile {
  close(): Promise<void>;
}

/**
 * Opens a file and checks it before anything is sent: size first, then format and playing time.
 *
 * @throws FatalError CONFIG that names the file and what is wrong with it
 */
export async function openMediaFile(path: string, type: MediaType): Promise<OpenedMedia> {
  const name = nameOfFile(path);
  // A pipe that nobody writes into is opened at once then, and refused for what it is.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error) => {
    throw new FatalError('CONFIG', `${name}: ${whyUnreadable(error)}`);
  });
  try {
    const { format, length } = await inspect(file, type);
    return {
      type,
      format,
      length,
      open: () => readPieces(file, length),
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    if (error instanceof FatalError) throw new FatalError('CONFIG', `${name}: ${error.message}`);
    throw new FatalError('CONFIG', `${name}: ${whyUnreadable(error)}`);
  }
}

/** How many bytes are read at once. */
const PIECE = 65_536;

/** Reads a file from its beginning; a stream would close it where it is broken off, and it may be sent again. */
async function* readPieces(file: FileHandle, length: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < length; ) {
    const piece = Buffer.alloc(Math.min(PIECE, length - at));
    const { bytesRead } = await file.read(piece, 0, piece.length, at);
    // It has shrunk, as whoever counts will find.
    if (bytesRead === 0) return;
    yield piece.subarray(0, bytesRead);
    at += bytesRead;
  }
}

async function inspect(file: FileHandle, type: MediaType) {
  const stats = await file.stat();
  if (stats.isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' });
  if (!stats.isFile()) {
    throw new FatalError('CONFIG', 'it is no regular file; save what it gives in one first');
  }
  const fault = sizeFault(type, stats.size);
  if (fault !== null) throw new FatalError('CONFIG', fault);
  // No more than the size that was allowed, though the file may grow.
  const content = Buffer.alloc(stats.size);
  const { bytesRead } = await file.read(content, 0, stats.size, 0);
  const checked = checkMedia(type, content.subarray(0, bytesRead));
  if ('fault' in checked) throw new FatalError('CONFIG', checked.fault);
  return { format: checked.format, length: bytesRead };
}
