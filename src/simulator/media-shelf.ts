import { randomBytes } from 'node:crypto';
import { formatChinaTime } from '../core/china-time.ts';
import type { Clock } from '../core/clock.ts';
import { CONTENT_TYPES, checkMedia, MEDIA_TYPES, type MediaFormat } from '../core/media.ts';
import { type Answer, errorAnswer, fileAnswer, jsonAnswer } from './answer.ts';
import type { Call } from './call.ts';
import { refusal } from './result-codes.ts';

/** How many files are kept; the oldest goes. */
const MOST_FILES = 100;

/** The files that were uploaded (2001) and can be had again (2002). */
export interface MediaShelf {
  upload(call: Call): Answer;
  get(call: Call): Answer;
}

/** A shelf without a file. */
export function createMediaShelf(clock: Clock): MediaShelf {
  const files = new Map<string, { readonly content: Buffer; readonly format: MediaFormat }>();

  return {
    upload({ parameters, upload }) {
      const type = MEDIA_TYPES.find((one) => one === parameters.type);
      if (!type) return errorAnswer(refusal('BAD_PARAMETER', 'type is missing or unknown'));
      if (!upload) return errorAnswer(refusal('BAD_MEDIA', 'there is no media in the form'));
      const checked = checkMedia(type, upload);
      if ('fault' in checked) return errorAnswer(refusal('BAD_MEDIA', checked.fault));
      const mediaId = randomBytes(16).toString('hex');
      files.set(mediaId, { content: upload, format: checked.format });
      const [oldest] = files.keys();
      if (files.size > MOST_FILES && oldest !== undefined) files.delete(oldest);
      return jsonAnswer({ type, mediaId, createTime: Number(formatChinaTime(clock())) });
    },
    get({ parameters: { mediaId = '' } }) {
      const file = files.get(mediaId);
      if (!file) return errorAnswer(refusal('UNKNOWN_MEDIA', 'there is no such media'));
      const { content, format } = file;
      return fileAnswer(content, CONTENT_TYPES[format], `${mediaId}.${format}`);
    },
  };
}
