import { z } from 'zod';
import { CONTENT_TYPES, type MediaFormat, type MediaType } from '../core/media.ts';
import type { Bytes } from './download.ts';
import { CALLS } from './interfaces.ts';
import { type Caller, otherForm, readForm } from './json-form.ts';
import { multipart } from './multipart.ts';
import { readCreateTime } from './platform-time.ts';

/** A file to upload, whose size and format have been checked (see `checkMedia`). */
export interface MediaFile {
  readonly type: MediaType;
  readonly format: MediaFormat;
  /** Its exact length in bytes. */
  readonly length: number;
  /** Its bytes from the beginning, each time: a refused token has it sent again. */
  open(): AsyncIterable<Buffer>;
}

/** What an upload comes to. */
export interface UploadedMedia {
  readonly mediaId: string;
  /** The platform's time of it, in milliseconds since the epoch; null if it can not be read. */
  readonly createdAt: number | null;
}

/** The calls about media (2001, 2002). */
export interface MediaCalls {
  /**
   * Uploads a file, streamed, under a name of its format alone: its own might be a person's.
   *
   * @throws SyncError classed by P5; CONFIG if the file changes meanwhile
   */
  uploadMedia(file: MediaFile, signal: AbortSignal): Promise<UploadedMedia>;
  /**
   * Downloads a file; its body is still to be read.
   *
   * @throws SyncError classed by P5, PLATFORM_ERROR for JSON in place of a file
   */
  getMedia(mediaId: string, signal: AbortSignal): Promise<Bytes>;
}

/** An id as it can stand in an URL and a file name. */
export const MEDIA_ID = /^[\w-]{1,64}$/;

const UPLOADED = z.object({ mediaId: z.string().regex(MEDIA_ID), createTime: z.unknown() });

/** Opens the calls about media. */
export function openMedia(call: Caller): MediaCalls {
  return {
    async uploadMedia({ type, format, length, open }, signal) {
      const file = { field: 'media', fileName: `media.${format}`, length, open };
      const body = multipart({ ...file, contentType: CONTENT_TYPES[format] });
      const request = { ...CALLS.upload, parameters: { type }, body };
      const answered = await call(request, signal);
      const { mediaId, createTime } = readForm(request, answered, UPLOADED);
      return { mediaId, createdAt: readCreateTime(createTime) };
    },
    async getMedia(mediaId, signal) {
      const answered = await call({ ...CALLS.media, parameters: { mediaId } }, signal);
      if (answered.kind === 'bytes') return answered.bytes;
      throw otherForm(CALLS.media.interfaceCode, 'it is JSON in place of a file');
    },
  };
}
