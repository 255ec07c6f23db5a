/**
 * How long a sound plays, in milliseconds, by counting its frames; null if there are none.
 *
 * @param content the whole file
 */
export function soundLength(format: 'amr' | 'mp3', content: Uint8Array): number | null {
  return format === 'amr' ? amrLength(content) : mp3Length(content);
}

/** Milliseconds of one AMR frame. */
const AMR_FRAME = 20;

/** Bytes of a frame with its head, by its mode (RFC 4867); modes that are not there are not in use. */
const AMR_SIZES: readonly number[] = [13, 14, 16, 18, 20, 21, 27, 32, 6, 0, 0, 0, 0, 0, 0, 1];
const AMR_WB_SIZES: readonly number[] = [18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 0, 0, 0, 0, 1, 1];

function amrLength(content: Uint8Array): number | null {
  const isWide = content[5] === 0x2d;
  const sizes = isWide ? AMR_WB_SIZES : AMR_SIZES;
  let frames = 0;
  for (let at = isWide ? 9 : 6; at < content.length; ) {
    const size = sizes[(content[at]! >> 3) & 0x0f]!;
    if (size === 0) break;
    frames += 1;
    at += size;
  }
  return frames === 0 ? null : frames * AMR_FRAME;
}

/** Kilobits a second of layer III by the head's four bits: MPEG 1, and MPEG 2 and 2.5. */
const BIT_RATES = {
  one: [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0],
  two: [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0],
} as const;

/** Samples a second by the head's two bits, of MPEG 2.5, none, 2 and 1. */
const SAMPLE_RATES: readonly (readonly number[])[] = [
  [11_025, 12_000, 8_000],
  [],
  [22_050, 24_000, 16_000],
  [44_100, 48_000, 32_000],
];

/** Frames that an encoder may add before and behind the sound. */
const PADDING_FRAMES = 3;

/** Where in a first frame an encoder may write its own table in place of sound. */
const TABLE_WITHIN = 48;

function mp3Length(content: Uint8Array): number | null {
  let ms = 0;
  let frameMs = 0;
  let frames = 0;
  for (let at = tagLength(content); at + 4 <= content.length; ) {
    const frame = mp3Frame(content, at);
    // Between frames there may be other things: look for the next.
    if (frame === null) {
      at += 1;
      continue;
    }
    if (frames > 0 || !holdsTable(content, at)) ms += frame.ms;
    frames += 1;
    frameMs = frame.ms;
    at += frame.size;
  }
  if (frames === 0) return null;
  return Math.max(0, ms - PADDING_FRAMES * frameMs);
}

/** One frame of layer III; null where none begins. */
function mp3Frame(content: Uint8Array, at: number): { size: number; ms: number } | null {
  const [first, second = 0, third = 0] = content.subarray(at, at + 3);
  const version = (second >> 3) & 3;
  if (first !== 0xff || (second & 0xe0) !== 0xe0 || ((second >> 1) & 3) !== 1) return null;
  const isOne = version === 3;
  const bitRate = BIT_RATES[isOne ? 'one' : 'two'][third >> 4];
  const sampleRate = SAMPLE_RATES[version]![(third >> 2) & 3];
  if (!bitRate || !sampleRate) return null;
  const samples = isOne ? 1152 : 576;
  const size = Math.floor((samples * 125 * bitRate) / sampleRate) + ((third >> 1) & 1);
  return { size, ms: (samples * 1000) / sampleRate };
}

/** Length of an ID3 tag at the beginning, which holds no sound. */
function tagLength(content: Uint8Array): number {
  if (Buffer.from(content.subarray(0, 3)).toString('latin1') !== 'ID3') return 0;
  const [a = 0, b = 0, c = 0, d = 0] = content.subarray(6, 10);
  const footer = (content[5]! & 0x10) === 0 ? 0 : 10;
  return 10 + footer + ((a & 127) << 21) + ((b & 127) << 14) + ((c & 127) << 7) + (d & 127);
}

function holdsTable(content: Uint8Array, at: number): boolean {
  const head = Buffer.from(content.subarray(at, at + TABLE_WITHIN)).toString('latin1');
  return /Xing|Info|VBRI/.test(head);
}
