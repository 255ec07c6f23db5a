import { soundLength } from './sound.ts';

/** The kinds of media that may be uploaded (2001). */
export const MEDIA_TYPES = ['image', 'voice', 'thumb'] as const;

/** A kind of media that may be uploaded. */
export type MediaType = (typeof MEDIA_TYPES)[number];

/** The formats of such files, by their usual ending. */
export type MediaFormat = 'png' | 'jpg' | 'gif' | 'amr' | 'mp3';

interface MediaLimit {
  readonly bytes: number;
  readonly formats: readonly MediaFormat[];
  /** Longest playing time in milliseconds. */
  readonly length?: number;
}

const MEBIBYTE = 1_048_576;

/** What the document allows of each kind (2001). */
export const MEDIA_LIMITS: Readonly<Record<MediaType, MediaLimit>> = {
  image: { bytes: 2 * MEBIBYTE, formats: ['png', 'jpg', 'gif'] },
  voice: { bytes: 2 * MEBIBYTE, formats: ['amr', 'mp3'], length: 60_000 },
  thumb: { bytes: 64 * 1024, formats: ['jpg'] },
};

/** The media type by which each format goes over the wire. */
export const CONTENT_TYPES: Readonly<Record<MediaFormat, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  gif: 'image/gif',
  amr: 'audio/amr',
  mp3: 'audio/mpeg',
};

/** The first bytes by which a format is known, in latin1. */
const MARKS: readonly (readonly [RegExp, MediaFormat])[] = [
  [/^\x89PNG\r\n.\n/, 'png'],
  [/^\xff\xd8\xff/, 'jpg'],
  [/^GIF8[79]a/, 'gif'],
  [/^#!AMR(?:-WB)?\n/, 'amr'],
  // A tag of ID3, or the first frame of MPEG layer III.
  [/^(?:ID3|\xff[\xe2\xe3\xf2\xf3\xfa\xfb])/, 'mp3'],
];

/** What a file's first bytes show it to be; its name does not count. Null for anything else. */
export function mediaFormat(content: Uint8Array): MediaFormat | null {
  const head = Buffer.from(content.subarray(0, 16)).toString('latin1');
  return MARKS.find(([mark]) => mark.test(head))?.[1] ?? null;
}

/** Why a file of that many bytes can not be uploaded, or null (2001). */
export function sizeFault(type: MediaType, bytes: number): string | null {
  const { bytes: most } = MEDIA_LIMITS[type];
  if (bytes === 0) return 'it is empty';
  return bytes > most ? `it has ${bytes} bytes; ${type} takes up to ${most}` : null;
}

/**
 * Checks a whole file against what the document allows: size, format and playing time (2001).
 *
 * @example checkMedia('thumb', png) // { fault: 'thumb takes jpg, and it is png' }
 */
export function checkMedia(
  type: MediaType,
  content: Uint8Array,
): { readonly format: MediaFormat } | { readonly fault: string } {
  const tooLarge = sizeFault(type, content.length);
  if (tooLarge) return { fault: tooLarge };
  const { formats, length: longest } = MEDIA_LIMITS[type];
  const format = mediaFormat(content);
  if (format === null || !formats.includes(format)) {
    const found = format ?? 'none of them by its first bytes';
    return { fault: `${type} takes ${formats.join(', ')}, and it is ${found}` };
  }
  if (longest === undefined) return { format };
  const length = soundLength(format === 'amr' ? 'amr' : 'mp3', content);
  if (length === null)
    return { fault: `no sound could be read in it, though it begins as ${format}` };
  if (length <= longest) return { format };
  const seconds = (ms: number) => (ms / 1000).toFixed(ms % 1000 === 0 ? 0 : 2);
  return { fault: `it plays for ${seconds(length)} s; ${type} takes up to ${seconds(longest)} s` };
}
